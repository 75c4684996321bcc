"""What the channel ``stream`` knows of an operation: its arguments to octets, its answers to outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from unimicro.channels.client.channel import NotSent, remaining_ms
from unimicro.channels.client.http_arguments import check_no_uploads
from unimicro.channels.client.http_refusals import malformed
from unimicro.channels.client.http_results import body_type
from unimicro.channels.client.stream_link import too_large
from unimicro.channels.stream_frames import Answer, Refused, encode_frame
from unimicro.channels.stream_settings import stream_settings
from unimicro.conversion import ConversionError
from unimicro.encoding import all_exact, encode, read_whole
from unimicro.outcome import SUCCESS, Either, Failure, Left
from unimicro.plain import plain_reader

if TYPE_CHECKING:
    from collections.abc import Callable

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

    Raises:
        DefinitionError: The wire cannot carry a parameter or the result.
    """

    __slots__ = ("_clock", "_method", "_most", "_name", "_read", "_write")

    def __init__(self, operation: Operation, context: ChannelContext) -> None:
        check_no_uploads(operation, "stream")
        signature = operation.signature
        service, _, method = operation.name.rpartition(".")
        self._clock = context.clock
        self._name = operation.name
        self._most = stream_settings(context.settings).max_bytes
        self._method = encode_frame(f"{context.component}:{service}:{method}")
        exact = not signature.takes_rest and all_exact(p.annotation for p in signature.parameters)
        self._write: Callable[[Any], bytes] = encode("msgpack", exact=exact)
        self._read = read_whole(
            body_type(signature.returns), "msgpack", plain_reader("msgpack"), f"{operation.name}: result"
        )

    def call(self, invocation: Invocation) -> bytes | Outcome[Any]:
        """Method, headers, args and kwargs; ``Left`` where an argument has no wire form."""
        args, kwargs = cast("CallPayload", invocation.payload)
        headers = invocation.metadata.fields
        left = remaining_ms(invocation, self._clock)
        if left is not None:
            headers = {**headers, "x-timeout-ms": str(left)}
        write = self._write
        try:
            named = write(kwargs) if kwargs else NO_KWARGS
            return self._method + encode_frame(headers) + write(args) + named
        except Exception as error:
            text = f"{self._name}: an argument has no wire form: {error}"
            return Left(Failure("invalid_argument", text, layer="channel", cause=error))

    def outcome(self, reply: Reply) -> Outcome[Any]:
        """What came of a call."""
        if isinstance(reply, Answer):
            if len(reply.result) > self._most:
                return too_large(self._most)
            try:
                return Either(self._read(bytes(reply.result)), SUCCESS)
            except (ValueError, ConversionError) as error:
                return Left(malformed(f"is no result of {self._name}: {error}"))
        if isinstance(reply, Either):
            return reply
        failure = Failure.from_problem(reply.problem)
        if isinstance(reply, Refused):
            failure.cause = NotSent(failure.message)
        return Left(failure)
