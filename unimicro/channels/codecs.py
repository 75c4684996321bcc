"""The two wire formats of the dispatch endpoint: JSON and msgpack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import require
from unimicro.wire import from_json, plain_to_json, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.operation import Operation

SCALARS = frozenset((str, int, float, bool, bytes, type(None)))
"""Results that msgpack writes as they are."""

MAX_DEPTH = 100
"""Deepest nesting of a call. Real data is shallow; deep data is an attack on recursive code."""

JSON_OPENERS = b"[{"
# Fixmap and fixarray, array 16 to map 32.
MSGPACK_OPENERS = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])


class Codec(NamedTuple):
    """A wire format.

    Attributes:
        content_type: Of requests and answers.
        headers: Of an answer, as HTTP/1.1 and ASGI carry them.
        decode: Bytes to plain data; raises ``ValueError`` for anything else, and for what nests too deeply.
        encode_result: Envelope around a successful result.
        encode: Plain data to bytes.
    """

    content_type: str
    headers: tuple[tuple[bytes, bytes], ...]
    decode: Callable[[bytes], Any]
    encode_result: Callable[[Operation, Any], bytes]
    encode: Callable[[dict[str, Any]], bytes]


def json_codec() -> Codec:
    """``application/json``."""
    content_type = "application/json"
    return Codec(content_type, _headers(content_type), _json_decode, _json_result, plain_to_json)


def _headers(content_type: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-type", content_type.encode()),)


def _json_decode(body: bytes) -> Any:
    return shallow(from_json(body), body, JSON_OPENERS)


def _json_result(operation: Operation, value: Any) -> bytes:
    return b'{"result":%b,"exception":null}' % operation.encode_json(value)


def msgpack_codec() -> Codec:
    """``application/msgpack`` (https://github.com/msgpack/msgpack/blob/master/spec.md).

    Bytes travel as they are; times, Decimals and UUIDs as the strings that JSON has for them. The format's
    own timestamps are read too; any other extension type is refused.

    Raises:
        MissingExtra: The package msgpack is not installed.
    """
    msgpack = require("msgpack", "fastapi", "the msgpack codec")
    packer, unpack = msgpack.Packer, msgpack.unpackb

    def decode(body: bytes) -> Any:
        try:
            decoded = unpack(body, strict_map_key=False, timestamp=3, ext_hook=_no_extension)
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            # Unhashable map keys are a TypeError, times out of range an OverflowError; StackError and
            # ExtraData are ValueErrors, some without a text.
            raise ValueError(f"malformed msgpack: {str(error) or type(error).__name__}") from error
        return shallow(decoded, body, MSGPACK_OPENERS)

    def encode_result(_: Operation, value: Any) -> bytes:
        plain = value if type(value) in SCALARS else to_plain(value)
        return packer().pack({"result": plain, "exception": None})  # type: ignore[no-any-return]

    content_type = "application/msgpack"
    return Codec(content_type, _headers(content_type), decode, encode_result, msgpack.packb)


def _no_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"extension type {code} is not supported")


def shallow(decoded: Any, body: bytes, openers: bytes) -> Any:
    """``decoded`` itself, unless it is too deep; it cannot be while ``body`` has few ``openers``.

    Those are the octets with which a list or a map begins.

    Raises:
        ValueError: It is.
    """
    if len(body) - len(body.translate(None, openers)) > MAX_DEPTH and too_deep(decoded):
        raise ValueError("nested too deeply")
    return decoded


def too_deep(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether lists and maps in ``value`` nest deeper than ``depth``."""
    level = [value] if type(value) in (list, dict) else []
    while level and depth > 0:
        depth -= 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is list or type(inner) is dict
        ]
    return any(level)
