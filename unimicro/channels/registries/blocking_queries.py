"""A watch by blocking queries (https://developer.hashicorp.com/consul/api-docs/features/blocking)."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from unimicro.channels.registries.remembered import Remembered
from unimicro.discovery import RegistryUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.channels.registries.watching import Watch
    from unimicro.discovery import Instance

    Ask = Callable[[int, float], tuple[int, tuple[Instance, ...]]]

__all__ = ["BlockingQueries"]

FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 5.0
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Seconds between two questions about what changes all the time."""
QUICK = 1.0
"""Seconds: an answer that came sooner brought news, or came too soon."""


class BlockingQueries:
    """Asks again and again, each time from the index of the answer before.

    Args:
        ask: From index (0: at once) and most seconds to wait, to index and instances.
        wait: Seconds that a query waits at most.
        grace: See ``Remembered``.
        now: Monotonic seconds.
    """

    def __init__(
        self, ask: Ask, wait: float, grace: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._wait = wait
        self._now = now
        self._remembered = Remembered(grace, now)
        self._index = 0
        self._quick = 0

    def step(self, watch: Watch) -> float:
        """Ask once, and tell; how many seconds to pause before the next step."""
        began = self._now()
        try:
            index, instances = self._ask(self._index, self._remembered.at_most(self._wait))
        except RegistryUnavailable as error:
            watch.failed(error)
            self._remembered.doubt()
            self._index = 0
            return _drawn(FIRST_BACKOFF, LONGEST_BACKOFF, watch.failures)
        watch.answered()
        self._follow_index(index)
        watch.tell(self._remembered.with_forgotten(instances))
        self._quick = self._quick + 1 if self._now() - began < QUICK else 0
        return _drawn(FIRST_PAUSE, LONGEST_PAUSE, self._quick)

    def _follow_index(self, index: int) -> None:
        if index < self._index:
            # The agent was started anew, or its state restored: its numbers begin again.
            self._remembered.doubt()
            self._index = 0
        else:
            # With an index of 0 the next query would not wait.
            self._index = max(1, index)


def _drawn(first: float, longest: float, times: int) -> float:
    """Doubled each time, and drawn: the clients of one agent must not come all at once."""
    return min(longest, first * 2.0 ** min(times, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
