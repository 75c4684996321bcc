"""What a registry said before it was lost, held for a while against what it says first when it is back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.discovery import Instance

__all__ = ["Remembered"]


class Remembered:
    """The instances of one component.

    A registry that was started anew knows nothing yet: its list is honest and wrong. Until the grace is over,
    an instance that it has forgotten stays; one that it has told of since, and takes back, does not.

    Args:
        grace: Seconds from the first answer after a doubt.
        now: Monotonic seconds.
    """

    def __init__(self, grace: float, now: Callable[[], float]) -> None:
        self._grace = grace
        self._now = now
        self._last: tuple[Instance, ...] = ()
        self._forgotten: dict[str, Instance] = {}
        self._until = -math.inf

    def doubt(self) -> None:
        """The registry did not answer, or has lost what it knew."""
        self._forgotten = {instance.id: instance for instance in self._last}
        self._until = math.inf

    def with_forgotten(self, reported: tuple[Instance, ...]) -> tuple[Instance, ...]:
        """What is believed now: ``reported``, and what must not count as gone yet."""
        now = self._now()
        if self._until == math.inf:
            self._until = now + self._grace
        for instance in reported:
            self._forgotten.pop(instance.id, None)
        if now >= self._until:
            self._forgotten.clear()
        self._last = (*reported, *self._forgotten.values())
        return self._last

    def at_most(self, seconds: float) -> float:
        """``seconds``, or less where the grace ends before."""
        if not self._forgotten or self._until == math.inf:
            return seconds
        return min(seconds, max(0.0, self._until - self._now()) + 0.01)
