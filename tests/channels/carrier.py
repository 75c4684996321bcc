"""A channel for tests: what it is given to carry is written down, what it answers is said beforehand."""

from __future__ import annotations

from typing import ClassVar

from unimicro.channels.client.channel import Channel, Connection, channel
from unimicro.errors import ConfigurationError
from unimicro.outcome import Right


@channel("carrier")
class Carrier(Channel[str]):
    """Answers with ``answers(invocation, uri)``; by default with the positional arguments."""

    sent: ClassVar[list] = []
    answers = staticmethod(lambda invocation, uri: Right(list(invocation.payload.args)))
    closed: ClassVar[list] = []

    def prepare(self, operation):
        return operation.name

    def connect(self, uri):
        if not uri.startswith("test://"):
            raise ConfigurationError(f"{uri!r} is no test:// address")
        return CarrierConnection(self, uri)


class CarrierConnection(Connection[str]):
    def __init__(self, carrier, uri):
        self.carrier, self.uri = carrier, uri

    def invoke(self, wire, invocation):
        type(self.carrier).sent.append((self.uri, wire, invocation))
        return self.carrier.answers(invocation, self.uri)

    async def ainvoke(self, wire, invocation):
        return self.invoke(wire, invocation)

    def close(self):
        type(self.carrier).closed.append(self.uri)
