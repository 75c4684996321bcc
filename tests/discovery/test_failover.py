"""Which instance a call goes to, and which next: the same for sync and async methods."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.discovery.played import (
    Orders,
    broken,
    orders_at,
    refused,
)
from unimicro import Breaker, Deadline, Hedge, Retry
from unimicro.errors import ConfigurationError, DeadlineExceeded, Unavailable
from unimicro.outcome import Failure, Left, Right
from unimicro.pipeline.clock import VirtualClock

ANY = ["find", "place"]
TRIPS = Breaker(minimum_calls=2, window=4, open_seconds=5.0, jitter=0.0)


# -- calls that were never sent ----------------------------------------------------------------


@pytest.mark.parametrize("method", ANY)
def test_a_call_that_was_never_sent_goes_to_the_next_instance(played, clock, drive, method):
    played.answers |= {"a": refused, "b": refused}
    assert drive(orders_at(clock, "a", "b", "c"), method) == "c"
    assert played.asked == ["a", "b", "c"]
    assert clock.waits == []


@pytest.mark.parametrize("method", ANY)
def test_an_attempt_asks_each_instance_once_and_the_retry_asks_them_again(played, clock, drive, method):
    played.answers |= {"a": refused, "b": refused}
    orders = orders_at(clock, "a", "b", policies=[Retry(attempts=3, base=0.5, backoff="constant")])
    with pytest.raises(Unavailable, match="refused"):
        drive(orders, method)
    assert [sorted(played.asked[n : n + 2]) for n in (0, 2, 4)] == [["a", "b"]] * 3
    assert len(played.asked) == 6
    assert clock.waits == [0.5, 0.5]


@pytest.mark.parametrize("method", ANY)
def test_a_long_list_on_which_nobody_listens_is_gone_through_once(played, clock, drive, method):
    uris = [str(number) for number in range(500)]
    played.answers |= dict.fromkeys(uris, refused)
    with pytest.raises(Unavailable):
        drive(orders_at(clock, *uris, selector="random", policies=[Retry(mode="off")]), method)
    assert sorted(played.asked) == sorted(uris)


@pytest.mark.parametrize("uris", [("a",), ("a", "b")])
def test_a_call_that_may_have_been_made_is_not_repeated_where_it_must_not_be(played, clock, drive, uris):
    played.answers |= {"a": broken}
    orders = orders_at(clock, *uris)
    with pytest.raises(Unavailable, match="broken"):
        drive(orders, "place")
    assert played.asked == ["a"]
    assert clock.waits == []


def test_nor_is_it_after_a_retry_that_was_allowed(played, clock, drive):
    answers = iter([refused(None), broken(None)])
    played.answers |= {"a": lambda _: next(answers)}
    with pytest.raises(Unavailable, match="broken"):
        drive(orders_at(clock, "a"), "place")
    assert played.asked == ["a", "a"]


@pytest.mark.parametrize("layer", ["channel", "breaker", ""])
def test_what_a_service_says_of_itself_does_not_make_a_call_unsent(played, clock, drive, layer):
    problem = Failure("unavailable", "I did nothing", layer=layer).to_problem()
    played.answers |= {"a": lambda _: Left(Failure.from_problem(problem))}
    with pytest.raises(Unavailable, match="I did nothing"):
        drive(orders_at(clock, "a", "b"), "place")
    assert played.asked == ["a"]


def test_a_call_that_may_be_repeated_goes_to_another_instance_and_then_to_any(played, clock, drive):
    played.answers |= {"a": broken, "b": broken}
    with pytest.raises(Unavailable):
        drive(orders_at(clock, "a", "b", policies=[Retry(attempts=3)]), "find")
    assert played.asked == ["a", "b", "a"]


def test_a_retry_that_is_off_is_off_for_unsent_calls_too(played, clock, drive):
    played.answers |= {"a": refused}
    with pytest.raises(Unavailable):
        drive(orders_at(clock, "a", policies=[Retry(mode="off")]), "place")
    assert played.asked == ["a"]


@pytest.mark.parametrize("method", ANY)
def test_an_error_of_the_service_itself_is_asked_for_once(played, clock, drive, method):
    played.answers |= {"a": lambda _: Left(Failure("not_found", "no such order"))}
    with pytest.raises(Exception, match="no such order"):
        drive(orders_at(clock, "a", "b"), method)
    assert played.asked == ["a"]


# -- deadlines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ANY)
def test_after_the_deadline_no_further_instance_is_asked(played, clock, drive, method):
    def slow(invocation):
        clock.advance(3.0)
        return refused(invocation)

    played.answers |= {"a": slow, "b": slow}
    with pytest.raises(DeadlineExceeded):
        drive(orders_at(clock, "a", "b", "c", policies=[Deadline(timeout=5.0)]), method)
    assert played.asked == ["a", "b"]


@pytest.mark.parametrize("method", ANY)
def test_no_wait_reaches_the_deadline(played, clock, drive, method):
    played.answers |= {"a": refused}
    retry = Retry(attempts=10, base=2.0, backoff="constant", budget=None)
    with pytest.raises(Unavailable):
        drive(orders_at(clock, "a", policies=[Deadline(timeout=5.0), retry]), method)
    assert clock.waits == [2.0, 2.0]


# -- hedges ------------------------------------------------------------------------------------


def test_a_hedge_asks_another_instance(played, drive, request):
    clock, answered = VirtualClock(), threading.Event()

    def hangs(_):
        if "async" in request.node.name:
            return asyncio.sleep(5.0, Right("late"))
        answered.wait(5.0)
        return Right("late")

    played.answers |= {"a": hangs}
    try:
        assert drive(orders_at(clock, "a", "b", policies=[Hedge(delay=0.05)]), "find") == "b"
    finally:
        answered.set()
    assert played.asked == ["a", "b"]


# -- circuits ----------------------------------------------------------------------------------


def fail(drive, orders, times, method="find"):
    for _ in range(times):
        with pytest.raises(Unavailable):
            drive(orders, method)


def test_a_tripped_instance_is_left_out_and_probed_when_its_wait_is_over(played, clock, drive):
    played.answers |= {"a": broken}
    orders = orders_at(clock, "a", "b", policies=[TRIPS, Retry(mode="off")])
    fail(drive, orders, 2)
    played.asked.clear()
    assert [drive(orders, "find") for _ in range(3)] == ["b"] * 3
    clock.advance(5.0)
    fail(drive, orders, 1)
    assert [drive(orders, "find") for _ in range(2)] == ["b"] * 2
    del played.answers["a"]
    clock.advance(10.0)
    assert [drive(orders, "find") for _ in range(3)] == ["a"] * 3
    assert played.asked == ["b"] * 3 + ["a"] + ["b"] * 2 + ["a"] * 3


def test_a_selector_is_not_offered_what_is_tripped_or_was_asked_already(played, clock, drive):
    offered = []

    class Spy:
        def choose(self, endpoints):
            offered.append("".join(endpoint.uri for endpoint in endpoints))
            return endpoints[0]

    played.answers |= {"a": broken, "b": refused}
    orders = orders_at(clock, "a", "b", "c", policies=[TRIPS, Retry(mode="off")], selector=Spy)
    fail(drive, orders, 2)
    offered.clear()
    assert drive(orders, "find") == "c"
    assert offered == ["bc", "c"]


def test_a_circuit_in_shadow_turns_no_call_away(played, clock, drive):
    played.answers |= {"a": broken}
    shadow = Breaker(minimum_calls=2, window=4, mode="shadow")
    fail(drive, orders_at(clock, "a", "b", policies=[shadow, Retry(mode="off")]), 4)
    assert played.asked == ["a"] * 4


@pytest.mark.parametrize("method", ANY)
def test_a_selector_that_chooses_what_it_was_not_offered_ends_the_call(played, clock, drive, method):
    class Sticky:
        chosen = None

        def choose(self, endpoints):
            self.chosen = self.chosen or endpoints[0]
            return self.chosen

    played.answers |= {"a": refused}
    with pytest.raises(ConfigurationError, match="which it was not offered"):
        drive(orders_at(clock, "a", "b", selector=Sticky), method)
    assert played.asked == ["a"]


def test_a_circuit_is_that_of_one_operation_at_one_instance(played, clock, drive):
    played.answers |= {"a": broken}
    orders = orders_at(clock, "a", "b", policies=[TRIPS, Retry(mode="off")])
    fail(drive, orders, 2)
    assert drive(orders, "find") == "b"
    fail(drive, orders, 1, "place")


def test_with_all_tripped_a_call_is_refused_until_the_first_may_be_probed(played, clock, drive):
    played.answers |= {"a": broken, "b": broken}
    orders = orders_at(clock, "a", "b", policies=[TRIPS, Retry(mode="off")])
    fail(drive, orders, 2)
    clock.advance(2.0)
    fail(drive, orders, 2)
    played.asked.clear()
    with pytest.raises(Unavailable, match="every instance of 'orders' has an open circuit") as refusal:
        drive(orders, "find")
    assert played.asked == []
    assert refusal.value.retry_after == pytest.approx(3.0)


@pytest.mark.parametrize("method", ANY)
@pytest.mark.parametrize("uris", [("a",), ("a", "b")])
def test_an_open_circuit_is_waited_for_where_that_is_wanted(played, clock, drive, method, uris):
    played.answers |= dict.fromkeys(uris, broken)
    retry = Retry(attempts=2, wait_for_probe=True, backoff="constant", base=0.001)
    orders = orders_at(clock, *uris, policies=[TRIPS, retry])
    while len(played.asked) < 2 * len(uris):
        fail(drive, orders, 1, method)
    played.answers.clear()
    clock.waits.clear()
    assert drive(orders, method) == "a"
    assert clock.waits == [pytest.approx(5.0, abs=0.1)]


def test_a_named_circuit_is_shared_by_the_operations_of_an_instance(played, clock, drive):
    played.answers |= {"a": broken}
    named = Breaker("stock", minimum_calls=2, window=4, jitter=0.0)
    orders = orders_at(clock, "a", "b", policies=[named, Retry(mode="off")])
    fail(drive, orders, 1, "find")
    fail(drive, orders, 1, "place")
    assert drive(orders, "find") == drive(orders, "place") == "b"


def test_circuits_in_a_store_are_those_of_one_instance_each(played, clock, drive):
    from unimicro.stores.memory import MemoryBreakerStore

    store = MemoryBreakerStore()
    shared = Breaker(minimum_calls=2, window=4, jitter=0.0, store=store)
    played.answers |= {"a": broken}
    orders = orders_at(clock, "a", "b", policies=[shared, Retry(mode="off")])
    fail(drive, orders, 2)
    assert drive(orders, "find") == "b"
    names = {name: store.read(f"orders.{name}find at a") for name in ("", "a")}
    assert [record.state for record in names.values() if record] == ["open"]


def test_a_setting_that_cannot_work_is_refused_when_the_proxy_is_made(played, clock):
    with pytest.raises(Exception, match="there is no store 'nowhere'"):
        orders_at(clock, "a", policies=[Breaker(store="nowhere")])


# -- what is learned ---------------------------------------------------------------------------


def test_a_call_that_is_cut_off_leaves_nothing_behind(played, clock):
    seen = []

    class Spy:
        def choose(self, endpoints):
            seen.extend(endpoints)
            return endpoints[0]

    def cut(_):
        raise KeyboardInterrupt

    orders = orders_at(clock, "a", "b", selector=Spy)
    played.answers |= {"a": cut}
    with pytest.raises(KeyboardInterrupt):
        orders.find()

    async def cancelled():
        played.answers |= {"a": lambda _: asyncio.sleep(60.0)}
        call = asyncio.create_task(orders.afind())
        await asyncio.sleep(0.01)
        assert seen[0].in_flight == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancelled())
    assert {(endpoint.in_flight, endpoint.latency) for endpoint in seen} == {(0, 0.0)}


def test_calls_under_way_are_counted_right_by_many_threads(played, clock):
    from concurrent.futures import ThreadPoolExecutor

    endpoints = set()

    class Spy:
        def choose(self, given):
            endpoints.update(given)
            return given[0]

    orders = orders_at(clock, "a", "b", selector=Spy)
    inside, together = [], threading.Barrier(8, timeout=20)

    def answer(_):
        together.wait()
        inside.append(next(e for e in endpoints if e.uri == "a").in_flight)
        together.wait()
        return Right("a")

    played.answers |= {"a": answer}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: orders.find(), range(400), timeout=60))
    assert set(inside) == {8}
    assert {endpoint.in_flight for endpoint in endpoints} == {0}


def test_without_a_selector_of_its_own_a_service_takes_what_is_given(played, clock):
    with pytest.raises(Exception, match="selector"):
        orders_at(clock, "a", selector="fastest")


def test_every_service_of_a_manager_has_its_own_selector(played, clock):
    from unimicro.channels.client.manager import ServiceManager

    made = []

    class Counting:
        def __init__(self):
            made.append(self)

        def choose(self, endpoints):
            return endpoints[-1]

    manager = ServiceManager(clock=clock, config={}, selector=Counting)
    for _ in range(2):
        assert manager.get_service(Orders, "played", address=["a", "b"]).find() == "b"
    assert len(made) == 2
