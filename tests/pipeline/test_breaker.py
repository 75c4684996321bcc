"""Circuit breaker: when it opens, whom it lets probe, and what it never does."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import pytest

from tests.core.helpers import failure
from tests.pipeline.conftest import async_drive, sync_drive
from unimicro import App, Breaker, Service, VirtualClock, entry
from unimicro.errors import ServiceError
from unimicro.outcome import CODES, Failure, Left, Right
from unimicro.pipeline.circuit import Circuit

WORKED = Right(None)
FAILED = Left(Failure("unavailable"))

BY_CODE = {kind.code: kind for kind in ServiceError.__subclasses__() if kind.__module__ == "unimicro.errors"}
SMALL = Breaker(window=4, minimum_calls=4, open_seconds=10, jitter=0)


class Wobbly(Service):
    """Fails as told by ``code``; counts its calls."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.code = ""
        self.calls = 0

    def work(self):
        self.calls += 1
        if self.code:
            raise BY_CODE[self.code]("wobbly")
        return "fine"

    @entry(no_auth=True, breaker=SMALL)
    def get(self):
        return self.work()

    @entry(no_auth=True, breaker=Breaker("shared", window=4, minimum_calls=4, open_seconds=10, jitter=0))
    def get_one(self):
        return self.work()

    @entry(no_auth=True, breaker=Breaker("shared", window=4, minimum_calls=4, open_seconds=10, jitter=0))
    async def get_two(self):
        return self.work()


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def service():
    return Wobbly()


@pytest.fixture
def app(service, clock):
    return App(service, clock=clock)


def calls(
    app: App, service: Wobbly, code: str, count: int, drive: Any, name: str = "wobbly.get"
) -> list[str]:
    service.code = code
    return [
        "fine" if (o := drive(app, name)).is_right() else failure(o).layer or failure(o).code
        for _ in range(count)
    ]


def test_it_opens_at_the_failure_rate_once_enough_is_known(drive, app, service):
    calls(app, service, "", 2, drive)
    assert calls(app, service, "unavailable", 3, drive) == ["unavailable", "unavailable", "breaker"]
    assert service.calls == 4


def test_it_stays_closed_below_the_rate(drive, app, service):
    for _ in range(5):
        assert calls(app, service, "", 3, drive) == ["fine"] * 3
        assert calls(app, service, "unavailable", 1, drive) == ["unavailable"]


def test_it_stays_closed_while_too_little_is_known(drive, app, service):
    assert calls(app, service, "unavailable", 3, drive) == ["unavailable"] * 3
    assert calls(app, service, "", 1, drive) == ["fine"]


def test_old_outcomes_leave_the_window(drive, app, service):
    calls(app, service, "", 4, drive)
    assert calls(app, service, "unavailable", 1, drive) == ["unavailable"]
    calls(app, service, "", 4, drive)
    assert calls(app, service, "unavailable", 3, drive) == ["unavailable", "unavailable", "breaker"]


def test_a_rejection_is_unavailable_and_says_when_to_come_back(drive, app, service, clock):
    calls(app, service, "unavailable", 4, drive)
    clock.advance(4)
    failed = failure(drive(app, "wobbly.get"))
    assert (failed.code, failed.layer, failed.policy) == ("unavailable", "breaker", "wobbly.get")
    assert failed.retry_after == pytest.approx(6)
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "6")
    assert answer.json["retry_after_ms"] == 6000


def test_a_probe_that_succeeds_closes_it(drive, app, service, clock):
    calls(app, service, "unavailable", 4, drive)
    clock.advance(10)
    assert calls(app, service, "", 3, drive) == ["fine"] * 3
    assert calls(app, service, "unavailable", 1, drive) == ["unavailable"]


def test_each_opening_in_a_row_doubles_the_wait_up_to_the_longest(drive, app, service, clock):
    calls(app, service, "unavailable", 4, drive)
    for wait in (10, 20, 40, 60, 60):
        clock.advance(wait - 0.1)
        assert calls(app, service, "", 1, drive) == ["breaker"]
        clock.advance(0.1)
        assert calls(app, service, "unavailable", 2, drive) == ["unavailable", "breaker"]


def test_a_closing_makes_the_wait_short_again(drive, app, service, clock):
    calls(app, service, "unavailable", 4, drive)
    clock.advance(10)
    calls(app, service, "unavailable", 1, drive)
    clock.advance(20)
    assert calls(app, service, "", 1, drive) == ["fine"]
    calls(app, service, "unavailable", 4, drive)
    assert failure(drive(app, "wobbly.get")).retry_after == pytest.approx(10)


@pytest.mark.parametrize("code", sorted(CODES))
def test_codes_count_as_the_table_says(drive, app, service, clock, code):
    opens = code in ("deadline_exceeded", "unavailable", "internal", "unknown", "data_loss")
    assert (CODES[code].breaker == "failure") == opens
    calls(app, service, code, 4, drive)
    assert calls(app, service, "", 1, drive) == (["breaker"] if opens else ["fine"])


@pytest.mark.parametrize("code", ["canceled", "resource_exhausted"])
def test_a_neutral_outcome_of_a_probe_decides_nothing_and_gives_the_permit_back(
    drive, app, service, clock, code
):
    calls(app, service, "unavailable", 4, drive)
    clock.advance(10)
    assert calls(app, service, code, 3, drive) == [code] * 3
    assert calls(app, service, "unavailable", 2, drive) == ["unavailable", "breaker"]


def test_entries_that_name_one_circuit_share_it_and_so_do_both_drivers(app, service):
    calls(app, service, "unavailable", 2, sync_drive, "wobbly.get_one")
    calls(app, service, "unavailable", 2, async_drive, "wobbly.get_two")
    assert calls(app, service, "", 1, sync_drive, "wobbly.get_two") == ["breaker"]
    assert calls(app, service, "", 1, async_drive, "wobbly.get_one") == ["breaker"]
    assert calls(app, service, "", 1, sync_drive) == ["fine"]


def test_two_apps_share_nothing(service, clock):
    first, second = App(service, clock=clock), App(service, clock=clock)
    calls(first, service, "unavailable", 4, sync_drive)
    assert calls(second, service, "", 1, sync_drive) == ["fine"]


def test_bad_arguments_are_not_counted(drive, app, service):
    for _ in range(5):
        assert failure(drive(app, "wobbly.get", 1)).layer == "arguments"
    assert calls(app, service, "", 1, drive) == ["fine"]


class Gate(Service):
    """Probes that stay inside until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = True
        self.inside = 0
        self.counting = threading.Lock()
        self.go = threading.Event()

    @entry(no_auth=True)
    def get(self):
        if self.broken:
            raise RuntimeError("broken")
        with self.counting:
            self.inside += 1
        self.go.wait(10)

    @entry(no_auth=True)
    async def get_async(self):
        self.inside += 1
        while not self.go.is_set():  # noqa: ASYNC110 - threads set it too
            await asyncio.sleep(0)

    def half_open_app(self, probes: int = 1, store: str = "") -> App:
        """With a circuit whose wait is over."""
        clock = VirtualClock()
        breaker = Breaker(
            "gate",
            window=2,
            minimum_calls=2,
            open_seconds=10,
            permitted_probes=probes,
            max_concurrent_probes=probes,
            store=store,
        )
        app = App(self, clock=clock, policies=[breaker])
        for _ in range(2):
            app.call("gate.get")
        self.broken = False
        clock.advance(10)
        return app


PROBES = pytest.mark.parametrize(("probes", "store"), [(1, ""), (3, ""), (1, "memory"), (3, "memory")])


@PROBES
def test_of_50_threads_only_the_probes_get_in_and_no_lock_is_held_meanwhile(probes, store):
    gate = Gate()
    app = gate.half_open_app(probes, store)
    with ThreadPoolExecutor(50) as pool:
        try:
            running = [pool.submit(app.call, "gate.get") for _ in range(50)]
            # All others come back while the probes are inside.
            refused = [future.result() for future in islice(as_completed(running, timeout=10), 50 - probes)]
        finally:
            gate.go.set()
        outcomes = [future.result(10) for future in running]
    assert {failure(outcome).layer for outcome in refused} == {"breaker"}
    assert gate.inside == probes
    assert sum(outcome.is_right() for outcome in outcomes) == probes


@PROBES
def test_of_500_tasks_only_the_probes_get_in(probes, store):
    gate = Gate()
    app = gate.half_open_app(probes, store)

    async def storm():
        tasks = [asyncio.create_task(app.acall("gate.get_async")) for _ in range(500)]
        while sum(task.done() for task in tasks) < 500 - probes:  # noqa: ASYNC110 - bounded from outside
            await asyncio.sleep(0)
        gate.go.set()
        return await asyncio.gather(*tasks)

    outcomes = asyncio.run(asyncio.wait_for(storm(), 20))
    assert gate.inside == probes
    assert sum(outcome.is_right() for outcome in outcomes) == probes
    assert {failure(outcome).layer for outcome in outcomes if not outcome.is_right()} == {"breaker"}


@PROBES
def test_a_cancelled_probe_gives_its_permit_back(probes, store):
    gate = Gate()
    app = gate.half_open_app(probes, store)

    async def cancel():
        tasks = [asyncio.create_task(app.acall("gate.get_async")) for _ in range(probes)]
        while gate.inside < probes:  # noqa: ASYNC110 - bounded from outside
            await asyncio.sleep(0)
        assert failure(await app.acall("gate.get_async")).layer == "breaker"
        for task in tasks:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        gate.go.set()
        return [await app.acall("gate.get_async") for _ in range(probes)]

    outcomes = asyncio.run(asyncio.wait_for(cancel(), 10))
    assert all(outcome.is_right() for outcome in outcomes)


class Meeting(Service):
    def __init__(self) -> None:
        super().__init__()
        self.barrier = threading.Barrier(5)

    def meet(self):
        self.barrier.wait(10)

    @entry(no_auth=True)
    def get(self):
        self.meet()


@pytest.mark.parametrize("store", ["", "memory"])
@pytest.mark.parametrize("window", [{}, {"window_seconds": 10, "slow_call_seconds": 60}])
def test_calls_overlap(store, window):
    app = App(Meeting(), policies=[Breaker(store=store, **window)])
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(app.call, "meeting.get") for _ in range(5)]
        assert all(future.result(20).is_right() for future in running)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_base_exception_gives_the_permit_back(drive, service, app, clock, error):
    calls(app, service, "unavailable", 4, drive)
    clock.advance(10)
    real, service.work = service.work, lambda: (_ for _ in ()).throw(error)
    with pytest.raises(error):
        app.call("wobbly.get")
    service.work = real
    assert calls(app, service, "", 1, drive) == ["fine"]


def test_an_outcome_of_an_older_generation_is_ignored(clock):
    circuit = Circuit("c", SMALL, clock)
    old = circuit.admit()
    for _ in range(4):
        circuit.record(circuit.admit(), FAILED)
    assert circuit.state == "open"
    circuit.record(old, WORKED)
    assert circuit.state == "open"
    clock.advance(10)
    probe = circuit.admit()
    circuit.record(old, FAILED)
    assert circuit.state == "half_open"
    assert isinstance(circuit.admit(), Failure)
    circuit.record(probe, WORKED)
    assert circuit.state == "closed"
    circuit.record(probe, FAILED)
    circuit.record(old, FAILED)
    assert circuit.tally() == (0, 0, 0)


def test_counts_stay_right_under_threads(clock):
    circuit = Circuit("c", Breaker(window=10_000, minimum_calls=10_000), clock)

    def many(number: int) -> None:
        for turn in range(200):
            circuit.record(circuit.admit(), FAILED if (turn + number) % 4 == 0 else WORKED)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(many, range(20)))
    assert circuit.tally() == (4000, 1000, 0)
