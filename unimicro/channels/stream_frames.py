"""The wire of ``stream``: calls, multiplexed over one WebSocket (RFC 6455).

**Connection.** A client opens a WebSocket at ``/stream`` with the subprotocol ``unimicro.stream.v1``.
Messages are binary and at most ``MESSAGE_BYTES`` long. A message is one msgpack array of frames: who has
several to send puts them into one. A frame is a msgpack array; its first element says what it is.

=======  ==================  =========================================================================
frame    sent by             elements
=======  ==================  =========================================================================
hello    server              0; most calls at a time; most octets of the args and kwargs of a call
call     client              1; id; method; headers; args; kwargs
cancel   client              2; id
part     both                3; id; how many octets are left after this part; octets
answer   server              4; id; result
failed   server              5; id; problem document (RFC 9457)
refused  server              6; id; problem document: the call was not begun, another server may be asked
goaway   server              7; reason
=======  ==================  =========================================================================

Further elements are ignored. The server's first frame is hello.

**Calls.** A call has an id from 1 to 2^63 - 1 that no other call of the connection has had. ``method`` is
``component:service:method``; ``headers`` is a map of texts: the fields that an HTTP request would have, their
names in lower case. Those of the WebSocket's handshake are the defaults of all calls, except what describes
the connection. A call gets exactly one answer, failed or refused, in any order; one that was cancelled
may get it still. What has the id of no call under way is ignored.

**Large frames.** A frame of more than ``PART_BYTES`` is sent in parts of at most that size, between which
other frames go; put together they are the frame. Whoever sends has at most ``MOST_IN_PARTS`` unfinished ones.
A cancel ends the parts of the call and those of its answer.

**The end.** After goaway the server refuses further calls, ends those under way, and closes with 1001. A
call that has no answer by then was not begun; with any other end nobody knows. Other codes: 1000 from a
client that has finished, 1002 for what is no frame, 1003 for text, 1007 for what is no msgpack, 1009 for a
message that is too large, 1011 for a fault of the server and for a peer that does not answer pings.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATH = "/stream"
SUBPROTOCOL = "unimicro.stream.v1"

MESSAGE_BYTES = 256 * 1024
PART_BYTES = 64 * 1024
MOST_IN_PARTS = 8

DONE, GOING_AWAY, NO_FRAME, TEXT, NO_MSGPACK, TOO_LARGE = 1000, 1001, 1002, 1003, 1007, 1009
LOST, BROKEN = 1006, 1011
"""Close codes (RFC 6455 §7.4.1); 1006 is never sent."""

HELLO, CALL, CANCEL, PART, ANSWER, FAILED, REFUSED, GOAWAY = range(8)
"""First element of a frame."""

Id = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]


class FrameError(Exception):
    """What the peer sent breaks the rules: the connection ends.

    Attributes:
        code: Close code that tells the peer.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Hello(Struct, array_like=True, tag=HELLO, frozen=True):
    """The server's limits."""

    calls: Id
    call_bytes: Count


class Call(Struct, array_like=True, tag=CALL, frozen=True):
    """A call; its arguments are read once the caller is known."""

    id: Id
    method: str
    headers: dict[str, str]
    args: Raw
    kwargs: Raw


class Cancel(Struct, array_like=True, tag=CANCEL, frozen=True):
    """Nobody waits for the answer any more."""

    id: Id


class Part(Struct, array_like=True, tag=PART, frozen=True):
    """A piece of a large frame."""

    id: Id
    left: Count
    octets: bytes


class Answer(Struct, array_like=True, tag=ANSWER, frozen=True):
    """A result."""

    id: Id
    result: Raw


class Failed(Struct, array_like=True, tag=FAILED, frozen=True):
    """A failure."""

    id: Id
    problem: dict[str, Any]


class Refused(Struct, array_like=True, tag=REFUSED, frozen=True):
    """A failure of a call that was not begun."""

    id: Id
    problem: dict[str, Any]


class GoAway(Struct, array_like=True, tag=GOAWAY, frozen=True):
    """The server takes no further calls."""

    reason: str


FromClient = Call | Cancel | Part
FromServer = Answer | Failed | Refused | Part | GoAway | Hello

_from_client = msgspec.msgpack.Decoder(list[FromClient]).decode
_from_server = msgspec.msgpack.Decoder(list[FromServer]).decode
_call = msgspec.msgpack.Decoder(Call).decode
_reply = msgspec.msgpack.Decoder(Answer | Failed | Refused).decode


def read_from_client(message: bytes) -> list[FromClient]:
    """The frames of a message.

    Raises:
        FrameError: It is none, or too large.
    """
    if len(message) > MESSAGE_BYTES:
        raise FrameError(TOO_LARGE, f"a message has at most {MESSAGE_BYTES} bytes")
    return _read(_from_client, message)  # type: ignore[no-any-return]


def read_from_server(message: bytes) -> list[FromServer]:
    """The frames of a message.

    Raises:
        FrameError: It is none.
    """
    return _read(_from_server, message)  # type: ignore[no-any-return]


def read_call(octets: bytes) -> Call:
    """A call that came in parts.

    Raises:
        FrameError: It is none.
    """
    return _read(_call, octets)  # type: ignore[no-any-return]


def read_reply(octets: bytes) -> Answer | Failed | Refused:
    """An answer that came in parts.

    Raises:
        FrameError: It is none.
    """
    return _read(_reply, octets)  # type: ignore[no-any-return]


def _read(decode: Callable[[bytes], Any], octets: bytes) -> Any:
    try:
        return decode(octets)
    except msgspec.ValidationError as error:
        raise FrameError(NO_FRAME, f"no frame: {error}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise FrameError(NO_MSGPACK, f"no msgpack: {error}") from error


encode_frame = msgspec.msgpack.Encoder().encode
"""Of frames that are rare."""

# The head of a frame that is sent for each call: array, kind, id of 64 bits.
_head = struct.Struct(">BBBQ").pack
_part_head = struct.Struct(">BBBQBQBI").pack


def call_frame(number: int, rest: bytes) -> bytes:
    """A call.

    Args:
        number: Its id.
        rest: Method, headers, args and kwargs, each in msgpack.
    """
    return _head(0x96, CALL, 0xCF, number) + rest


def answer_frame(number: int, result: bytes) -> bytes:
    """An answer.

    Args:
        number: Id of the call.
        result: In msgpack.
    """
    return _head(0x93, ANSWER, 0xCF, number) + result


def problem_frame(kind: int, number: int, problem: bytes) -> bytes:
    """A failure.

    Args:
        kind: ``FAILED`` or ``REFUSED``.
        number: Id of the call.
        problem: Document in msgpack.
    """
    return _head(0x93, kind, 0xCF, number) + problem


def part_frame(number: int, left: int, octets: bytes | memoryview) -> bytes:
    """A part; ``left`` octets follow it."""
    return _part_head(0x94, PART, 0xCF, number, 0xCF, left, 0xC6, len(octets)) + octets


_array_heads = [bytes([0x90 + length]) for length in range(16)]


def message_of(frames: Sequence[bytes]) -> bytes:
    """A message of at most 65,535 frames."""
    count = len(frames)
    head = _array_heads[count] if count < 16 else b"\xdc" + count.to_bytes(2)
    return b"".join((head, *frames))
