"""The channel ``rest``: each operation by its own verb and path, as the HTTP doors serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.channels.client.http import HttpCall, HttpChannel
from unimicro.channels.client.http_arguments import Arguments, refused_arguments
from unimicro.channels.client.http_headers import header_fields
from unimicro.channels.client.http_refusals import malformed, refused
from unimicro.channels.client.http_results import body_type, raw_type, unfit
from unimicro.channels.client.http_transport import Message
from unimicro.channels.client.rest_request import RestRequest
from unimicro.channels.codecs import json_codec
from unimicro.conversion import ConversionError, converter, strip_annotated
from unimicro.encoding import read_whole
from unimicro.errors import DefinitionError
from unimicro.functional.replies import Reply
from unimicro.metadata import Metadata
from unimicro.outcome import Failure, Left, Right

if TYPE_CHECKING:
    from unimicro.channels.client.http_transport import Answer
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome

__all__ = ["RestChannel"]

JSON = "application/json"


class RestChannel(HttpChannel):
    """Requests that a browser or curl could send; answers by their content type."""

    name = "rest"

    def prepare(self, operation: Operation) -> HttpCall:
        """See ``Channel``; the call of one operation."""
        return RestCall(self, operation)


class RestCall(HttpCall):
    """One operation.

    Args:
        channel: Whose.
        operation: Of an interface.

    Raises:
        DefinitionError: A parameter or the result cannot be carried.
    """

    def __init__(self, channel: RestChannel, operation: Operation) -> None:
        binding = operation.http
        if binding is None:
            raise DefinitionError(f"{operation.name} has no path")
        signature = operation.signature
        self.repeatable = operation.options.repeatable
        self._verb = binding.verb
        self._arguments = Arguments(operation, lambda _: b"")
        self._names = [p.name for p in signature.parameters if p.positional]
        self._request = RestRequest(operation, binding)
        self._clock = channel.context.clock
        self._headers = {"accept": "*/*", "accept-encoding": "identity"}
        self._results = _Results(operation, binding.verb)

    def message(self, invocation: Invocation) -> Message | Failure:
        args, kwargs = invocation.payload  # type: ignore[misc] # calls carry a CallPayload
        problems = self._arguments.problems(args, kwargs)
        if problems:
            return refused_arguments(problems)
        parts = self._request.parts({**dict(zip(self._names, args, strict=False)), **kwargs})
        if isinstance(parts, list):
            return refused_arguments(parts)
        own = self._headers
        if parts.content_type:
            own = {**own, "content-type": parts.content_type}
        headers = header_fields(own, invocation, self._clock)
        if isinstance(headers, Failure):
            return headers
        return Message(self._verb, parts.target, {**headers, **parts.headers}, parts.body)

    def outcome(self, answer: Answer, message: Message) -> Outcome[Any]:
        if answer.status >= 300:
            return Left(refused(answer, message.headers, self._clock.time()))
        return self._results.read(answer)


class _Results:
    """Reads what came with a status of 2xx."""

    def __init__(self, operation: Operation, verb: str) -> None:
        label = f"{operation.name}: result"
        kind = body_type(operation.signature.returns)
        self._nothing = strip_annotated(kind) in (None, type(None)) or verb == "HEAD"
        if verb == "HEAD" and strip_annotated(kind) not in (None, type(None), Any):
            raise DefinitionError(f"{operation.name}: the answer to HEAD has no body")
        self._raw = raw_type(kind)
        self._declared = (operation.options.content_type or "").partition(";")[0].strip().lower()
        self._convert = converter(kind, text=False, where=label)
        self._read_json = read_whole(kind, "json", json_codec().decode, label)

    def read(self, answer: Answer) -> Outcome[Any]:
        if answer.status == 204 or self._nothing:
            return self._converted(None)
        media = answer.media
        is_json = media == JSON or media.endswith("+json")
        if self._raw is not None and (not is_json or media == self._declared):
            # A str or bytes result is sent as it is, whatever content type the entry declares.
            return Right(answer.body if self._raw is bytes else _text(answer))
        if is_json or (media and media == self._declared):
            return self._json(answer)
        if media.startswith("text/"):
            return self._converted(_text(answer))
        if media == "application/octet-stream":
            return self._converted(answer.body)
        return Left(malformed(f"has the content type {media!r}" if media else "has no content type"))

    def _json(self, answer: Answer) -> Outcome[Any]:
        try:
            return Right(self._read_json(answer.body))
        except ConversionError as error:
            return Left(unfit(error))
        except ValueError:
            return Left(malformed("is no JSON"))

    def _converted(self, value: Any) -> Outcome[Any]:
        try:
            return Right(self._convert(value))
        except ConversionError as error:
            return Left(unfit(error))


def _text(answer: Answer) -> str:
    return Reply(answer.status, Metadata(answer.headers), answer.body).text
