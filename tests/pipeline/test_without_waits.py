"""The switch that removes the waits of policies, for tests of services."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.core.helpers import failure
from unimicro import App, Deadline, Retry, Service, entry
from unimicro.errors import Unavailable
from unimicro.pipeline.clock import SystemClock, VirtualClock, WithoutWaits


@pytest.mark.timeout(20)
def test_retries_come_at_once(drive):
    calls: list[int] = []

    class Failing(Service):
        @entry(no_auth=True, safe=True, retry=Retry(attempts=5, base=500.0, cap=500.0))
        def get(self):
            calls.append(1)
            raise Unavailable("down", retry_after=600.0 if len(calls) == 1 else None)

    app = App(Failing(), clock=WithoutWaits(SystemClock()), config={})
    assert failure(drive(app, "failing.get")).code == "unavailable"
    assert len(calls) == 5


@pytest.mark.timeout(20)
def test_the_setting_does_the_same(drive):
    class Failing(Service):
        @entry(no_auth=True, safe=True, retry=Retry(base=500.0, backoff="constant"))
        def get(self):
            raise Unavailable("down")

    app = App(Failing(), config={"waits": False})
    assert failure(drive(app, "failing.get")).code == "unavailable"


@pytest.mark.timeout(20)
def test_an_async_pause_still_lets_others_run_and_be_cancelled():
    clock = WithoutWaits(SystemClock())

    async def main() -> None:
        async def pause_for_ever() -> None:
            while True:
                await clock.asleep(100)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pause_for_ever(), 0.01)

    asyncio.run(main())


@pytest.mark.timeout(20)
def test_deadlines_still_hold(drive):
    class Slow(Service):
        @entry(no_auth=True, deadline=Deadline(0.05))
        async def get(self):
            await asyncio.sleep(30)

    app = App(Slow(), clock=WithoutWaits(SystemClock()), config={})
    assert failure(drive(app, "slow.get")).code == "deadline_exceeded"


@pytest.mark.timeout(20)
def test_what_waits_for_somebody_still_does():
    clock, event = WithoutWaits(SystemClock()), threading.Event()
    thread = threading.Timer(0.02, event.set)
    thread.start()
    assert clock.wait_for(event, 10.0)
    thread.join(10)

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.02, future.set_result, None)
        assert await clock.await_for(future, 10.0)
        assert not await clock.await_for(asyncio.get_running_loop().create_future(), 0.001)

    asyncio.run(main())


def test_time_is_that_of_the_clock_inside():
    inner = VirtualClock()
    clock = WithoutWaits(inner)
    clock.sleep(5)
    assert (clock.now(), inner.waits) == (inner.now(), [])
    inner.advance(3)
    assert (clock.now(), clock.time()) == (inner.now(), inner.time())
