"""What the channel ``stream`` knows of an operation: its arguments to octets, its answers to outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from unimicro.channels.client.channel import NotSent
from unimicro.channels.client.http_arguments import UNWRITABLE, unsendable
from unimicro.channels.client.http_headers import header_fields
from unimicro.channels.client.http_refusals import too_large
from unimicro.channels.client.named_call import NamedCall
from unimicro.channels.stream_frames import Answer, Refused, encode_frame
from unimicro.outcome import Either, Failure, Left

if TYPE_CHECKING:
    from unimicro.channels.client.channel import ChannelContext
    from unimicro.channels.client.stream_link import Reply
    from unimicro.invocation import CallPayload, Invocation
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome

__all__ = ["StreamWire"]

NO_KWARGS = b"\x80"


class StreamWire:
    """One operation on the wire.

    Args:
        operation: It.
        context: Of the channel.
        max_bytes: Longest result.

    Raises:
        DefinitionError: The wire cannot carry a parameter or the result.
    """

    __slots__ = ("_clock", "_method", "_most", "_result", "_write")

    def __init__(self, operation: Operation, context: ChannelContext, max_bytes: int) -> None:
        named = NamedCall.of(operation, "stream", context.component, "msgpack")
        self._clock = context.clock
        self._most = max_bytes
        self._method = encode_frame(named.method)
        self._write, self._result = named.write, named.result

    def call(self, invocation: Invocation) -> bytes | Outcome[Any]:
        """Method, headers, args and kwargs; ``Left`` where something of it cannot be sent."""
        args, kwargs = cast("CallPayload", invocation.payload)
        headers = header_fields({}, invocation, self._clock)
        if isinstance(headers, Failure):
            return Left(headers)
        write = self._write
        try:
            named = write(kwargs) if kwargs else NO_KWARGS
            return self._method + encode_frame(headers) + write(args) + named
        except UNWRITABLE as error:
            return Left(unsendable(error))

    def outcome(self, reply: Reply) -> Outcome[Any]:
        """What came of a call."""
        if isinstance(reply, Answer):
            if len(reply.result) > self._most:
                return Left(too_large(self._most))
            return self._result(reply.result)
        if isinstance(reply, Either):
            return reply
        failure = Failure.from_problem(reply.problem)
        if isinstance(reply, Refused):
            failure.cause = NotSent(failure.message)
        return Left(failure)
