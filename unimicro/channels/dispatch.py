"""``POST /invoke``: any entry by name, in JSON or msgpack.

Request ``{"method": "component:service:method", "args": [...], "kwargs": {...}}``, answer
``{"result": ..., "exception": null | text}`` with ``failure``, the RFC 9457 document, when it failed. A call
that reached the service is answered 200 also when the service failed: that is how clients of this
format tell a service's error from a broken channel. A call that was refused before carries the
status of its failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.codecs import Codec, json_codec, msgpack_codec
from unimicro.forms import malformed_body, refused_coding
from unimicro.frontend import FrontEnd, operation_name, read_call
from unimicro.outcome import Failure, Left, Outcome
from unimicro.routes.answers import failed_call, failure_headers

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.invocation import Invocation
    from unimicro.metadata import Metadata


class DispatchRequest(NamedTuple):
    """A request to the dispatch endpoint."""

    body: bytes
    metadata: Metadata
    problem: Failure | None = None
    """Why the transport could not read the request."""


class DispatchAnswer(NamedTuple):
    """Its answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class DispatchDoor(FrontEnd[DispatchRequest, DispatchAnswer]):
    """The dispatch endpoint without its transport."""

    name = "dispatch"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        codecs = (json_codec(), msgpack_codec())
        self._json = codecs[0]
        self._codecs = {codec.content_type: codec for codec in codecs}

    def decode(self, native: DispatchRequest) -> Outcome[Invocation]:
        envelope = self._envelope(native)
        payload = read_call(envelope) if not isinstance(envelope, Failure) else envelope
        if isinstance(payload, Failure):
            return Left(payload)
        operation = operation_name(envelope.get("method"))
        if operation is None:
            errors = [{"name": "method", "message": "expected 'component:service:method'"}]
            return Left(Failure("invalid_argument", "malformed call", errors=errors, layer="arguments"))
        return self.call_invocation(operation, payload, native.metadata, native=native)

    def _envelope(self, native: DispatchRequest) -> Any:
        """The decoded body, or the failure to read it."""
        if native.problem is not None:
            return native.problem
        codec = self._codec(native)
        if codec is None:
            given = native.metadata.get("content-type", "")
            text = f"content type {given!r} is not supported; send {' or '.join(self._codecs)}"
            return Failure("invalid_argument", text, status=415, layer="arguments")
        refused = refused_coding(native.metadata.get("content-encoding", ""))
        if refused is not None:
            return refused
        try:
            envelope = codec.decode(native.body)
        except ValueError as error:
            return malformed_body(str(error))
        if codec.nests_too_deeply(native.body, envelope):
            return malformed_body("nested too deeply")
        return envelope

    def _codec(self, native: DispatchRequest) -> Codec | None:
        given: str = native.metadata.get("content-type", "")
        return self._codecs.get(given) or self._codecs.get(given.partition(";")[0].strip().lower())

    def encode(
        self, native: DispatchRequest, invocation: Invocation | None, outcome: Outcome[Any]
    ) -> DispatchAnswer:
        codec = self._codec(native) or self._json
        body = self.result_of(invocation, outcome, codec.encode_result)
        if isinstance(body, Failure):
            return _failed(codec, body, invocation)
        return DispatchAnswer(200, [("Content-Type", codec.content_type)], body)


def _failed(codec: Codec, failure: Failure, invocation: Invocation | None) -> DispatchAnswer:
    answer = failed_call(failure, invocation)
    try:
        body = codec.encode(answer)
    except OverflowError:
        # msgpack has no integers beyond 64 bits: details must not hide the failure.
        answer["failure"].pop("details", None)
        body = codec.encode(answer)
    refused = bool(failure.layer) or invocation is None
    headers = [("Content-Type", codec.content_type), *failure_headers(failure)]
    return DispatchAnswer(failure.status if refused else 200, headers, body)
