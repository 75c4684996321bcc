"""The channels ``dispatch-json`` and ``dispatch-msgpack``: ``POST <address>/invoke``, any operation by name.

The wire is the one of ``unimicro.channels.dispatch``; other makes speak it too. They know ``method`` and
``args`` of a request only, and ``result`` and ``exception`` of an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from unimicro.channels.client.http import HttpCall, HttpChannel
from unimicro.channels.client.http_arguments import UNWRITABLE, Arguments, unsendable
from unimicro.channels.client.http_headers import header_fields
from unimicro.channels.client.http_refusals import malformed, refused, waits
from unimicro.channels.client.http_transport import Message
from unimicro.channels.client.named_call import NamedCall
from unimicro.channels.codecs import INVOKE
from unimicro.errors import require
from unimicro.functional.replies import described_by
from unimicro.outcome import Failure, Left

if TYPE_CHECKING:
    from unimicro.channels.client.channel import ChannelContext
    from unimicro.channels.client.http_transport import Answer
    from unimicro.encoding import Format
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome

__all__ = ["DispatchJsonChannel", "DispatchMsgpackChannel"]


class Envelope(msgspec.Struct):
    """An answer; the result stays as it came and is read as its own type afterwards."""

    result: msgspec.Raw
    exception: Any = None
    failure: dict[str, Any] | None = None


LONGEST_TEXT = 2000
"""Characters that are kept of the text with which another make says that it failed."""


class DispatchJsonChannel(HttpChannel):
    """JSON over HTTP."""

    name = "dispatch-json"
    form: ClassVar[Format] = "json"
    content_type: ClassVar[str] = "application/json"

    def prepare(self, operation: Operation) -> HttpCall:
        """See ``Channel``; the call of one operation."""
        return DispatchCall(self, operation)


class DispatchMsgpackChannel(DispatchJsonChannel):
    """Msgpack over HTTP.

    Raises:
        MissingExtra: The package msgpack is not installed.
    """

    name = "dispatch-msgpack"
    form: ClassVar[Format] = "msgpack"
    content_type: ClassVar[str] = "application/msgpack"

    def __init__(self, context: ChannelContext) -> None:
        require("msgpack", "client", f"the channel {self.name!r}")
        super().__init__(context)


class DispatchCall(HttpCall):
    """One operation.

    Args:
        channel: Its wire format.
        operation: Of an interface.

    Raises:
        DefinitionError: A parameter or the result cannot be carried.
    """

    def __init__(self, channel: DispatchJsonChannel, operation: Operation) -> None:
        self.repeatable = operation.options.repeatable
        named = NamedCall.of(operation, channel.name, channel.context.component, channel.form)
        self._method, self._encode, self._result = named.method, named.write, named.result
        self._arguments = Arguments(operation, named.write)
        module = msgspec.json if channel.form == "json" else msgspec.msgpack
        self._envelope = module.Decoder(Envelope).decode
        self._clock = channel.context.clock
        self._media = channel.content_type
        self._headers = {
            "content-type": channel.content_type,
            "accept": channel.content_type,
            "accept-encoding": "identity",
        }

    def message(self, invocation: Invocation) -> Message | Failure:
        placed = self._arguments.placed(*invocation.payload)
        if isinstance(placed, Failure):
            return placed
        args, kwargs = placed
        call: dict[str, Any] = {"method": self._method, "args": args}
        if kwargs:
            call["kwargs"] = kwargs
        try:
            body = self._encode(call)
        except UNWRITABLE as error:
            return unsendable(error)
        headers = header_fields(self._headers, invocation, self._clock)
        return headers if isinstance(headers, Failure) else Message("POST", INVOKE, headers, body)

    def outcome(self, answer: Answer, message: Message) -> Outcome[Any]:
        if answer.media != self._media:
            if answer.status < 300:
                return Left(malformed(f"is {answer.media or 'of no content type'}, not {self._media}"))
            return Left(refused(answer, message.headers, self._clock.time()))
        try:
            envelope = self._envelope(answer.body)
        except (ValueError, RecursionError):
            if answer.status < 300:
                return Left(malformed("is no envelope of this wire"))
            return Left(refused(answer, message.headers, self._clock.time()))
        if envelope.failure is None and envelope.exception is None and answer.status < 300:
            return self._result(envelope.result)
        described = described_by(envelope.failure)
        return Left(described or self._of_text(envelope.exception, answer, message))

    def _of_text(self, text: object, answer: Answer, message: Message) -> Failure:
        """What a server of another make says; its text only."""
        if answer.status >= 300:
            return refused(answer, message.headers, self._clock.time())
        failure = Failure("unknown", str(text)[:LONGEST_TEXT], layer="channel")
        return waits(failure, answer, self._clock.time())
