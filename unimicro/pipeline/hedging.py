"""Several attempts at one call, started one after another while none has answered: as threads, or as tasks.

The two layers are one program in two colours, as the drivers are.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from unimicro.invocation import Invocation
    from unimicro.outcome import Outcome
    from unimicro.pipeline.ports import Clock


class Rules(NamedTuple):
    """What both colours go by.

    Attributes:
        delay: Seconds without an answer before one more attempt.
        most: Attempts beyond the first.
        may_start: Asked before each of these.
        clock: Of the app.
    """

    delay: float
    most: int
    may_start: Callable[[Invocation], bool]
    clock: Clock


def race_threads(below: Callable[[Invocation], Outcome[Any]], rules: Rules) -> Callable[[Invocation], Any]:
    """The layer of the sync driver. The losers run on: no thread can be stopped."""

    def layer(invocation: Invocation) -> Outcome[Any]:
        attempts, left = _Threads(below, invocation), rules.most
        attempts.start()
        while True:
            in_time = attempts.wait(rules.clock, rules.delay if left else None)
            outcome = attempts.best()
            if outcome is not None:
                return outcome
            if not in_time:
                left -= 1
                if rules.may_start(invocation):
                    attempts.start()
                else:
                    left = 0

    return layer


def race_tasks(
    below: Callable[[Invocation], Awaitable[Outcome[Any]]], rules: Rules
) -> Callable[[Invocation], Any]:
    """The layer of the async driver. The losers are cancelled, and not waited for."""

    async def layer(invocation: Invocation) -> Outcome[Any]:
        attempts, left = _Tasks(below, invocation), rules.most
        try:
            attempts.start()
            while True:
                in_time = await attempts.wait(rules.clock, rules.delay if left else None)
                outcome = attempts.best()
                if outcome is not None:
                    return outcome
                if not in_time:
                    left -= 1
                    if rules.may_start(invocation):
                        attempts.start()
                    else:
                        left = 0
        finally:
            attempts.cancel()

    return layer


class _Attempts:
    """Attempts of one call, and what those that have ended came back with."""

    def __init__(self, below: Callable[[Invocation], Any], invocation: Invocation) -> None:
        self.below = below
        self.invocation = invocation
        self._running = 0
        self._ended: deque[Outcome[Any] | BaseException] = deque()
        self._last: Outcome[Any] | None = None

    def best(self) -> Outcome[Any] | None:
        """An answer, or a failure that will not pass; another failure only when no attempt runs any more.

        Raises:
            BaseException: What an attempt ended with.
        """
        while self._ended:
            self._running -= 1
            end = self._ended.popleft()
            if isinstance(end, BaseException):
                raise end
            failure, is_right = end.monoid
            if is_right or failure.retryable == "no":
                return end
            self._last = end
        return None if self._running else self._last


class _Threads(_Attempts):
    def __init__(self, below: Callable[[Invocation], Any], invocation: Invocation) -> None:
        super().__init__(below, invocation)
        self._news = threading.Event()

    def start(self) -> None:
        # As a daemon: a loser that hangs must not keep the process from ending.
        thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="unimicro-hedge", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # The system gives no more threads: those that run are waited for, and the first runs here.
            if self._running:
                return
            self._run()
        self._running += 1

    def _run(self) -> None:
        # Whatever it is, it is raised where the call is waited for.
        try:
            self._ended.append(self.below(self.invocation))
        except BaseException as error:
            self._ended.append(error)
        self._news.set()

    def wait(self, clock: Clock, seconds: float | None) -> bool:
        """Wait until an attempt has ended; whether one has within ``seconds``."""
        in_time = self._news.wait() if seconds is None else clock.wait_for(self._news, seconds)
        if in_time:
            self._news.clear()
        return in_time


class _Tasks(_Attempts):
    def __init__(self, below: Callable[[Invocation], Any], invocation: Invocation) -> None:
        super().__init__(below, invocation)
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: asyncio.Future[None] | None = None

    def start(self) -> None:
        import asyncio

        self._running += 1
        task = asyncio.create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            self._ended.append(await self.below(self.invocation))
        except BaseException as error:
            self._ended.append(error)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def wait(self, clock: Clock, seconds: float | None) -> bool:
        """Wait until an attempt has ended; whether one has within ``seconds``."""
        import asyncio

        # A method that never waits ends in its first turn, and needs no timer.
        await asyncio.sleep(0)
        if self._ended:
            return True
        self._news = asyncio.get_running_loop().create_future()
        if seconds is not None:
            return await clock.await_for(self._news, seconds)
        await self._news
        return True

    def cancel(self) -> None:
        """Cancel what runs still."""
        for task in self._tasks:
            task.cancel()
            # The loop itself keeps no task alive.
            _cancelled.add(task)
            task.add_done_callback(_cancelled.discard)


_cancelled: set[asyncio.Task[None]] = set()
