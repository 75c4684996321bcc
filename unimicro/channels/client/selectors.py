"""Which endpoint gets the next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unimicro.channels.client.endpoints import Endpoint

__all__ = ["First", "Selector"]


class Selector(Protocol):
    """Chooses among endpoints that may be called; one selector object serves one service."""

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        """One of ``endpoints``, which are never none. Called from any thread."""


class First:
    """Always the first: the others stand by."""

    def choose(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        return endpoints[0]
