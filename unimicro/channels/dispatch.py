"""``POST /invoke``: any entry by name, in JSON or msgpack.

Request ``{"method": "component:service:method", "args": [...], "kwargs": {...}}``, answer
``{"result": ..., "exception": null | text}`` with ``failure``, the RFC 9457 document, when it failed. A call
that reached the service is answered 200 also when the service failed: that is how clients of this
format tell a service's error from a broken channel. A call that was refused before carries the
status of its failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.asgi import encoded
from unimicro.channels.call_door import CallDoor, encoded_failure, writers_of
from unimicro.channels.codecs import Codec, json_codec, msgpack_codec
from unimicro.forms import refused_coding
from unimicro.outcome import Failure, Left, Outcome
from unimicro.routes.answers import failure_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unimicro.app import App
    from unimicro.invocation import Invocation
    from unimicro.metadata import Metadata

# Half the price of a named tuple's constructor.
_new = tuple.__new__


class DispatchRequest(NamedTuple):
    """A request to the dispatch endpoint; ``DispatchDoor.request`` makes them."""

    body: bytes
    metadata: Metadata
    codec: Codec
    """Of the content type, or the one to say in that it is not supported."""
    problem: Failure | None = None
    """Why the request cannot be read."""


class DispatchAnswer(NamedTuple):
    """Its answer."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    """As HTTP/1.1 and ASGI carry them."""
    body: bytes


class DispatchDoor(CallDoor[DispatchRequest, DispatchAnswer]):
    """The dispatch endpoint without its transport."""

    name = "dispatch"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        codecs = (json_codec(), msgpack_codec())
        self._json = codecs[0]
        self._codecs = {codec.content_type: codec for codec in codecs}
        self._writers = {codec.form: writers_of(app.operations, codec.form) for codec in codecs}

    def request(self, body: bytes, metadata: Metadata, problem: Failure | None = None) -> DispatchRequest:
        """A request as its transport got it; ``problem`` is why the transport could not read it."""
        fields = metadata.fields
        codec = self._codecs.get(fields.get("content-type", "")) or self._codec(fields)
        if problem is None and codec is None:
            given = fields.get("content-type", "")
            text = f"content type {given!r} is not supported; send {' or '.join(self._codecs)}"
            problem = Failure("invalid_argument", text, status=415, layer="arguments")
        if problem is None and "content-encoding" in fields:
            problem = refused_coding(fields["content-encoding"])
        return _new(DispatchRequest, (body, metadata, codec or self._json, problem))

    def _codec(self, fields: Mapping[str, str]) -> Codec | None:
        return self._codecs.get(fields.get("content-type", "").partition(";")[0].strip().lower())

    def decode(self, native: DispatchRequest) -> Outcome[Invocation]:
        body, metadata, codec, problem = native
        if problem is not None:
            return Left(problem)
        opened = codec.open(body)
        if isinstance(opened, Failure):
            return Left(opened)
        method, call = opened
        return self.named(method, call, metadata, native)

    def encode(
        self, native: DispatchRequest, invocation: Invocation | None, outcome: Outcome[Any]
    ) -> DispatchAnswer:
        codec = native.codec
        result = self.result_of(invocation, outcome, self._writers[codec.form])
        if isinstance(result, Failure):
            return _failed(codec, result, invocation)
        before, after = codec.around
        body = b"%b%b%b" % (before, result, after)
        return _new(DispatchAnswer, (200, codec.headers, body))


def _failed(codec: Codec, failure: Failure, invocation: Invocation | None) -> DispatchAnswer:
    body = encoded_failure(failure, invocation, codec.encode)
    refused = bool(failure.layer) or invocation is None
    headers = [*codec.headers, *encoded(failure_headers(failure))]
    return DispatchAnswer(failure.status if refused else 200, headers, body)
