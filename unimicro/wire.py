"""Results to JSON and to plain data, and JSON to plain data.

Nothing here imports msgspec before a value needs it: most results are plain data, which the standard
library writes.
"""

from __future__ import annotations

import enum
import json
from typing import Any, get_args, get_origin

MAX_DEPTH = 100
"""Deepest nesting of a call. Real data is shallow; deep data is an attack on recursive code."""

# Without the check of its own, a structure that contains itself ends in RecursionError.
_encode_plain = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode


def is_plain(annotation: Any) -> bool:
    """Types whose values the standard library can usually write: no need to load msgspec."""
    return annotation in (Any, None, str, int, bool, dict, list) or (
        get_origin(annotation) in (dict, list) and all(is_plain(arg) for arg in get_args(annotation))
    )


def plain_to_json(value: Any) -> bytes:
    """JSON of plain data; anything else in it is left to ``to_json``."""
    try:
        return _encode_plain(value).encode()
    except (TypeError, ValueError, RecursionError):
        return to_json(value)


def to_json(value: Any) -> bytes:
    """JSON of anything a service may return: Decimal, datetime, UUID, set, Enum, dataclass, model.

    Decimals and times become strings, bytes base64 text, NaN and infinities null.

    Raises:
        TypeError: There is an object in it that no rule covers.
        ValueError: Text that is no Unicode, or nesting without end.
    """
    import msgspec

    try:
        return msgspec.json.encode(value, enc_hook=dump_model)
    except RecursionError as error:
        raise ValueError("nested too deeply, or it contains itself") from error


_OCTETS = (bytes, bytearray, memoryview)


def to_plain(value: Any) -> Any:
    """Data of None, bool, int, float, str, bytes, list and dict only, for msgpack; keys are text, as in JSON.

    Raises:
        TypeError, ValueError: As ``to_json``.
    """
    import msgspec

    try:
        return msgspec.to_builtins(value, builtin_types=_OCTETS, str_keys=True, enc_hook=dump_model)
    except RecursionError as error:
        raise ValueError("nested too deeply, or it contains itself") from error


def dump_model(value: Any) -> Any:
    """Msgspec's hook for objects it does not know: models, enums, and subclasses of plain types.

    Raises:
        TypeError: No rule covers the object.
    """
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, enum.Enum):
        return value.value
    for plain in (str, int, float):
        if isinstance(value, plain):
            # Of a class of its own, such as markupsafe's strings and NumPy's floats.
            return plain(value)
    raise TypeError(f"{type(value).__name__} has no wire form")


def from_json(body: bytes | str) -> Any:
    """Parse JSON strictly (RFC 8259: no NaN, no lone surrogates, UTF-8 only).

    Raises:
        ValueError: The text is no JSON, or is nested too deeply.
    """
    import msgspec

    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"malformed JSON: {error}") from error


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
