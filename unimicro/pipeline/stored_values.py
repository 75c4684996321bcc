"""Values as JSON text, to be read again as they were: builtin types, and the classes that are declared.

Only classes that the return annotation of an operation names are ever built again, and only from their
fields: a store is somebody else's machine, so nothing like pickle is read from it.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints
from uuid import UUID

from unimicro.conversion import converter, strip_annotated
from unimicro.wire import to_json, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unimicro.conversion import Converter
    from unimicro.invocation import Principal

__all__ = ["StoredValues", "digest", "identity", "to_text"]

_PLAIN = (str, int, float, bool, type(None))
_OCTETS = (bytes, bytearray, memoryview)

# What JSON has no form for is an object with this member, which says what it is.
_TAG = "$"

_SCALARS: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    Decimal: ("decimal", str, Decimal),
    UUID: ("uuid", str, UUID),
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: (
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda value: timedelta(*value),
    ),
}


def to_text(packed: Any, *, canonical: bool = False) -> str:
    """What ``StoredValues.pack`` made, as JSON; ``canonical`` makes the order of members irrelevant."""
    return json.dumps(packed, separators=(",", ":"), sort_keys=canonical)


def digest(packed: Any) -> str:
    """64 hexadecimal digits that tell packed data apart, whatever the order of their members (SHA-256)."""
    return hashlib.sha256(to_text(packed, canonical=True).encode()).hexdigest()


def identity(principal: Principal | None) -> list[str] | None:
    """What tells a principal from others, for ``digest``: subjects are one issuer's (RFC 7519 §4.1.2)."""
    if principal is None:
        return None
    issuer = principal.claims.get("iss")
    return [principal.subject, issuer] if isinstance(issuer, str) else [principal.subject]


class StoredValues:
    """Packs values, and unpacks those whose classes ``annotation`` names.

    Args:
        annotation: Return annotation of an operation.
    """

    def __init__(self, annotation: Any = None) -> None:
        self._by_name: dict[str, type] = {}
        for kind in _classes_in(annotation, {}):
            self._by_name.setdefault(f"{kind.__module__}:{kind.__qualname__}", kind)
        self._names = {kind: name for name, kind in self._by_name.items()}
        self._readers: dict[str, Callable[[Any], Any]] = {
            **{tag: read for tag, _, read in _SCALARS.values()},
            "bytes": base64.b64decode,
            "tuple": lambda items: tuple(map(self.unpack, items)),
            "set": lambda names: set(map(self._named, names)),
            "frozenset": lambda names: frozenset(map(self._named, names)),
            "dict": lambda items: {self._named(name): self.unpack(item) for name, item in items.items()},
        }

    def pack(self, value: Any) -> Any:
        """``value`` as data for ``to_text``.

        Raises:
            TypeError, ValueError, RecursionError: It has no wire form either.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in self._names:
            return self._pack_object(value, kind)
        if kind in _SCALARS:
            tag, write, _ = _SCALARS[kind]
            return {_TAG: tag, "v": write(value)}
        if isinstance(value, enum.Enum):
            return self.pack(value.value)
        return self._pack_collection(value)

    def _pack_collection(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._pack_dict(value)
        if isinstance(value, list):
            return [self.pack(item) for item in value]
        if isinstance(value, _OCTETS):
            return {_TAG: "bytes", "v": base64.b64encode(value).decode("ascii")}
        if isinstance(value, tuple):
            return {_TAG: "tuple", "v": [self.pack(item) for item in value]}
        if isinstance(value, set | frozenset):
            # As the names of members: their order is kept in an answer, and left out of a digest.
            kind = "set" if isinstance(value, set) else "frozenset"
            return {_TAG: kind, "v": dict.fromkeys(map(self._name, value))}
        plain = to_plain(value)
        if type(plain) is type(value):
            raise TypeError(f"{type(value).__name__} has no stored form")
        return self.pack(plain)

    def _pack_dict(self, value: dict[Any, Any]) -> Any:
        if _TAG not in value and all(type(key) is str for key in value):
            return {key: self.pack(item) for key, item in value.items()}
        return {_TAG: "dict", "v": {self._name(key): self.pack(item) for key, item in value.items()}}

    def _name(self, key: Any) -> str:
        return to_text(self.pack(key), canonical=True)

    def _pack_object(self, value: Any, kind: Any) -> Any:
        packed: dict[str, Any] = {_TAG: "enum", "c": self._names[kind]}
        if issubclass(kind, enum.Enum):
            return packed | {"v": self.pack(value.value)}
        if dataclasses.is_dataclass(kind):
            given = [field.name for field in dataclasses.fields(kind) if hasattr(value, field.name)]
            return packed | {_TAG: "object", "v": {name: self.pack(getattr(value, name)) for name in given}}
        if issubclass(kind, tuple):
            return packed | {_TAG: "named", "v": [self.pack(item) for item in value]}
        plain = to_plain(value)
        try:
            if to_json(_converter(kind)(plain)) == to_json(value):
                return packed | {_TAG: "model", "v": self.pack(plain)}
        except Exception:  # noqa: S110 - a model that cannot read what it writes is kept as what it writes
            pass
        return self.pack(plain)

    def unpack(self, packed: Any) -> Any:
        """The value that ``pack`` was given.

        Raises:
            KeyError, TypeError, ValueError: It is not from ``pack``, or its class is not known here.
        """
        kind = type(packed)
        if kind is list:
            return [self.unpack(item) for item in packed]
        if kind is not dict:
            return packed
        tag = packed.get(_TAG)
        if tag is None:
            return {key: self.unpack(item) for key, item in packed.items()}
        if "c" in packed:
            return self._unpack_object(tag, self._by_name[packed["c"]], self.unpack(packed["v"]))
        return self._readers[tag](packed["v"])

    def _named(self, name: str) -> Any:
        return self.unpack(json.loads(name))

    def _unpack_object(self, tag: str, kind: Any, inner: Any) -> Any:
        if tag == "enum":
            return kind(inner)
        if tag == "model":
            return _converter(kind)(inner)
        if tag == "named":
            return tuple.__new__(kind, inner)
        made = object.__new__(kind)
        for name, item in inner.items():
            object.__setattr__(made, name, item)
        return made


@cache
def _converter(kind: Any) -> Converter:
    return converter(kind, text=False, where=kind.__name__)


def _classes_in(annotation: Any, seen: dict[int, Any]) -> Iterator[type]:
    """The classes that values of a type may have, those of its members included."""
    annotation = strip_annotated(annotation)
    if id(annotation) in seen:
        return
    # Kept, so that nothing else comes to have its id; some annotations cannot be hashed.
    seen[id(annotation)] = annotation
    for part in (get_origin(annotation), *get_args(annotation)):
        if part is not None:
            yield from _classes_in(part, seen)
    if not isinstance(annotation, type) or not _is_declared(annotation):
        return
    yield annotation
    for hint in _hints(annotation):
        yield from _classes_in(hint, seen)
    if dataclasses.is_dataclass(annotation):
        for derived in annotation.__subclasses__():
            yield from _classes_in(derived, seen)


_MARKS = (
    "__dataclass_fields__",
    "_fields",
    "model_validate",
    "__struct_fields__",
    "__attrs_attrs__",
    "__required_keys__",  # a TypedDict: for what its members are
)


def _is_declared(kind: type) -> bool:
    """An enum, a dataclass, a named tuple, or a model of pydantic, msgspec or attrs."""
    return issubclass(kind, enum.Enum) or any(hasattr(kind, mark) for mark in _MARKS)


def _hints(kind: type) -> list[Any]:
    if issubclass(kind, enum.Enum):
        return []
    try:
        return list(get_type_hints(kind, include_extras=True).values())
    except Exception:
        # A hint of names that only type checkers know: values of those classes are kept as plain data.
        return []
