"""Hedge: when another attempt starts, which one wins, and what becomes of the others."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from tests.core.helpers import failure
from tests.pipeline.conftest import async_drive
from unimicro import App, Breaker, Deadline, Retry, Service, VirtualClock, current_invocation, entry
from unimicro.errors import DefinitionError, NotFound, Unavailable
from unimicro.pipeline.budget import Budget
from unimicro.pipeline.hedge import Hedge
from unimicro.pipeline.policy import Bound

pytestmark = pytest.mark.timeout(30)


class Replicas(Service):
    """Each attempt does the next of ``acts``: hangs, answers its number or raises."""

    def __init__(self, *acts: Any, **options: Any) -> None:
        super().__init__(name="replicas")
        self.acts = list(acts)
        self.calls = 0
        self.cancelled: list[int] = []
        self.release = threading.Event()
        self.ended = threading.Semaphore(0)

        def begin() -> tuple[int, Any]:
            self.calls += 1
            return self.calls, self.acts[min(self.calls, len(self.acts)) - 1]

        def get(self):
            number, act = begin()
            if act == "hang":
                assert self.release.wait(20)
                self.ended.release()
            elif isinstance(act, BaseException):
                raise act
            return number

        async def aget(self):
            number, act = begin()
            if act == "hang":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.append(number)
            elif isinstance(act, BaseException):
                raise act
            return number

        options = {"no_auth": True, "safe": True, "hedge": Hedge(1.0), **options}
        entries = {"get": entry(**options)(get), "aget": entry("GET", "/async", **options)(aget)}
        self.__class__ = type("Replicas", (Replicas,), entries)


def call(service: Replicas, drive: Any, clock: Any = None, **settings: Any) -> Any:
    """The outcome of one call; a sync method behind a sync door, an async one behind an async door."""
    operation = "replicas.aget" if drive is async_drive else "replicas.get"
    app = App(service, clock=clock or VirtualClock(), config={}, **settings)
    try:
        return drive(app, operation)
    finally:
        service.release.set()


def test_the_second_attempt_answers_for_one_that_hangs(drive):
    service, clock = Replicas("hang", "answer"), VirtualClock()
    assert call(service, drive, clock).value == 2
    assert (service.calls, clock.waits) == (2, [1.0])


def test_an_answer_in_time_is_the_only_attempt(drive):
    service, clock = Replicas("answer"), VirtualClock()
    assert call(service, drive, clock).value == 1
    assert (service.calls, clock.waits) == (1, [])


def test_the_async_loser_is_cancelled():
    service = Replicas("hang", "answer")

    async def main() -> None:
        app = App(service, clock=VirtualClock(), config={})
        assert (await asyncio.wait_for(app.acall("replicas.aget"), 10)).value == 2
        await asyncio.sleep(0)
        assert service.cancelled == [1]

    asyncio.run(main())


def test_a_sync_loser_runs_on_and_its_answer_is_dropped():
    service = Replicas("hang", "answer")
    app = App(service, clock=VirtualClock(), config={})
    assert app.call("replicas.get").value == 2
    service.release.set()
    assert service.ended.acquire(timeout=10)


def test_a_cancelled_caller_cancels_every_attempt():
    service = Replicas("hang", hedge=Hedge(0.001))

    async def main() -> None:
        app = App(service, config={})
        running = asyncio.create_task(app.acall("replicas.aget"))
        for _ in range(10_000):
            if service.calls == 2:
                break
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(service.cancelled) == [1, 2]

    asyncio.run(main())


def test_more_attempts_follow_each_after_the_delay(drive):
    service, clock = (
        Replicas("hang", "hang", "hang", "answer", hedge=Hedge(0.5, max_hedges=3)),
        VirtualClock(),
    )
    assert call(service, drive, clock).value == 4
    assert clock.waits == [0.5, 0.5, 0.5]


def test_a_failure_that_may_pass_waits_for_the_other_attempt(drive):
    service = Replicas("hang", Unavailable("busy"), "answer", hedge=Hedge(0.5, max_hedges=2))
    assert call(service, drive).value == 3


def test_a_failure_alone_starts_no_attempt(drive):
    service, clock = Replicas(Unavailable("busy"), "answer"), VirtualClock()
    assert failure(call(service, drive, clock)).message == "busy"
    assert (service.calls, clock.waits) == (1, [])


def test_a_failure_that_will_not_pass_is_an_answer(drive):
    service = Replicas("hang", NotFound("gone"), "answer", hedge=Hedge(0.5, max_hedges=2))
    assert failure(call(service, drive)).code == "not_found"
    assert service.calls == 2


def test_a_retry_outside_repeats_the_race(drive):
    service = Replicas(Unavailable("busy"), "hang", "answer", retry=Retry())
    assert call(service, drive).value == 3


def test_every_attempt_passes_the_breaker(drive):
    breaker = Breaker(window=2, minimum_calls=2)
    service = Replicas(Unavailable("busy"), breaker=breaker, retry=Retry(attempts=9))
    assert failure(call(service, drive)).layer == "breaker"
    assert service.calls == 2


def test_after_the_deadline_no_attempt_starts_and_no_budget_is_spent():
    hedge = Hedge(5.0, budget=Budget(ratio=0, per_second=0.01))
    clock = VirtualClock()

    class Late(Service):
        calls = 0

        @entry(no_auth=True, safe=True, hedge=hedge, deadline=Deadline(20.0))
        async def get(self, late: bool):
            self.calls += 1
            if late:
                clock.advance(30.0)
            if self.calls < 3:
                await asyncio.sleep(30)

    async def main() -> None:
        service = Late()
        app = App(service, clock=clock, config={})
        first = asyncio.create_task(app.acall("late.get", late=True))
        for _ in range(9):
            await asyncio.sleep(0)
        assert service.calls == 1
        first.cancel()
        # The one hedge that the budget has is left for this call.
        assert (await asyncio.wait_for(app.acall("late.get", late=False), 10)).is_right()
        assert service.calls == 3

    asyncio.run(main())


def test_the_budget_bounds_what_hedges_add():
    clock = VirtualClock()
    started: list[int] = []

    class Slow(Service):
        @entry(no_auth=True, safe=True, hedge=Hedge(0.001))
        async def get(self):
            started.append(1)
            is_first = len(started) - answered[0] == 1
            for _ in range(10 if is_first else 0):
                await asyncio.sleep(0)

    answered = [0]

    async def main() -> None:
        app = App(Slow(), clock=clock, config={})
        for _ in range(2000):
            await app.acall("slow.get")
            answered[0] = len(started)

    asyncio.run(asyncio.wait_for(main(), 25))
    assert 2000 < len(started) <= 2200


def test_without_a_budget_every_slow_call_is_hedged(drive):
    service = Replicas("hang", "answer", hedge=Hedge(1.0, budget=None))
    assert call(service, drive).value == 2
    service = Replicas("hang", "answer", hedge=Hedge(1.0, budget=Budget(ratio=0, per_second=0.1)))
    assert call(service, drive).value == 2


def test_each_attempt_has_the_context_of_its_caller(drive):
    seen: list[Any] = []
    outer: ContextVar[str] = ContextVar("outer", default="lost")

    class Looking(Service):
        @entry(no_auth=True, safe=True, hedge=Hedge(5.0))
        def get(self):
            seen.append((current_invocation().operation, outer.get()))

    app = App(Looking(), config={})
    token = outer.set("kept")
    try:
        assert drive(app, "looking.get").is_right()
    finally:
        outer.reset(token)
        app.kill()
    assert seen == [("looking.get", "kept")]
    assert current_invocation() is None


def test_an_exit_raised_by_the_method_reaches_the_caller():
    service = Replicas(SystemExit(3))
    with pytest.raises(SystemExit):
        App(service, clock=VirtualClock(), config={}).call("replicas.get")


def test_a_stray_cancellation_is_a_failure_as_without_a_hedge():
    service = Replicas(asyncio.CancelledError())
    outcome = async_drive(App(service, clock=VirtualClock(), config={}), "replicas.aget")
    assert failure(outcome).code == "internal"


@pytest.mark.parametrize(("acts", "threads"), [(["answer"], 0), (["hang", "answer"], 1)])
def test_where_no_thread_can_be_started_the_call_is_made_without(monkeypatch, acts, threads):
    service, started, start = Replicas(*acts), [], threading.Thread.start

    def refuse(thread):
        if thread.name == "unimicro-hedge":
            started.append(thread)
            if len(started) > threads:
                service.release.set()
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    app = App(service, clock=VirtualClock(), config={})
    assert app.call("replicas.get").value == 1
    assert (service.calls, len(started)) == (1, threads + 1)


def test_in_shadow_mode_nothing_is_hedged_and_slow_calls_are_told(drive, caplog):
    clock = VirtualClock()

    class Slow(Service):
        @entry(no_auth=True, safe=True, hedge=Hedge(1.0, mode="shadow"))
        async def get(self):
            calls.append(1)
            await clock.asleep(2.0)

    calls: list[int] = []
    assert drive(App(Slow(), clock=clock, config={}), "slow.get").is_right()
    assert calls == [1]
    assert "it would have called again" in caplog.text


def test_only_safe_entries_may_have_one():
    for options in ({}, {"idempotent": True}):
        with pytest.raises(DefinitionError, match="safe=True"):
            entry(hedge=Hedge(1.0), **options)


def test_the_worst_case_is_all_attempts_one_after_another():
    assert Hedge(0.5, max_hedges=2).worst_case(Bound(3.0, 2)) == Bound(4.0, 6)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("delay", 0), ("delay", "1"), ("max_hedges", 0), ("max_hedges", 1.5), ("budget", 3)],
)
def test_impossible_settings_are_refused_by_name(setting, value):
    with pytest.raises(DefinitionError, match=rf"Hedge\.{setting}"):
        Hedge(**{"delay": 1.0, setting: value})
