"""``@circuit``: the breaker around a plain function, in both colours."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import pytest

from unimicro import Failure, Left, Right, VirtualClock, failure_of
from unimicro.errors import ConfigurationError, DefinitionError, NotFound, Unavailable
from unimicro.functional import circuit

SMALL = {"window": 4, "minimum_calls": 4, "open_seconds": 10, "jitter": 0}


@pytest.fixture
def clock():
    return VirtualClock()


class Dependency:
    """Fails while ``down``; counts its calls."""

    def __init__(self) -> None:
        self.down = False
        self.calls = 0

    def load(self, value: int = 1) -> int:
        self.calls += 1
        if self.down:
            raise Unavailable("down")
        return value


def ends(of: Any, function: Any, count: int, *args: Any) -> list[str]:
    """How so many calls end: ``right``, or the layer or code of the failure."""
    outcomes = [of.run(function(*args)) for _ in range(count)]
    return ["right" if o.is_right() else failure_of(o).layer or failure_of(o).code for o in outcomes]


def test_closed_open_half_open_closed(of, clock):
    seen = []

    class Listener:
        def on_transition(self, transition):
            seen.append((transition.before, transition.after))

    stock, dependency = circuit("stock", clock=clock, listeners=[Listener()], **SMALL), Dependency()
    load = stock(of.colour(dependency.load))
    dependency.down = True
    assert ends(of, load, 6) == ["unavailable"] * 4 + ["breaker"] * 2
    assert dependency.calls == 4
    clock.advance(10)
    assert ends(of, load, 2) == ["unavailable", "breaker"]
    clock.advance(20)
    dependency.down = False
    assert ends(of, load, 5) == ["right"] * 5
    assert seen == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]


def test_a_refusal_says_which_circuit_and_when_to_come_back(of, clock):
    load = circuit("stock", clock=clock, **SMALL)(of.colour(lambda: Left(Failure("internal"))))
    ends(of, load, 4)
    clock.advance(4)
    failure = failure_of(of.run(load()))
    assert (failure.code, failure.layer, failure.policy) == ("unavailable", "breaker", "stock")
    assert failure.retry_after == 6


def test_failures_below_the_rate_leave_it_closed(of, clock):
    stock, dependency = circuit("stock", clock=clock, **SMALL), Dependency()
    load = stock(of.colour(dependency.load))
    ends(of, load, 3)
    dependency.down = True
    assert ends(of, load, 1) == ["unavailable"]
    assert stock.circuit.state == "closed"


def test_a_failure_that_arrives_after_the_opening_changes_nothing(clock):
    stock, dependency = circuit("stock", clock=clock, **SMALL), Dependency()

    async def late(release):
        await release.wait()
        raise Unavailable("late")

    async def story():
        release = asyncio.Event()
        slow = asyncio.ensure_future(stock(late)(release))
        await asyncio.sleep(0)
        dependency.down = True
        load = stock(dependency.load)
        for _ in range(4):
            load()
        before = stock.circuit.view()
        release.set()
        assert failure_of(await asyncio.wait_for(slow, 10)).message == "late"
        assert before.state == "open"
        assert stock.circuit.view() == before

    asyncio.run(story())


def test_what_the_caller_did_wrong_does_not_open_it(of, clock):
    def missing():
        raise NotFound("no tea")

    assert ends(of, circuit("stock", clock=clock, **SMALL)(of.colour(missing)), 9) == ["not_found"] * 9


def test_an_unexpected_error_is_internal_and_counts(of, clock, caplog):
    def broken():
        raise KeyError("secret")

    load = circuit("stock", clock=clock, **SMALL)(of.colour(broken))
    assert ends(of, load, 5) == ["internal"] * 4 + ["breaker"]
    assert len(caplog.records) == 4


def test_a_declared_error_keeps_its_name(of, clock):
    def sold():
        raise LookupError("tea")

    load = circuit("stock", clock=clock, errors=[LookupError])(of.colour(sold))
    assert failure_of(of.run(load())).error_type == "LookupError"


def test_functions_of_one_decorator_share_the_circuit(clock):
    stock, dependency = circuit("stock", clock=clock, **SMALL), Dependency()
    load = stock(dependency.load)

    @stock
    async def other() -> int:
        return 1

    dependency.down = True
    for _ in range(4):
        load()
    assert failure_of(asyncio.run(other())).layer == "breaker"


def test_it_decorates_methods():
    class Repository:
        @circuit("stock")
        def load(self, value: int, *, twice: bool = False) -> int:
            return value * (1 + twice)

    assert Repository().load(2, twice=True) == Right(4)


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt])
def test_what_is_no_exception_is_neutral_and_gives_the_probe_back(error, clock):
    stock, dependency = circuit("stock", clock=clock, **SMALL), Dependency()
    load = stock(dependency.load)

    @stock
    def cut_off():
        raise error

    for _ in range(9):
        with pytest.raises(error):
            cut_off()
    assert stock.circuit.tally().calls == 0
    dependency.down = True
    for _ in range(4):
        load()
    clock.advance(10)
    with pytest.raises(error):
        cut_off()
    assert stock.circuit.state == "half_open"
    dependency.down = False
    assert load() == Right(1)
    assert stock.circuit.state == "closed"


def test_a_cancelled_task_gives_its_probe_back(clock):
    stock, dependency = circuit("stock", clock=clock, **SMALL), Dependency()
    dependency.down = True

    async def story():
        load = stock(dependency.load)
        for _ in range(4):
            load()
        clock.advance(10)
        probe = asyncio.ensure_future(stock(asyncio.sleep)(60))
        await asyncio.sleep(0)
        assert load().is_left()
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        dependency.down = False
        assert load() == Right(1)

    asyncio.run(story())


def test_calls_run_side_by_side():
    together = threading.Barrier(5, timeout=10)
    meet = circuit("stock")(together.wait)
    with ThreadPoolExecutor(5) as threads:
        outcomes = list(threads.map(lambda _: meet(), range(5)))
    assert all(outcome.is_right() for outcome in outcomes)


def test_one_of_many_threads_probes(clock):
    stock, dependency = circuit("stock", clock=clock, **SMALL), Dependency()
    dependency.down = True
    load = stock(dependency.load)
    for _ in range(4):
        load()
    clock.advance(10)
    release, entered = threading.Event(), threading.Semaphore(0)

    @stock
    def probe():
        entered.release()
        return release.wait(10)

    with ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(probe) for _ in range(20)]
        assert entered.acquire(timeout=10)
        refused = [call.result() for call in islice(as_completed(calls, timeout=10), 19)]
        release.set()
    assert {failure_of(outcome).layer for outcome in refused} == {"breaker"}
    assert not entered.acquire(blocking=False)


def test_somebody_may_force_it(of, clock):
    stock = circuit("stock", clock=clock, **SMALL)
    load = stock(of.colour(Dependency().load))
    stock.circuit.force_open()
    assert ends(of, load, 1) == ["breaker"]
    stock.circuit.reset()
    assert ends(of, load, 1) == ["right"]


def test_off_leaves_nothing_and_shadow_refuses_nothing(of, clock):
    dependency = Dependency()
    dependency.down = True
    for mode in ("off", "shadow"):
        load = circuit("stock", clock=clock, mode=mode, **SMALL)(of.colour(dependency.load))
        assert ends(of, load, 9) == ["unavailable"] * 9
    with pytest.raises(ConfigurationError, match="stock"):
        _ = circuit("stock", mode="off").circuit


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"failure_rat": 0.5}, "did you mean 'failure_rate'"),
        ({"failure_rate": 2}, "Breaker.failure_rate"),
        ({"open_seconds": -1}, "Breaker.open_seconds"),
        ({"minimum_calls": 30}, "Breaker.minimum_calls"),
        ({"mode": "sometimes"}, "Breaker.mode"),
        ({"store": "fleet"}, "no store 'fleet'"),
        ({"provider": object()}, "no StateProvider"),
        ({"errors": [int]}, "errors"),
        ({"listeners": [object()]}, "listener"),
    ],
)
def test_impossible_settings_are_refused(settings, told):
    with pytest.raises(ConfigurationError, match=told):
        circuit("stock", **settings)


@pytest.mark.parametrize("name", ["", 3, len], ids=["empty", "number", "function"])
def test_a_circuit_without_a_name_is_refused(name):
    with pytest.raises(DefinitionError, match="name"):
        circuit(name)
