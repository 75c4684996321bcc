"""Who may begin the next call where a server takes so many at a time: first come, first served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unimicro.pipeline.ports import Clock

__all__ = ["Turns"]


class Turns:
    """A queue of calls on one event loop.

    Attributes:
        called: How many have been called but have not begun; their places are taken.
    """

    def __init__(self) -> None:
        self._queue: dict[asyncio.Future[None], None] = {}
        self.called = 0

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return bool(self._queue)

    async def wait(self, clock: Clock, deadline: float | None) -> bool:
        """Wait for one's turn; whether it came by ``deadline``. A turn that a cancelled task had is over."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        try:
            if deadline is None:
                await asyncio.wait((turn,))
            else:
                await clock.await_for(turn, deadline - clock.now())
        finally:
            if turn.done():
                self.called -= 1
            else:
                del self._queue[turn]
        return turn.done()

    def call(self, most: int) -> None:
        """Call up to ``most`` of those who wait."""
        while self._queue and most > 0:
            most -= 1
            turn = next(iter(self._queue))
            del self._queue[turn]
            self.called += 1
            turn.set_result(None)

    def call_all(self) -> None:
        """Call everybody."""
        self.call(len(self._queue))
