"""The in-memory message door: calls and events inside one process, on the wire format of the AMQP door.

A call is addressed by its routing key (``orders.place``) and carries ``{"args": [], "kwargs": {}}``; its
reply is ``{"result": ..., "error": null | {"exc_type", "exc_path", "exc_args", "value", "failure"}}``. The
first four fields are those of nameko; ``failure`` is the RFC 9457 document that a typed client reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.conversion import from_json, to_json
from unimicro.frontend import FrontEnd, read_call
from unimicro.invocation import CallPayload, Invocation, Metadata
from unimicro.operation import unexpected_failure
from unimicro.outcome import Either, Failure, Left, Response, failure_of
from unimicro.routes.request import body_too_large

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


class MemoryDoor(FrontEnd[Message, Message]):
    """Delivers messages to the app without a broker."""

    name = "memory"

    def decode(self, native: Message) -> Either[Failure, Invocation]:
        if len(native.body) > self.app.settings.max_body_bytes:
            return Left(body_too_large(self.app.settings.max_body_bytes))
        try:
            body = from_json(native.body)
        except ValueError as error:
            return Left(Failure("invalid_argument", f"body: {error}", layer="arguments"))
        payload = read_call(body)
        if isinstance(payload, Failure):
            return Left(payload)
        return self.call_invocation(native.routing_key, payload, Metadata(native.headers), native=native)

    def encode(
        self, native: Message, invocation: Invocation | None, outcome: Either[Failure, Any]
    ) -> Message:
        if outcome.monoid[1] and invocation is not None:
            value = outcome.value
            value = value.body if type(value) is Response else value
            try:
                return _reply(native, b'{"result":%b,"error":null}' % to_json(value))
            except (TypeError, ValueError) as error:
                outcome = Left(unexpected_failure(error, invocation, "result"))
        return _reply(native, to_json({"result": None, "error": _error(failure_of(outcome))}))

    def publish(
        self, source: str, event: str, payload: Any, **headers: str
    ) -> dict[str, Either[Failure, Any]]:
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
    ) -> dict[str, Either[Failure, Any]]:
        """``publish`` on the running event loop."""
        message = Message(event, to_json(payload), headers, exchange=source + EVENTS)
        outcomes = {}
        for operation, invocation in self._handlers(message):
            ready = invocation.is_right()
            outcomes[operation.name] = await self.app.arun(invocation.value) if ready else invocation
        return outcomes

    def _handlers(self, message: Message) -> Iterator[tuple[Operation, Either[Failure, Invocation]]]:
        source = message.exchange.removesuffix(EVENTS)
        payload = CallPayload((from_json(message.body),))
        for operation in self.app.operations.values():
            if any(e.source == source and e.type == message.routing_key for e in operation.events):
                metadata = Metadata(message.headers)
                yield operation, self.invocation(operation.name, payload, metadata, native=message)


def _reply(message: Message, body: bytes) -> Message:
    return Message(message.routing_key, body, correlation_id=message.correlation_id)


def _error(failure: Failure) -> dict[str, Any]:
    kind = failure.error_type or failure.code
    return {
        "exc_type": kind,
        "exc_path": kind,
        "exc_args": [failure.message],
        "value": failure.message,
        "failure": failure.to_problem(),
    }
