"""The system's clock, and one that moves only when something waits for it."""

from __future__ import annotations

import time as system
from contextvars import ContextVar
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Coroutine, Generator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from unimicro.pipeline.ports import Clock


_MOMENT = 0.02
# threading.TIMEOUT_MAX without the import of threading.
_LONGEST_WAIT = 1e9
# uvloop knows whole milliseconds and ends waits up to 1.5 ms too soon: before the deadline has passed.
_EARLY = 0.002


class SystemClock:
    """Real time. asyncio is imported only by code that runs on a loop already."""

    now = staticmethod(system.monotonic)
    time = staticmethod(system.time)
    sleep = staticmethod(system.sleep)

    async def asleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    def wait_for(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, _LONGEST_WAIT))

    async def await_for(self, future: asyncio.Future[Any], seconds: float) -> bool:
        import asyncio

        await asyncio.wait({future}, timeout=seconds)
        return future.done()

    async def finish_by(self, deadline: float, work: Coroutine[Any, Any, Any]) -> Any:
        # A timer costs more than a short method: it is set when the work first waits.
        try:
            awaited = work.send(None)
        except StopIteration as finished:
            return finished.value
        async with self.timeout_at(deadline):
            return await _rest(work, awaited)

    def timeout_at(self, deadline: float) -> AbstractAsyncContextManager[Any]:
        import asyncio

        return asyncio.timeout(deadline - system.monotonic() + _EARLY)


@coroutine
def _rest(work: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """Follow a coroutine that has begun and waits for ``awaited``, as ``await`` would (PEP 380)."""
    while True:
        try:
            yield awaited
        except BaseException as error:
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, None)
        try:
            awaited = resume()
        except StopIteration as finished:
            return finished.value


class VirtualClock:
    """Time for tests: a wait returns at once and moves the clock by its length.

    A deadline set with ``timeout_at`` interrupts a longer ``asleep`` inside it, at the deadline.
    """

    def __init__(self, start: float = 1_000.0, epoch: float = 1_700_000_000.0) -> None:
        self._now = start
        self._epoch = epoch - start
        self.waits: list[float] = []
        """Every wait so far, in seconds."""

    def now(self) -> float:
        return self._now

    def time(self) -> float:
        return self._epoch + self._now

    def advance(self, seconds: float) -> None:
        """Move the clock without anybody waiting."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._now += seconds

    async def asleep(self, seconds: float) -> None:
        import asyncio

        self.waits.append(seconds)
        scope = _scope.get()
        if scope is not None and scope.deadline < self._now + seconds:
            self._now = max(self._now, scope.deadline)
            scope.expire()
        else:
            self._now += seconds
        await asyncio.sleep(0)

    def wait_for(self, event: threading.Event, seconds: float) -> bool:
        # Another thread may be about to set it: it is given a moment of real time.
        if not event.wait(_MOMENT):
            self.sleep(seconds)
        return event.is_set()

    async def await_for(self, future: asyncio.Future[Any], seconds: float) -> bool:
        if not future.done():
            await self.asleep(seconds)
        return future.done()

    async def finish_by(self, deadline: float, work: Coroutine[Any, Any, Any]) -> Any:
        async with self.timeout_at(deadline):
            return await work

    def timeout_at(self, deadline: float) -> AbstractAsyncContextManager[Any]:
        return _VirtualTimeout(deadline)


class WithoutWaits:
    """Another clock whose pauses take no time, for tests of services: retries come at once.

    What waits for somebody's work (a deadline, a place in a bulkhead) still does; time itself is not moved.

    Args:
        clock: The clock that tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.time = clock.time
        self.wait_for = clock.wait_for
        self.await_for = clock.await_for
        self.finish_by = clock.finish_by
        self.timeout_at = clock.timeout_at

    def sleep(self, seconds: float) -> None:
        """Return at once."""

    async def asleep(self, seconds: float) -> None:
        """Let other tasks run, once."""
        import asyncio

        await asyncio.sleep(0)


class _VirtualTimeout:
    """``asyncio.timeout`` on virtual time: cancels the task from inside its own wait."""

    def __init__(self, deadline: float) -> None:
        outer = _scope.get()
        self.deadline: float = deadline if outer is None else min(deadline, outer.deadline)
        self._expired = False

    async def __aenter__(self) -> None:
        import asyncio

        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self._token = _scope.set(self)

    def expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        _scope.reset(self._token)
        if self._expired and isinstance(error, asyncio.CancelledError) and self._task is not None:
            self._task.uncancel()
            raise TimeoutError from error


_scope: ContextVar[_VirtualTimeout | None] = ContextVar("unimicro_virtual_timeout", default=None)
