"""Bulkhead: how many at a time, who waits, and in which order."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.helpers import code_of, failure
from unimicro import App, Breaker, Deadline, Retry, Service, VirtualClock, entry
from unimicro.errors import DefinitionError
from unimicro.pipeline.bulkhead import Bulkhead
from unimicro.pipeline.policy import Bound

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


class Busy(Service):
    """Holds its places until told to go; knows how many were inside at once."""

    def __init__(self, bulkhead: Bulkhead, **options: Any) -> None:
        super().__init__(name="busy")
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.order: list[int] = []
        self.entered = threading.Semaphore(0)

        def enter(number: int) -> None:
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
                self.order.append(number)
            self.entered.release()

        def leave() -> None:
            with self.lock:
                self.inside -= 1

        def get(self, number: int = 0):
            enter(number)
            try:
                assert self.go.wait(20)
            finally:
                leave()
            return number

        async def aget(self, number: int = 0):
            enter(number)
            try:
                await until(self.go.is_set)
            finally:
                leave()
            return number

        async def hang(self):
            enter(-1)
            try:
                await asyncio.Event().wait()
            finally:
                leave()

        options = {"no_auth": True, "bulkhead": bulkhead, **options}
        entries = {
            "get": entry(**options)(get),
            "aget": entry("GET", "/async", **options)(aget),
            "hang": entry("GET", "/hang", **options)(hang),
        }
        self.__class__ = type("Busy", (Busy,), entries)


def app_of(*args: Any, clock: Any = None, **options: Any) -> tuple[App, Busy]:
    service = Busy(Bulkhead(*args, **options))
    return App(service, clock=clock, config={}), service


@pytest.mark.timeout(30)
def test_a_call_too_many_is_refused_at_once():
    app, service = app_of(2)
    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(app.call, "busy.get") for _ in range(2)]
        assert all(service.entered.acquire(timeout=10) for _ in range(2))
        refused = failure(app.call("busy.get"))
        answer = app.test_client().get("/")
        service.go.set()
        assert all(call.result(10).is_right() for call in running)
    assert (refused.code, refused.layer, refused.policy) == ("resource_exhausted", "bulkhead", "busy.get")
    assert refused.retry_after == 1.0
    assert code_of(answer) == (429, "resource_exhausted")
    assert answer.headers["retry-after"] == "1"
    assert app.call("busy.get").is_right()


@pytest.mark.timeout(30)
def test_tasks_get_no_more_places_than_threads():
    app, service = app_of(3)

    async def main() -> list[Any]:
        calls = [asyncio.create_task(app.acall("busy.aget")) for _ in range(500)]
        await until(lambda: sum(call.done() for call in calls) == 497)
        service.go.set()
        return await asyncio.gather(*calls)

    outcomes = asyncio.run(main())
    assert service.most == 3
    assert sum(outcome.is_right() for outcome in outcomes) == 3


@pytest.mark.timeout(30)
def test_who_waits_gets_the_place_in_the_order_of_arrival():
    app, service = app_of(1, max_wait=20.0)

    async def main() -> list[Any]:
        calls = []
        for number in range(6):
            calls.append(asyncio.create_task(app.acall("busy.aget", number=number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        service.go.set()
        return await asyncio.gather(*calls)

    outcomes = asyncio.run(main())
    assert [outcome.value for outcome in outcomes] == service.order == [0, 1, 2, 3, 4, 5]
    assert service.most == 1


@pytest.mark.timeout(60)
def test_threads_and_tasks_stand_in_the_same_line():
    app, service = app_of(2, max_wait=30.0, max_waiting=1000, pool="one")
    service.go.set()

    async def tasks() -> list[Any]:
        return await asyncio.gather(*(app.acall("busy.aget") for _ in range(200)))

    with ThreadPoolExecutor(9) as threads:
        calls = [threads.submit(app.call, "busy.get") for _ in range(200)]
        loop = threads.submit(asyncio.run, tasks())
        outcomes = [call.result(30) for call in calls] + loop.result(30)
    assert all(outcome.is_right() for outcome in outcomes)
    assert (len(outcomes), service.inside) == (400, 0)
    assert service.most <= 2


@pytest.mark.timeout(15)
def test_a_thread_that_leaves_wakes_a_task_of_an_idle_loop():
    app, service = app_of(1, max_wait=60.0, pool="one")

    async def wait_in_line() -> Any:
        # Set when the loop has nothing to do but to wait.
        threading.Timer(0.1, service.go.set).start()
        return await app.acall("busy.aget")

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(app.call, "busy.get")
        assert service.entered.acquire(timeout=10)
        assert asyncio.run(wait_in_line()).is_right()
        assert running.result(10).is_right()


@pytest.mark.timeout(30)
def test_the_event_loop_runs_on_while_calls_wait():
    app, service = app_of(1, max_wait=20.0)

    async def main() -> None:
        calls = [asyncio.create_task(app.acall("busy.get")) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not any(call.done() for call in calls)
        service.go.set()
        assert all(outcome.is_right() for outcome in await asyncio.gather(*calls))

    try:
        asyncio.run(main())
    finally:
        service.go.set()
        app.kill()
    assert service.most == 1


@pytest.mark.timeout(30)
def test_waiting_ends_after_max_wait(drive):
    class Nested(Service):
        @entry(no_auth=True)
        async def get(self):
            # The place of this call's call is taken by the call itself.
            return (await app.acall("nested.get_inner")).monoid[0]

        @entry(no_auth=True, bulkhead=Bulkhead(1, max_wait=3.0, pool="p"))
        async def get_inner(self):
            before = clock.now()
            inner = await app.acall("nested.get_inner")
            waited.append(clock.now() - before)
            return failure(inner).policy

    clock, waited = VirtualClock(), []
    app = App(Nested(), clock=clock, config={})
    drive(app, "nested.get_inner")
    assert waited == [3.0]
    # Nobody is in line any more, and the place is free.
    drive(app, "nested.get_inner")
    assert waited == [3.0, 3.0]


def test_the_deadline_ends_the_waiting_sooner(drive):
    class Nested(Service):
        @entry(no_auth=True, deadline=Deadline(2.0), bulkhead=Bulkhead(1, max_wait=30.0))
        def get(self):
            inner = app.call("nested.get")
            waited.append((failure(inner).layer, clock.now() - 1000.0))

    clock, waited = VirtualClock(), []
    app = App(Nested(), clock=clock, config={})
    try:
        drive(app, "nested.get")
    finally:
        app.kill()
    assert waited == [("bulkhead", 2.0)]


@pytest.mark.timeout(30)
def test_the_line_is_bounded():
    app, service = app_of(1, max_wait=20.0, max_waiting=2)

    async def main() -> list[Any]:
        calls = [asyncio.create_task(app.acall("busy.aget", number=number)) for number in range(5)]
        await until(lambda: sum(call.done() for call in calls) == 2)
        service.go.set()
        return await asyncio.gather(*calls)

    outcomes = asyncio.run(main())
    assert [outcome.is_right() for outcome in outcomes] == [True, True, True, False, False]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("max_wait", [0.0, 20.0])
def test_a_cancelled_call_gives_its_place_back(max_wait):
    app, service = app_of(1, max_wait=max_wait)

    async def main() -> None:
        running = asyncio.create_task(app.acall("busy.hang"))
        await until(lambda: service.inside == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        service.go.set()
        assert (await app.acall("busy.aget")).is_right()

    asyncio.run(main())


@pytest.mark.timeout(30)
def test_a_call_cancelled_in_line_leaves_it_and_one_cancelled_as_it_is_granted_hands_on():
    app, service = app_of(1, max_wait=20.0)

    async def main() -> None:
        holder = asyncio.create_task(app.acall("busy.hang"))
        await until(lambda: service.inside == 1)
        waiting = [asyncio.create_task(app.acall("busy.aget")) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        holder.cancel()
        await asyncio.sleep(0)
        # The holder has left: the place is granted to the second, which has not woken yet.
        waiting[1].cancel()
        service.go.set()
        assert (await asyncio.wait_for(waiting[2], 10)).is_right()
        for call in (holder, waiting[0], waiting[1]):
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await app.acall("busy.aget")).is_right()

    asyncio.run(main())


@pytest.mark.timeout(30)
def test_an_interrupt_of_a_waiting_thread_leaves_the_line():
    class Interrupted(VirtualClock):
        def wait_for(self, event, seconds):
            raise KeyboardInterrupt

    class Nested(Service):
        @entry(no_auth=True, bulkhead=Bulkhead(1, max_wait=5.0, max_waiting=1))
        def get(self, nested: bool = True):
            if nested:
                for _ in range(3):
                    with pytest.raises(KeyboardInterrupt):
                        app.call("nested.get")
            return "here"

    app = App(Nested(), clock=Interrupted(), config={})
    assert app.call("nested.get").value == "here"
    assert app.call("nested.get", nested=False).value == "here"


def test_a_refusal_is_neutral_to_the_breaker(drive):
    class Nested(Service):
        @entry(no_auth=True, bulkhead=Bulkhead(1), breaker=Breaker(window=2, minimum_calls=1))
        async def get(self):
            return [failure(await app.acall("nested.get")).layer for _ in range(5)]

    app = App(Nested(), config={})
    assert drive(app, "nested.get").value == ["bulkhead"] * 5
    assert drive(app, "nested.get").is_right()


def test_a_retry_comes_back_as_told(drive):
    class Nested(Service):
        @entry(no_auth=True, safe=True, retry=Retry(), bulkhead=Bulkhead(1, retry_after=2.5))
        async def get(self):
            return failure(await app.acall("nested.get")).layer

    clock = VirtualClock()
    app = App(Nested(), clock=clock, config={})
    assert drive(app, "nested.get").value == "bulkhead"
    assert clock.waits == [2.5, 2.5]


def test_entries_share_a_pool_by_name():
    class Two(Service):
        @entry(no_auth=True, bulkhead=Bulkhead(1, pool="database"))
        def get(self):
            return app.call("two.get_other").is_left()

        @entry(no_auth=True, bulkhead=Bulkhead(1, pool="database"))
        def get_other(self): ...

    app = App(Two(), config={})
    assert app.call("two.get").value is True

    class Odd(Service):
        @entry(bulkhead=Bulkhead(1, pool="database"))
        def get(self): ...

        @entry(bulkhead=Bulkhead(2, pool="database"))
        def get_other(self): ...

    with pytest.raises(DefinitionError, match=r"bulkhead 'database' has other settings"):
        App(Odd(), config={})


def test_in_shadow_mode_nobody_is_refused_or_kept_waiting(drive, caplog):
    class Nested(Service):
        @entry(no_auth=True, bulkhead=Bulkhead(1, max_wait=5.0, mode="shadow"))
        async def get(self, nested: bool = True):
            return (await app.acall("nested.get", nested=False)).value if nested else "inside"

    clock = VirtualClock()
    app = App(Nested(), clock=clock, config={})
    assert drive(app, "nested.get").value == "inside"
    assert clock.waits == []
    assert "it would have answered resource_exhausted" in caplog.text


@pytest.mark.parametrize("max_wait", [0.0, 1.0])
def test_listeners_hear_of_a_refusal(drive, max_wait):
    heard: list[Any] = []

    class Hearing:
        def on_reject(self, rejection):
            heard.append((rejection.layer, rejection.failure.policy))

    class Nested(Service):
        @entry(no_auth=True, bulkhead=Bulkhead(1, max_wait=max_wait, pool="p"))
        async def get(self):
            await app.acall("nested.get")

    app = App(Nested(), clock=VirtualClock(), config={}, listeners=[Hearing()])
    drive(app, "nested.get")
    assert heard == [("bulkhead", "p")]


def test_the_worst_case_includes_the_line():
    assert Bulkhead(1, max_wait=2.0).worst_case(Bound(1.5, 2)) == Bound(3.5, 2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_concurrent", 0), ("max_concurrent", 1.5), ("max_concurrent", True), ("max_waiting", 0),
        ("max_wait", -1), ("max_wait", float("nan")), ("max_wait", "1"), ("retry_after", 0),
        ("max_wait", False), ("max_wait", float("inf")), ("retry_after", float("inf")), ("pool", 5),
        ("pool", ["x"]),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused_by_name(setting, value):
    with pytest.raises(DefinitionError, match=rf"Bulkhead\.{setting} must be"):
        Bulkhead(**{"max_concurrent": 1, setting: value})
