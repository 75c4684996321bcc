"""The seam below the HTTP channels: a request goes out, a whole answer comes back, in two colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from unimicro.channels.client.http_refusals import malformed, too_large
from unimicro.errors import UnimicroError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from unimicro.channels.client.http_settings import Address, HttpSettings
    from unimicro.outcome import Failure
    from unimicro.pipeline.ports import Clock

__all__ = [
    "Answer",
    "Body",
    "BrokenConnection",
    "Message",
    "NotReached",
    "Parts",
    "Transport",
    "UnreadableAnswer",
    "fields_of",
]

KEPT = frozenset(("content-encoding", "content-length", "content-type", "retry-after", "www-authenticate"))
"""Header fields of answers that channels read; no other is kept."""


KEEPALIVE = 4.0
"""Seconds that an idle connection is kept; uvicorn closes its own after 5."""


class Message(NamedTuple):
    """A request.

    Attributes:
        method: Upper case.
        target: Path and query, percent-encoded, without the path of the address.
        headers: Lower-case name to a value that can be sent; neither ``host`` nor ``content-length``.
        body: Complete.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """A complete answer.

    Attributes:
        status: 200 or above.
        headers: Those of ``KEPT``.
        body: As it came; never compressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media(self) -> str:
        """The media type, in lower case and without parameters; empty where none is said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class NotReached(UnimicroError):
    """No connection could be made: nothing was sent."""


class BrokenConnection(UnimicroError):
    """The connection broke, or brought what is no HTTP, before the answer was complete."""


class UnreadableAnswer(UnimicroError):
    """An answer that nobody wants to read.

    Attributes:
        failure: What that means for the call, unless the status says more.
        status: Of the answer.
    """

    def __init__(self, failure: Failure, status: int) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.status = status


class Transport(ABC):
    """The way to one address.

    ``send`` and ``asend`` raise ``NotReached``, ``BrokenConnection``, ``UnreadableAnswer``, or
    ``TimeoutError`` once ``seconds`` are over. A cancelled ``asend`` closes its connection. Sockets wait in
    real time: ``seconds`` pass beside the channel's clock, which may be a virtual one.
    """

    @abstractmethod
    def send(self, message: Message, seconds: float | None) -> Answer:
        """Exchange in this thread."""

    @abstractmethod
    async def asend(self, message: Message, seconds: float | None) -> Answer:
        """Exchange on the running event loop."""

    @abstractmethod
    def close(self) -> None:
        """Close the idle connections, those of event loops as soon as these run; a later call makes one."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the idle connections of the running event loop, and have closed them on return."""


class Parts(NamedTuple):
    """What a transport is made of.

    Attributes:
        address: Where it leads.
        settings: Of the channel.
        clock: Source of time.
    """

    address: Address
    settings: HttpSettings
    clock: Clock


class Body:
    """Where a body is gathered.

    Args:
        status: Of the answer.
        headers: Its fields, among them ``content-encoding``.
        limit: Most bytes.

    Raises:
        UnreadableAnswer: It is packed, which was not asked for: it may unpack to any size.
    """

    def __init__(self, status: int, headers: Mapping[str, str], limit: int) -> None:
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise UnreadableAnswer(malformed("is compressed, which was not asked for"), status)
        self._status = status
        self._limit = limit
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        """Take what came next.

        Raises:
            UnreadableAnswer: The limit is passed.
        """
        self.size += len(part)
        if self.size > self._limit:
            raise UnreadableAnswer(too_large(self._limit), self._status)
        self._parts.append(part)

    def whole(self) -> bytes:
        """All of it."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def fields_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The header fields of ``KEPT``; repeated ones are joined (RFC 9110 §5.3)."""
    fields: dict[str, str] = {}
    for raw, value in pairs:
        name = raw.decode("latin-1").lower()
        if name in KEPT:
            text = value.decode("latin-1")
            fields[name] = f"{fields[name]}, {text}" if name in fields else text
    return fields
