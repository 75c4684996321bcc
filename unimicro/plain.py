"""Octets to plain data, in JSON and msgpack, within a limit of nesting."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from unimicro.errors import require
from unimicro.wire import MAX_DEPTH, from_json, too_deep

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LISTS", "MAPS", "Format", "malformed_msgpack", "openers_in", "plain_reader"]

Format = Literal["json", "msgpack"]

_OPENERS: dict[Format, bytes] = {
    "json": b"[{",
    # Fixmap and fixarray, array 16 to map 32.
    "msgpack": bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)]),
}
"""The octets with which a list or a map begins."""


def openers_in(octets: bytes, form: Format) -> int:
    """At least how many lists and maps there are: nothing nests deeper than that."""
    return len(octets) - len(octets.translate(None, _OPENERS[form]))


LISTS: dict[Format, frozenset[int]] = {
    "json": frozenset(b"["),
    "msgpack": frozenset((*range(0x90, 0xA0), 0xDC, 0xDD)),
}
"""First octets of lists."""

MAPS: dict[Format, frozenset[int]] = {
    "json": frozenset(b"{"),
    "msgpack": frozenset((*range(0x80, 0x90), 0xDE, 0xDF)),
}
"""First octets of maps."""


@lru_cache
def plain_reader(form: Format, depth: int = MAX_DEPTH) -> Callable[[bytes], Any]:
    """A function from octets to plain data.

    Bytes of msgpack stay bytes, its own timestamps are times; any other extension type is refused.

    Args:
        form: ``json`` or ``msgpack``.
        depth: Deepest nesting.

    Returns:
        A callable that raises ``ValueError`` for what is no such format, or nests too deeply.

    Raises:
        MissingExtra: The package msgpack is needed and not installed.
    """
    return _json_reader(depth) if form == "json" else _msgpack_reader(depth)


def _json_reader(depth: int) -> Callable[[bytes], Any]:
    def read(octets: bytes) -> Any:
        decoded = from_json(octets)
        if openers_in(octets, "json") > depth and too_deep(decoded, depth):
            raise ValueError("nested too deeply")
        return decoded

    return read


def _msgpack_reader(depth: int) -> Callable[[bytes], Any]:
    unpack = require("msgpack", "client", "the msgpack format").unpackb

    def read(octets: bytes) -> Any:
        try:
            decoded = unpack(octets, strict_map_key=False, timestamp=3, ext_hook=_no_extension)
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            # Unhashable map keys are a TypeError, times out of range an OverflowError; StackError and
            # ExtraData are ValueErrors, some without a text.
            raise ValueError(f"malformed msgpack: {str(error) or type(error).__name__}") from error
        if openers_in(octets, "msgpack") > depth and too_deep(decoded, depth):
            raise ValueError("nested too deeply")
        return decoded

    return read


def _no_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"extension type {code} is not supported")


def malformed_msgpack(octets: bytes) -> str:
    """What the reader of plain data says of malformed octets, without making data of them."""
    msgpack = require("msgpack", "client", "the msgpack format")
    unpacker = msgpack.Unpacker(max_buffer_size=max(1, len(octets)))
    unpacker.feed(octets)
    try:
        unpacker.skip()
        why = "unpack(b) received extra data."
    except msgpack.OutOfData:
        why = "Unpack failed: incomplete input"
    except (ValueError, RecursionError) as error:
        why = str(error) or type(error).__name__
    return f"malformed msgpack: {why}"
