"""A number of places, and the queue for them: threads and tasks in one line, first come, first served."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ticket:
    """One who waits for a place.

    Attributes:
        granted: The place is taken, for this ticket.
    """

    __slots__ = ("granted", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.granted = False
        self.wake = wake


class Places:
    """The places of one bulkhead. The lock guards the bookkeeping only: nobody waits with it.

    A place that is given back goes to the first in the queue directly, so nobody can overtake.
    """

    def __init__(self, number: int, most_waiting: int) -> None:
        self._free = number
        self._most_waiting = most_waiting
        self._queue: deque[Ticket] = deque()
        self._lock = Lock()

    def take(self) -> bool:
        """Take a place if one is free."""
        with self._lock:
            if not self._free:
                return False
            self._free -= 1
            return True

    def queue(self, wake: Callable[[], object]) -> Ticket | None:
        """Stand in line; ``None`` if the line is full.

        Args:
            wake: Called once, from any thread, when the place is granted, unless it is at once.
        """
        ticket = Ticket(wake)
        with self._lock:
            if self._free:
                self._free -= 1
                ticket.granted = True
            elif len(self._queue) < self._most_waiting:
                self._queue.append(ticket)
            else:
                return None
        return ticket

    def give_back(self) -> None:
        """Leave a place, to the next in line."""
        woken = False
        while not woken:
            with self._lock:
                if not self._queue:
                    self._free += 1
                    return
                ticket = self._queue.popleft()
                ticket.granted = True
            try:
                ticket.wake()
            except RuntimeError:
                # Its event loop is closed: nobody is there to take the place.
                continue
            woken = True

    def leave(self, ticket: Ticket) -> bool:
        """Stop waiting; whether the place was granted meanwhile, and so is the caller's."""
        with self._lock:
            if not ticket.granted:
                self._queue.remove(ticket)
            return ticket.granted
