"""Which endpoint gets the next call.

A selector chooses among the endpoints that may be called: those whose circuit is open, and those that this
call has been to, are left out before it is asked. Any object with a method ``choose`` is one; a factory of it
is given as ``selector``.
"""

from __future__ import annotations

from random import random
from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unimicro.channels.client.endpoints import Endpoint

__all__ = ["First", "Random", "RoundRobin", "Selector", "TwoChoices"]


class Selector(Protocol):
    """Chooses among endpoints that may be called; one selector object serves one service."""

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        """One of ``endpoints``, which are never none. Called from any thread; must not wait."""


class First:
    """Always the first: the others stand by."""

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        return endpoints[0]


class Random:
    """Any, with equal chances."""

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        return endpoints[int(random() * len(endpoints))]  # noqa: S311


class RoundRobin:
    """The one whose turn is longest ago: of endpoints that stay, none is chosen twice before all were once.

    That holds while others come and go. A new one has its turn next, once.
    """

    _SPARE = 100

    def __init__(self) -> None:
        self._lock = Lock()
        self._turn = 0
        self._turns: dict[Endpoint, int] = {}

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        with self._lock:
            turns = self._turns
            chosen = min(endpoints, key=lambda endpoint: turns.get(endpoint, 0))
            self._turn += 1
            turns[chosen] = self._turn
            if len(turns) > 2 * len(endpoints) + self._SPARE:
                self._forget()
            return chosen

    def _forget(self) -> None:
        """Forget those whose turn is longest ago: endpoints that are gone."""
        latest = sorted(self._turns.items(), key=lambda item: item[1])[self._SPARE // 2 :]
        self._turns = dict(latest)


class TwoChoices:
    """The better of two drawn at random: by latency times the calls under way, see ``Endpoint.cost``.

    After Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001): nearly as even as the
    best of all, and clients that do not know of each other do not all choose the same.
    """

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        count = len(endpoints)
        if count == 1:
            return endpoints[0]
        first = int(random() * count)  # noqa: S311
        second = int(random() * (count - 1))  # noqa: S311
        one, other = endpoints[first], endpoints[second + (second >= first)]
        return other if other.cost() < one.cost() else one
