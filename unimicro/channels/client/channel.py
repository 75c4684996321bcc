"""What a channel is: it carries invocations to one address and brings the outcomes back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from unimicro.errors import DefinitionError
from unimicro.outcome import Failure, Left, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.app import App
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.ports import Clock

__all__ = [
    "Channel",
    "ChannelContext",
    "Connection",
    "NotSent",
    "channel",
    "declared_channels",
    "not_sent",
    "remaining_ms",
    "unavailable",
]

W = TypeVar("W")


class NotSent(Exception):
    """The call did not reach the service: another instance may be asked, whatever the operation does.

    Only as the ``cause`` of a failure made in this process: what comes over a wire has no cause.
    """


def not_sent(message: str) -> Outcome[Any]:
    """The outcome of a call that was not begun: no connection, or an endpoint that takes no more calls."""
    return Left(Failure("unavailable", message, layer="channel", cause=NotSent(message)))


def unavailable(message: str, cause: BaseException | None = None) -> Outcome[Any]:
    """The outcome of a call of which nothing is known: the connection broke before the answer."""
    return Left(Failure("unavailable", message, layer="channel", cause=cause))


def remaining_ms(invocation: Invocation, clock: Clock) -> int | None:
    """The time left, for the wire: whole milliseconds, rounded up, at least 1; ``None``: no limit."""
    if invocation.deadline is None:
        return None
    return max(1, math.ceil((invocation.deadline - clock.now()) * 1000))


class ChannelContext(NamedTuple):
    """What a channel may use.

    Attributes:
        clock: Source of time; deadlines of invocations are on it.
        component: Name of the component that is called; part of the dispatch wire.
        settings: The channel's own table of the configuration, such as ``max_bytes``.
        client: Function without arguments that makes an ``httpx.Client``; ``None`` for the channel's own.
        async_client: The same for an ``httpx.AsyncClient``, called once per event loop.
        app: Whose services this program has; ``None`` if it has none.
    """

    clock: Clock
    component: str
    settings: Mapping[str, Any] = {}
    client: Callable[[], Any] | None = None
    async_client: Callable[[], Any] | None = None
    app: App | None = None


class Connection(ABC, Generic[W]):
    """The way to one address. It connects when it is first used, and again when it has to.

    Both methods answer with a ``Left`` and never raise: ``not_sent`` where the call was never begun,
    ``unavailable`` where its fate is unknown, ``deadline_exceeded`` once ``invocation.deadline`` is over.
    They keep to that deadline themselves. ``ainvoke`` that is cancelled cancels the call on the other side,
    where the channel can.
    """

    @abstractmethod
    def invoke(self, wire: W, invocation: Invocation) -> Outcome[Any]:
        """Call from this thread."""

    @abstractmethod
    async def ainvoke(self, wire: W, invocation: Invocation) -> Outcome[Any]:
        """Call on the running event loop."""

    def close(self) -> None:
        """End what threads and event loops hold open; called from any thread, a registry's too."""

    async def aclose(self) -> None:
        """The same for what the running event loop holds open."""


class Channel(ABC, Generic[W]):
    """A kind of wire. One object serves all operations of one component.

    Attributes:
        name: As addresses and configuration name it.
    """

    name: ClassVar[str]

    def __init__(self, context: ChannelContext) -> None:
        self.context = context

    @abstractmethod
    def prepare(self, operation: Operation) -> W:
        """What this channel needs to know of an operation, made once when the proxy is made.

        Raises:
            DefinitionError: The channel cannot carry its parameters or its result.
        """

    @abstractmethod
    def connect(self, uri: str) -> Connection[W]:
        """The way to an address; nothing is sent yet.

        Raises:
            ConfigurationError: The address is none for this channel.
        """

    def close(self) -> None:
        """End what all connections share."""

    async def aclose(self) -> None:
        """The same on the running event loop."""


K = TypeVar("K", bound=type[Channel[Any]])


def channel(name: str) -> Callable[[K], K]:
    """Make a class a channel that configuration and ``preferred_channel`` can name.

    Raises:
        DefinitionError: It is no subclass of ``Channel``, or ``name`` is empty.
    """

    def declare(kind: K) -> K:
        if not name or not (isinstance(kind, type) and issubclass(kind, Channel)):
            raise DefinitionError(
                f"@channel({name!r}) stands on a class derived from Channel, not on {kind!r}"
            )
        kind.name = name
        return kind

    return declare


def declared_channels(kind: type[Channel[Any]] = Channel) -> dict[str, type[Channel[Any]]]:
    """Name to class of every channel that has been defined in this process."""
    found: dict[str, type[Channel[Any]]] = {}
    for each in kind.__subclasses__():
        if "name" in vars(each):
            found[each.name] = each
        found.update(declared_channels(each))
    return found
