"""What a breaker remembers of recent calls: the last ones by number, or those of the last seconds."""

from __future__ import annotations

from math import floor
from typing import NamedTuple, Protocol

__all__ = ["CountWindow", "Tally", "TimeWindow", "Window"]


class Tally(NamedTuple):
    """Calls of a window.

    Attributes:
        calls: All of them.
        failed: Those that failed.
        slow: Those that took too long, failed or not.
    """

    calls: int
    failed: int
    slow: int


class Window(Protocol):
    """Recent calls, counted in constant time whatever the window's size.

    Attributes:
        calls: See ``Tally``; right just after ``add``.
        failed: As ``calls``.
        slow: As ``calls``.
        saturated: One more success that is not slow would change nothing.
    """

    calls: int
    failed: int
    slow: int
    saturated: bool

    def add(self, failed: bool, slow: bool, now: float) -> None:
        """Take note of a call that ended at ``now`` (monotonic seconds)."""

    def tally(self, now: float) -> Tally:
        """The calls that are in the window at ``now`` (monotonic seconds)."""


class CountWindow:
    """The last ``size`` calls, in a ring."""

    def __init__(self, size: int) -> None:
        self.calls = self.failed = self.slow = 0
        self.saturated = False
        self._ring = bytearray(size)
        self._next = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        ring, place = self._ring, self._next
        if self.calls == len(ring):
            self.failed -= ring[place] & 1
            self.slow -= ring[place] >> 1
        else:
            self.calls += 1
        ring[place] = failed | slow << 1
        self.failed += failed
        self.slow += slow
        self._next = (place + 1) % len(ring)
        self.saturated = self.calls == len(ring) and not self.failed and not self.slow

    def tally(self, now: float) -> Tally:
        return Tally(self.calls, self.failed, self.slow)


class TimeWindow:
    """The calls of this second and of the ``seconds - 1`` before, in a ring of one bucket a second.

    A bucket that has become too old is taken off the totals when time is next looked at.
    """

    def __init__(self, seconds: int) -> None:
        self.calls = self.failed = self.slow = 0
        self.saturated = False  # for good: a success that is not counted now would be missed later
        self._ring = [[0, 0, 0] for _ in range(seconds)]
        self._bucket = self._ring[0]
        self._next_second: int | None = None

    def add(self, failed: bool, slow: bool, now: float) -> None:
        # A thread may come with a reading of the clock that is older than the last one.
        if self._next_second is None or now >= self._next_second:
            self._move_to(floor(now))
        bucket = self._bucket
        bucket[0] += 1
        self.calls += 1
        if failed:
            bucket[1] += 1
            self.failed += 1
        if slow:
            bucket[2] += 1
            self.slow += 1

    def tally(self, now: float) -> Tally:
        if self._next_second is not None and now >= self._next_second:
            self._move_to(floor(now))
        return Tally(self.calls, self.failed, self.slow)

    def _move_to(self, second: int) -> None:
        """Empty the buckets of the seconds that have come since, once each."""
        size = len(self._ring)
        first = second if self._next_second is None else max(self._next_second, second - size + 1)
        for passed in range(first, second + 1):
            bucket = self._ring[passed % size]
            self.calls -= bucket[0]
            self.failed -= bucket[1]
            self.slow -= bucket[2]
            bucket[:] = (0, 0, 0)
        self._bucket = self._ring[second % size]
        self._next_second = second + 1
