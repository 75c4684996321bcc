"""One object for each event loop: connections belong to the loop that made them."""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Made when it is first asked for on a loop, forgotten once the loop is closed.

    Args:
        make: Makes one, on its loop.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._of_loops: WeakKeyDictionary[AbstractEventLoop, T] = WeakKeyDictionary()

    def here(self) -> T:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        found = self._of_loops.get(loop)
        if found is None:
            # Nobody else makes one for this loop meanwhile: it runs this.
            found = self._make()
            with self._lock:
                # Weak keys do not do alone: what belongs to a loop mostly refers to it.
                for closed in [known for known in self._of_loops if known.is_closed()]:
                    del self._of_loops[closed]
                self._of_loops[loop] = found
        return found

    def take(self) -> T | None:
        """That of the running loop, which is forgotten; ``None`` where there is none."""
        with self._lock:
            return self._of_loops.pop(asyncio.get_running_loop(), None)

    def take_all(self) -> list[tuple[AbstractEventLoop, T]]:
        """Those of all loops that are not closed; all are forgotten."""
        with self._lock:
            taken = [(loop, found) for loop, found in self._of_loops.items() if not loop.is_closed()]
            self._of_loops.clear()
            return taken
