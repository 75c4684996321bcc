"""Idempotency keys while the first call runs, and when it crashes, is late or is cancelled."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.core.helpers import failure
from tests.pipeline.idempotency.calls import Blocking, Slow, Till, calling, invocation, leave_claimed, till
from unimicro import App, Deadline, Idempotency, Service, Timeout, VirtualClock, entry

# -- in progress ----------------------------------------------------------------------------------------


class Gate(VirtualClock):
    """The first wait of anybody lets the slow call go; each gives it time to end."""

    def __init__(self, slow: Slow, first: list[threading.Thread]) -> None:
        super().__init__()
        self._slow, self._first = slow, first

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._slow.go.set()
        for thread in self._first:
            thread.join(20)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


def test_a_call_in_progress_is_409_and_says_when_to_come_back(send, store):
    slow = Slow(Idempotency(store=store))
    app = App(slow, clock=VirtualClock())
    answers: list[Any] = []
    first = slow.start(app, answers)
    refused = failure(send(app, "slow.pay", "k1"))
    other = failure(send(app, "slow.pay", "k1", amount=2))
    slow.go.set()
    first.join(20)
    assert (refused.code, refused.status, refused.layer) == ("aborted", 409, "idempotency")
    assert refused.retry_after == 1.0
    assert refused.headers == {"Retry-After": "1"}
    assert other.status == 422
    assert answers[0].value == {"receipt": 1}
    assert slow.calls == 1


def test_a_call_may_wait_for_the_answer_of_the_first(send, store):
    slow = Slow(Idempotency(store=store, on_duplicate="wait", poll=0.5))
    running: list[threading.Thread] = []
    clock = Gate(slow, running)
    app = App(slow, clock=clock)
    answers: list[Any] = []
    running.append(slow.start(app, answers))
    assert send(app, "slow.pay", "k1").value == {"receipt": 1}
    assert answers[0].value == {"receipt": 1}
    assert slow.calls == 1
    assert clock.waits == [0.5]


def test_a_wait_ends_when_the_lease_of_a_crashed_call_does(send, store):
    clock = VirtualClock()
    _service, app = till(store, clock=clock, on_duplicate="wait", lease=60.0, poll=7.0)
    leave_claimed(store, clock)
    clock.advance(50)
    assert send(app, "till.pay", "k1").value["receipt"] == 1
    assert clock.waits == pytest.approx([7.0, 3.0])


def test_nobody_waits_longer_than_a_lease(send, store):
    clock = VirtualClock()
    _service, app = till(store, clock=clock, on_duplicate="wait", lease=10.0, poll=1.0)
    leave_claimed(store, clock, lease=1000.0)
    assert failure(send(app, "till.pay", "k1")).code == "aborted"
    assert sum(clock.waits) == 10.0


def test_a_wait_that_would_reach_the_deadline_is_not_begun(send, store):
    clock = VirtualClock()
    service = Till(Idempotency(store=store, on_duplicate="wait", poll=0.4), deadline=Deadline(1.0))
    app = App(service, clock=clock)
    leave_claimed(store, clock)
    assert failure(send(app, "till.pay", "k1")).code == "aborted"
    assert clock.waits == [0.4, 0.4]


@pytest.mark.parametrize("waiting", [False, True], ids=["reject", "wait"])
def test_of_many_calls_at_once_in_threads_one_runs(store, waiting):
    slow = Slow(Idempotency(store=store, on_duplicate="wait" if waiting else "reject", poll=0.01))
    app = App(slow)
    answers: list[Any] = []
    first = slow.start(app, answers)
    others = [calling(app, answers) for _ in range(20)]
    for thread in others:
        thread.start()
    if not waiting:
        for thread in others:
            thread.join(20)
    slow.go.set()
    for thread in (first, *others):
        thread.join(20)
    assert slow.calls == 1
    assert sum(answer.is_right() for answer in answers) == (21 if waiting else 1)
    assert {failure(answer).code for answer in answers if answer.is_left()} == (
        set() if waiting else {"aborted"}
    )


@pytest.mark.parametrize("waiting", [False, True], ids=["reject", "wait"])
def test_of_many_calls_at_once_in_tasks_one_runs(store, waiting):
    calls = 0

    class Tasks(Service):
        @entry(
            no_auth=True, idempotency=Idempotency(store=store, on_duplicate="wait" if waiting else "reject")
        )
        async def pay(self):
            nonlocal calls
            calls += 1
            began.set()
            await go.wait()
            return calls

    async def main() -> list[Any]:
        app = App(Tasks(), clock=VirtualClock())
        first = asyncio.create_task(app.arun(invocation("tasks.pay", "k1")))
        await began.wait()
        others = [asyncio.create_task(app.arun(invocation("tasks.pay", "k1"))) for _ in range(50)]
        if not waiting:
            await asyncio.wait(others)
        go.set()
        return await asyncio.gather(first, *others)

    began, go = asyncio.Event(), asyncio.Event()
    answers = asyncio.run(asyncio.wait_for(main(), 30))
    assert calls == 1
    assert sum(answer.is_right() for answer in answers) == (51 if waiting else 1)
    assert all(failure(answer).code == "aborted" for answer in answers if answer.is_left())


# -- crashed, late, cancelled ---------------------------------------------------------------------------


def test_a_crashed_call_can_be_made_again_after_its_lease(send, store):
    clock = VirtualClock()
    service, app = till(store, clock=clock, lease=60.0)
    leave_claimed(store, clock)
    clock.advance(59.5)
    refused = failure(send(app, "till.pay", "k1"))
    assert (refused.code, service.paid) == ("aborted", [])
    assert refused.retry_after == pytest.approx(0.5)
    clock.advance(0.5)
    assert send(app, "till.pay", "k1").value["receipt"] == 1


def test_a_call_that_lost_its_lease_does_not_overwrite_the_other_ones_answer(send, store, caplog):
    clock = VirtualClock()

    class Late(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(store=store, lease=60.0))
        def pay(self):
            Late.calls += 1
            if Late.calls == 1:
                clock.advance(61.0)
                inner.append(app.run(invocation("late.pay", "k1")).value)
                return "late"
            return "in time"

    inner: list[str] = []
    app = App(Late(), clock=clock)
    assert send(app, "late.pay", "k1").value == "late"
    assert inner == ["in time"]
    assert send(app, "late.pay", "k1").value == "in time"
    assert "longer than its lease" in caplog.text


def test_a_late_answer_counts_when_nobody_else_made_the_call(send, store):
    clock = VirtualClock()

    class Late(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(store=store, lease=60.0))
        def pay(self):
            Late.calls += 1
            clock.advance(61.0)
            return Late.calls

    app = App(Late(), clock=clock)
    assert [send(app, "late.pay", "k1").value for _ in range(2)] == [1, 1]


def test_a_call_that_is_interrupted_gives_its_key_back(store):
    _service, app = till(store, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        app.run(invocation("till.pay", "k1"))
    assert app.run(invocation("till.pay", "k1")).value["receipt"] == 2


def released(store: Any) -> threading.Event:
    """Set when the store has released something."""
    told, release = threading.Event(), store.release

    def telling(*args: Any) -> None:
        release(*args)
        told.set()

    store.release = telling
    return told


def test_a_cancelled_call_gives_its_key_back(store):
    told = released(store)

    class Tasks(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(store=store))
        async def pay(self):
            Tasks.calls += 1
            began.set()
            if Tasks.calls == 1:
                await asyncio.Event().wait()
            return Tasks.calls

    async def main() -> Any:
        app = App(Tasks(), clock=VirtualClock())
        first = asyncio.create_task(app.arun(invocation("tasks.pay", "k1")))
        await began.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await asyncio.to_thread(told.wait, 20)
        return await app.arun(invocation("tasks.pay", "k1"))

    began = asyncio.Event()
    assert asyncio.run(asyncio.wait_for(main(), 30)).value == 2


@pytest.mark.parametrize("answered_before", [True, False])
def test_a_claim_granted_to_a_caller_that_has_gone_is_given_back(answered_before):
    """Cancelled while a worker thread claims the key: the method never runs."""
    claiming, hold = threading.Event(), threading.Event()

    class Stuck(Blocking):
        def claim(self, *args: Any) -> Any:
            held = super().claim(*args) if answered_before or hold.is_set() else None
            if not hold.is_set():
                claiming.set()
                assert hold.wait(20)
                held = held if answered_before else super().claim(*args)
            return held

    async def main() -> Any:
        first = asyncio.create_task(app.arun(invocation("till.pay", "k1")))
        assert await asyncio.to_thread(claiming.wait, 20)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        hold.set()
        assert await asyncio.to_thread(told.wait, 20)
        return await app.arun(invocation("till.pay", "k1"))

    store = Stuck()
    told = released(store)
    service, app = till(store)
    assert asyncio.run(asyncio.wait_for(main(), 30)).value["receipt"] == 1
    assert service.paid == [1]


def test_an_answer_is_stored_although_the_caller_went_while_it_was():
    """Cancelled before a worker thread told the store: the effect has been, so it is told by another."""
    telling, hold, told = threading.Event(), threading.Event(), threading.Event()

    class Stuck(Blocking):
        def complete(self, *args: Any) -> bool:
            if threading.current_thread().name != "unimicro-idempotency":
                telling.set()
                return hold.wait(20)
            stored = super().complete(*args)
            told.set()
            return stored

    async def main() -> None:
        task = asyncio.create_task(app.arun(invocation("till.pay", "k1")))
        assert await asyncio.to_thread(telling.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(told.wait, 20)
        hold.set()

    service, app = till(Stuck())
    asyncio.run(asyncio.wait_for(main(), 30))
    assert app.run(invocation("till.pay", "k1")).value["receipt"] == 1
    assert service.paid == [1]


def test_a_call_that_cannot_be_stopped_keeps_its_key(store):
    """Cancelled on a loop, a sync method goes on in its worker thread: nobody else may run it meanwhile."""
    slow = Slow(Idempotency(store=store, lease=60.0))
    clock = VirtualClock()
    app = App(slow, clock=clock)

    async def main() -> Any:
        first = asyncio.create_task(app.arun(invocation("slow.pay", "k1")))
        assert await asyncio.to_thread(slow.began.wait, 20)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = await app.arun(invocation("slow.pay", "k1"))
        slow.go.set()
        return second

    assert failure(asyncio.run(asyncio.wait_for(main(), 30))).code == "aborted"
    assert slow.calls == 1
    clock.advance(60)
    assert app.run(invocation("slow.pay", "k1")).is_right()


def test_a_call_that_goes_on_after_its_deadline_keeps_its_key(store):
    slow = Slow(Idempotency(store=store, lease=60.0))
    app = App(slow, policies=[Deadline(0.2)])

    async def main() -> list[Any]:
        return [failure(await app.arun(invocation("slow.pay", "k1"))).code for _ in range(2)]

    codes = asyncio.run(asyncio.wait_for(main(), 30))
    slow.go.set()
    assert codes == ["deadline_exceeded", "aborted"]
    assert slow.calls == 1


def test_a_call_that_ended_with_its_deadline_gives_its_key_back(store):
    class Tasks(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(store=store), deadline=Deadline(0.2))
        async def pay(self):
            Tasks.calls += 1
            if Tasks.calls == 1:
                await asyncio.Event().wait()
            return Tasks.calls

    async def main() -> list[Any]:
        return [await app.arun(invocation("tasks.pay", "k1")) for _ in range(2)]

    app = App(Tasks())
    first, second = asyncio.run(asyncio.wait_for(main(), 30))
    assert failure(first).code == "deadline_exceeded"
    assert second.value == 2


@pytest.mark.parametrize("bound", [Deadline(1), Timeout(1)], ids=["deadline", "timeout"])
def test_what_came_too_late_is_the_answer_to_the_next_call_with_the_key(bound):
    clock = VirtualClock()
    effects = []

    class Late(Service):
        @entry(no_auth=True, idempotency=Idempotency(), policies=[bound])
        def pay(self):
            effects.append(1)
            clock.sleep(5)
            return len(effects)

    app = App(Late(), clock=clock)
    assert failure(app.run(invocation("late.pay", "k-1"))).code == "deadline_exceeded"
    assert app.run(invocation("late.pay", "k-1")).value == 1
    assert effects == [1]
