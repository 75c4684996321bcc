"""Small protocols for everything stateful that the pipeline uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractAsyncContextManager


class Clock(Protocol):
    """All time goes through here, so that every wait can run on a virtual clock."""

    def now(self) -> float:
        """Monotonic seconds."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling task."""

    async def finish_by(self, deadline: float, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of ``work``, cancelled at ``deadline`` (monotonic seconds) with ``TimeoutError``."""

    def timeout_at(self, deadline: float) -> AbstractAsyncContextManager[Any]:
        """Cancel the task's work inside at ``deadline`` (monotonic seconds) with ``TimeoutError``."""
