"""The door of ``stream``, without its transport; the wire is in ``stream_frames``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.call_reader import encoded_call
from unimicro.channels.call_door import CallDoor, encoded_failure, writers_of
from unimicro.channels.stream_frames import FAILED, answer_frame, encode_frame, problem_frame
from unimicro.metadata import Metadata
from unimicro.outcome import Failure, Left, Outcome
from unimicro.routes.request import body_too_large

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.channels.stream_frames import Call
    from unimicro.invocation import Invocation

__all__ = ["StreamCall", "StreamDoor", "encoded_problem"]


class StreamCall(NamedTuple):
    """A call as it arrived."""

    frame: Call
    defaults: dict[str, str]
    """Fields of the handshake that hold for every call."""


class StreamDoor(CallDoor[StreamCall, bytes]):
    """From a call to the frame that answers it."""

    name = "stream"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._limit = app.settings.max_body_bytes
        self._write = writers_of(app.operations, "msgpack")

    def decode(self, native: StreamCall) -> Outcome[Invocation]:
        frame, defaults = native
        args, kwargs = bytes(frame.args), bytes(frame.kwargs)
        if len(args) + len(kwargs) > self._limit:
            return Left(body_too_large(self._limit))
        payload = encoded_call(args, kwargs, "msgpack")
        if type(payload) is Failure:
            return Left(payload)
        metadata = Metadata(frame.headers)
        if defaults:
            metadata = Metadata(defaults | metadata.fields)
        return self.named(frame.method, payload, metadata, native)  # type: ignore[arg-type]

    def encode(self, native: StreamCall, invocation: Invocation | None, outcome: Outcome[Any]) -> bytes:
        number = native.frame.id
        result = self.result_of(invocation, outcome, self._write)
        if type(result) is Failure:
            return problem_frame(FAILED, number, encoded_problem(result, invocation))
        return answer_frame(number, result)  # type: ignore[arg-type]


def encoded_problem(failure: Failure, invocation: Invocation | None = None) -> bytes:
    """The problem document in msgpack."""
    return encoded_failure(failure, invocation, lambda answer: encode_frame(answer["failure"]))
