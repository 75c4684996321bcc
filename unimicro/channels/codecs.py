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

# Fixmap and fixarray, array 16 to map 32.
MSGPACK_OPENERS = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])


class Codec(NamedTuple):
    """A wire format.

    Attributes:
        content_type: Of requests and answers.
        decode: Bytes to plain data; raises ``ValueError`` for anything else.
        encode_result: Envelope around a successful result.
        encode: Plain data to bytes.
        openers: The octets with which a list or a map begins.
    """

    content_type: str
    decode: Callable[[bytes], Any]
    encode_result: Callable[[Operation, Any], bytes]
    encode: Callable[[dict[str, Any]], bytes]
    openers: bytes

    def nests_too_deeply(self, body: bytes, decoded: Any) -> bool:
        """Whether ``decoded`` is too deep; it cannot be while its body opens too few lists and maps."""
        opened = len(body) - len(body.translate(None, self.openers))
        return opened > MAX_DEPTH and too_deep(decoded)


def json_codec() -> Codec:
    """``application/json``."""
    return Codec("application/json", from_json, _json_result, plain_to_json, b"[{")


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
    pack, unpack = msgpack.packb, msgpack.unpackb

    def decode(body: bytes) -> Any:
        try:
            return unpack(body, strict_map_key=False, timestamp=3, ext_hook=_no_extension)
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            # Unhashable map keys are a TypeError, times out of range an OverflowError; StackError and
            # ExtraData are ValueErrors, some without a text.
            raise ValueError(f"malformed msgpack: {str(error) or type(error).__name__}") from error

    def encode_result(_: Operation, value: Any) -> bytes:
        plain = value if type(value) in SCALARS else to_plain(value)
        return pack({"result": plain, "exception": None})  # type: ignore[no-any-return]

    return Codec("application/msgpack", decode, encode_result, pack, MSGPACK_OPENERS)


def _no_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"extension type {code} is not supported")


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
