"""The in-memory message door: calls and events inside one process, on the wire format of the AMQP door.

A call is addressed by its routing key (``orders.place``) and carries ``{"args": [], "kwargs": {}}``; its
reply is ``{"result": ..., "error": null | {"exc_type", "exc_path", "exc_args", "value", "failure"}}``. The
first four fields are those of nameko; ``failure`` is the RFC 9457 document that a typed client reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.invocation import CallPayload, Invocation
from unimicro.metadata import Metadata
from unimicro.outcome import Failure, Left, Outcome
from unimicro.routes.json_door import JsonDoor
from unimicro.wire import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from unimicro.operation import Operation

EVENTS = ".events"


class Message(NamedTuple):
    """One message.

    Attributes:
        routing_key: ``<service>.<method>`` of a call, the type of an event.
        body: JSON.
        headers: Metadata; a token goes into ``authorization``.
        exchange: ``<source>.events`` for an event, empty for a call.
        correlation_id: Copied into the reply.
    """

    routing_key: str
    body: bytes = b'{"args":[],"kwargs":{}}'
    headers: Mapping[str, str] = {}
    exchange: str = ""
    correlation_id: str = ""


class MemoryDoor(JsonDoor[Message, Message]):
    """Delivers messages to the app without a broker."""

    name = "memory"

    def decode(self, native: Message) -> Outcome[Invocation]:
        return self.json_invocation(native.routing_key, native.body, Metadata(native.headers), native=native)

    def encode(self, native: Message, invocation: Invocation | None, outcome: Outcome[Any]) -> Message:
        return _reply(native, self.json_outcome(invocation, outcome).either(_failed, _succeeded))

    def publish(self, source: str, event: str, payload: Any, **headers: str) -> dict[str, Outcome[Any]]:
        """Deliver an event to every handler and wait for them, in this thread.

        Args:
            source: Who publishes, such as ``payments``.
            event: Its type, such as ``settled``.
            payload: Anything that JSON can carry.
            headers: Metadata of the message.

        Returns:
            The outcome of each handler by operation name; empty when nobody listens.

        Raises:
            TypeError, ValueError: The payload has no wire form.
        """
        message = Message(event, to_json(payload), headers, exchange=source + EVENTS)
        return {
            operation.name: invocation.either(Left, self.app.run)
            for operation, invocation in self._handlers(message)
        }

    async def apublish(
        self, source: str, event: str, payload: Any, **headers: str
    ) -> dict[str, Outcome[Any]]:
        """``publish`` on the running event loop."""
        message = Message(event, to_json(payload), headers, exchange=source + EVENTS)
        outcomes = {}
        for operation, invocation in self._handlers(message):
            ready = invocation.is_right()
            outcomes[operation.name] = await self.app.arun(invocation.value) if ready else invocation
        return outcomes

    def _handlers(self, message: Message) -> Iterator[tuple[Operation, Outcome[Invocation]]]:
        source = message.exchange.removesuffix(EVENTS)
        payload = CallPayload((from_json(message.body),))
        for operation in self.app.operations.values():
            if any(e.source == source and e.type == message.routing_key for e in operation.events):
                metadata = Metadata(message.headers)
                yield operation, self.invocation(operation.name, payload, metadata, native=message)


def _reply(message: Message, body: bytes) -> Message:
    return Message(message.routing_key, body, correlation_id=message.correlation_id)


def _succeeded(result: bytes) -> bytes:
    return b'{"result":%b,"error":null}' % result


def _failed(problem: bytes) -> bytes:
    document = from_json(problem)
    failure = Failure.from_problem(document)
    kind = failure.error_type or failure.code
    error = {
        "exc_type": kind,
        "exc_path": kind,
        "exc_args": [failure.message],
        "value": failure.message,
        "failure": document,
    }
    return to_json({"result": None, "error": error})
