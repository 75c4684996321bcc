"""A channel whose addresses answer as a test says, and a service with each kind of entry in both colours."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from unimicro import Service, entry
from unimicro.channels.client.channel import Channel, Connection, channel, not_sent, unavailable
from unimicro.channels.client.manager import ServiceManager
from unimicro.discovery import ChannelAddress, Check, Instance
from unimicro.errors import ConfigurationError
from unimicro.outcome import Right

CHECK = Check(interval=30.0)


class Orders(Service):
    @entry(safe=True)
    def find(self, number: int = 0) -> Any: ...

    @entry(safe=True)
    async def afind(self, number: int = 0) -> Any: ...

    @entry
    def place(self, number: int = 0) -> Any: ...

    @entry
    async def aplace(self, number: int = 0) -> Any: ...


@channel("played")
class Played(Channel[str]):
    """Each address answers what ``answers[uri](invocation)`` comes to; by default its uri."""

    answers: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []
    closed: ClassVar[list[str]] = []
    made: ClassVar[list[Any]] = []

    def prepare(self, operation):
        return operation.name

    def connect(self, uri):
        if uri.startswith("bad"):
            raise ConfigurationError(f"{uri!r} is no address")
        if uri.startswith("breaks"):
            raise ValueError(uri)
        return PlayedConnection(uri)


class PlayedConnection(Connection[str]):
    def __init__(self, uri):
        self.uri = uri
        Played.made.append(self)

    def invoke(self, wire, invocation):
        Played.asked.append(self.uri)
        answer = Played.answers.get(self.uri, lambda _: Right(self.uri))
        return answer(invocation)

    async def ainvoke(self, wire, invocation):
        answered = self.invoke(wire, invocation)
        return await answered if asyncio.iscoroutine(answered) else answered

    def close(self):
        Played.closed.append(self.uri)


def refused(_):
    """Nobody listens there."""
    return not_sent("refused")


def broken(_):
    """The connection breaks before the answer."""
    return unavailable("broken")


def orders_at(clock, *uris, **options):
    """A proxy of ``Orders`` at these addresses, the first of which is called first."""
    manager = ServiceManager(clock=clock, config={}, **{"selector": "first", **options})
    return manager.get_service(Orders, "played", address=uris)


def instance(uri, status="passing"):
    return Instance(f"orders-{uri}", "orders", (ChannelAddress("played", uri),), status)
