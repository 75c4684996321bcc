"""Bulkhead: so many calls at a time, the others refused or queued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.places import Places
from unimicro.pipeline.policy import Bound, Policy, require_above_zero, require_text, require_whole
from unimicro.pipeline.stages import ORDER, Await, Bracket, Stage, Steps

if TYPE_CHECKING:
    import asyncio

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.places import Ticket
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock


@dataclass(frozen=True)
class Bulkhead(Policy):
    """Let so many calls run at a time, so that one slow dependency cannot take all threads.

    A call without a place waits up to ``max_wait`` in line, never beyond its deadline; then it is refused
    with ``resource_exhausted``, layer ``bulkhead``. To a breaker that is neutral: the limit is ours, and
    tells nothing of the dependency.

    Args:
        max_concurrent: Calls at a time, sync and async ones together.
        max_wait: Seconds in line; 0 refuses at once.
        max_waiting: Calls in line; one more is refused at once.
        retry_after: Seconds after which a refused caller may come back.
        pool: Entries that name the same pool share its places; the operation's own if empty.
    """

    max_concurrent: int
    max_wait: float = 0.0
    max_waiting: int = 100
    retry_after: float = 1.0
    pool: str = ""
    name = "bulkhead"

    def __post_init__(self) -> None:
        require_whole(self, max_concurrent=self.max_concurrent, max_waiting=self.max_waiting)
        if self.max_wait != 0 or self.max_wait is False:
            require_above_zero(self, max_wait=self.max_wait)
        require_text(self, 0, pool=self.pool)
        require_above_zero(self, retry_after=self.retry_after)

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        pool = self.pool or operation.name
        line = assembly.shared("bulkhead", pool, lambda: _Line(pool, self, assembly.clock), self)
        bracket = Bracket(line.enter, line.leave)
        # In shadow mode nobody is kept waiting.
        if self.max_wait == 0 or self.mode == "shadow":
            return Stage(self.name, ORDER["bulkhead"], bracket, "bracket")
        return Stage(self.name, ORDER["bulkhead"], line.flow, "flow", bracket)

    def worst_case(self, below: Bound) -> Bound:
        return below._replace(seconds=below.seconds + self.max_wait)


class _Line:
    """The places of one pool, and the two ways to wait for one."""

    def __init__(self, pool: str, settings: Bulkhead, clock: Clock) -> None:
        self._clock = clock
        self._places = Places(settings.max_concurrent, settings.max_waiting)
        self._max_wait = 0.0 if settings.mode == "shadow" else settings.max_wait
        self._refusal = Failure(
            "resource_exhausted",
            f"{settings.max_concurrent} calls run already",
            layer=settings.name,
            policy=pool,
            retry_after=settings.retry_after,
        )

    def enter(self, invocation: Invocation) -> bool | Failure:
        """A place for a call of the sync driver, which blocks its thread meanwhile."""
        return self._places.take() or self._block(self._patience(invocation)) or self._refusal

    def leave(self, _: bool, __: Outcome[Any] | None) -> None:
        self._places.give_back()

    def flow(self, invocation: Invocation) -> Steps:
        """The same for the async driver, which suspends its task."""
        if not self._places.take():
            seconds = self._patience(invocation)
            if not (yield Await(self._suspend, seconds)):
                return Left(self._refusal)
        try:
            return (yield invocation)
        finally:
            self._places.give_back()

    def _patience(self, invocation: Invocation) -> float:
        if self._max_wait == 0 or invocation.deadline is None:
            return self._max_wait
        return max(0.0, min(self._max_wait, invocation.deadline - self._clock.now()))

    def _block(self, seconds: float) -> bool:
        if seconds == 0:
            return False
        import threading

        granted = threading.Event()
        ticket = self._places.queue(granted.set)
        if ticket is None or ticket.granted:
            return ticket is not None
        try:
            self._clock.wait_for(granted, seconds)
        except BaseException:
            self._abandon(ticket)
            raise
        return self._places.leave(ticket)

    async def _suspend(self, seconds: float) -> bool:
        if seconds == 0:
            return False
        import asyncio

        loop = asyncio.get_running_loop()
        granted = loop.create_future()
        # Whoever gives the place back may be another thread.
        ticket = self._places.queue(lambda: loop.call_soon_threadsafe(_settle, granted))
        if ticket is None or ticket.granted:
            return ticket is not None
        try:
            await self._clock.await_for(granted, seconds)
        except BaseException:
            self._abandon(ticket)
            raise
        return self._places.leave(ticket)

    def _abandon(self, ticket: Ticket) -> None:
        if self._places.leave(ticket):
            self._places.give_back()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
