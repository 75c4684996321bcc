"""The two wire formats of the dispatch endpoint: JSON and msgpack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from unimicro.call_reader import encoded_call, no_call
from unimicro.errors import require
from unimicro.forms import malformed_body
from unimicro.outcome import Failure
from unimicro.plain import Format, malformed_msgpack, plain_reader
from unimicro.wire import plain_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import EncodedCall

    Envelope = tuple[object, EncodedCall]

__all__ = ["INVOKE", "Codec", "json_codec", "msgpack_codec"]

INVOKE = "/invoke"
"""The path of the endpoint, below that at which the app is mounted."""

LONGEST_METHOD = 1000


class Codec(NamedTuple):
    """A wire format.

    Attributes:
        form: Its name.
        content_type: Of requests and answers.
        headers: Of an answer, as HTTP/1.1 and ASGI carry them.
        open: From a request to its ``method`` and its call, which is not looked into, or why it is none.
        around: What stands before and after a successful result.
        encode: Plain data to bytes.
        decode: Bytes to plain data; raises ``ValueError`` for anything else, and for what nests too deeply.
    """

    form: Format
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...]
    open: Callable[[bytes], Envelope | Failure]
    around: tuple[bytes, bytes]
    encode: Callable[[dict[str, Any]], bytes]
    decode: Callable[[bytes], Any]


def json_codec() -> Codec:
    """``application/json``."""
    around = (b'{"result":', b',"exception":null}')
    return _codec("json", around, plain_to_json)


def msgpack_codec() -> Codec:
    """``application/msgpack`` (https://github.com/msgpack/msgpack/blob/master/spec.md).

    Bytes travel as they are; times, Decimals and UUIDs as the strings that JSON has for them. The format's
    own timestamps are read too; any other extension type is refused.

    Raises:
        MissingExtra: The package msgpack is not installed.
    """
    msgpack = require("msgpack", "client", "the msgpack codec")
    around = (b"\x82\xa6result", b"\xa9exception\xc0")
    return _codec("msgpack", around, msgpack.packb)


def _codec(form: Format, around: tuple[bytes, bytes], encode: Callable[[dict[str, Any]], bytes]) -> Codec:
    content_type = f"application/{form}"
    headers = ((b"content-type", content_type.encode()),)
    return Codec(form, content_type, headers, _opener(form), around, encode, plain_reader(form))


class _Known(msgspec.Struct):
    """An envelope as it should be."""

    method: str
    args: msgspec.Raw = msgspec.Raw()
    kwargs: msgspec.Raw = msgspec.Raw()


class _Any(msgspec.Struct):
    """An object, whatever it is."""

    method: msgspec.Raw = msgspec.Raw()
    args: msgspec.Raw = msgspec.Raw()
    kwargs: msgspec.Raw = msgspec.Raw()


def _opener(form: Format) -> Callable[[bytes], Envelope | Failure]:
    module = msgspec.json if form == "json" else msgspec.msgpack
    known = module.Decoder(_Known).decode

    def open_envelope(body: bytes) -> Envelope | Failure:
        try:
            envelope = known(body)
        except (ValueError, RecursionError):
            return _odd_envelope(body, form)
        call = encoded_call(bytes(envelope.args), bytes(envelope.kwargs), form)
        return call if type(call) is Failure else (envelope.method, call)  # type: ignore[return-value]

    return open_envelope


def _odd_envelope(body: bytes, form: Format) -> Envelope | Failure:
    """The same for a body that is not as it should be; nothing of it is built in memory."""
    module: Any = msgspec.json if form == "json" else msgspec.msgpack
    try:
        whole = bytes(module.decode(body, type=msgspec.Raw))
    except RecursionError:
        return malformed_body("nested too deeply")
    except ValueError as error:
        return malformed_body(_why(body, form, error))
    try:
        envelope = module.decode(whole, type=_Any)
        method = bytes(envelope.method)
        call = encoded_call(bytes(envelope.args), bytes(envelope.kwargs), form)
        if isinstance(call, Failure):
            return call
        return (plain_reader(form)(method) if 0 < len(method) < LONGEST_METHOD else None), call
    except msgspec.ValidationError:
        return no_call()
    except ValueError as error:
        return malformed_body(str(error))


def _why(body: bytes, form: Format, error: ValueError) -> str:
    return f"malformed JSON: {error}" if form == "json" else malformed_msgpack(body)
