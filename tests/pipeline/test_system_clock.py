"""``SystemClock.finish_by`` sets its timer when the work first waits, and is an ``await`` in all else."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from unimicro.pipeline.clock import SystemClock

clock = SystemClock()


def finish(work, seconds=30.0):
    async def main():
        task = asyncio.create_task(clock.finish_by(clock.now() + seconds, work))
        done, _ = await asyncio.wait({task}, timeout=10)
        assert done, "it never ended"
        return await task

    return asyncio.run(main())


async def wait_forever(ended):
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.append("cleaned up")


async def wait_thrice():
    return [await asyncio.sleep(0, number) for number in range(3)]


async def raise_after_waiting():
    await asyncio.sleep(0)
    raise LookupError("late")


def test_work_that_never_waits_sets_no_timer(monkeypatch):
    async def at_once():
        return 5

    monkeypatch.delattr(SystemClock, "timeout_at")
    assert finish(at_once()) == 5


def test_work_that_waits_goes_on_to_its_result():
    assert finish(wait_thrice()) == [0, 1, 2]


def test_work_that_raises_after_it_waited_raises():
    with pytest.raises(LookupError):
        finish(raise_after_waiting())


def test_work_is_cancelled_at_the_deadline_and_may_wait_while_it_cleans_up():
    ended = []
    with pytest.raises(TimeoutError):
        finish(wait_forever(ended), seconds=0.01)
    assert ended == ["cleaned up"]


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_no_loop_ends_the_work_before_the_deadline(new_loop):
    early = []

    async def late(seconds):
        deadline = clock.now() + seconds
        with pytest.raises(TimeoutError):
            await clock.finish_by(deadline, asyncio.sleep(30))
        early.append(max(0.0, deadline - clock.now()))

    async def main():
        await asyncio.gather(*(late(0.01 + number / 10_000) for number in range(200)))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert early == [0.0] * 200


def test_a_cancelled_caller_cancels_the_work():
    ended = []

    async def main():
        task = asyncio.create_task(clock.finish_by(clock.now() + 30, wait_forever(ended)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)

    asyncio.run(main())
    assert ended == ["cleaned up"]


def test_work_that_swallows_the_cancellation_answers():
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "anyway"

    assert finish(stubborn(), seconds=0.01) == "anyway"


def test_closing_the_call_closes_the_work():
    ended = []

    async def work():
        try:
            await asyncio.sleep(1)
        finally:
            ended.append("closed")

    async def main():
        call = clock.finish_by(clock.now() + 30, work())
        call.send(None)
        call.close()

    asyncio.run(main())
    assert ended == ["closed"]
