"""Header fields, and the two that every door reads: trace context and idempotency key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["NO_METADATA", "Metadata", "TraceContext", "parse_idempotency_key", "parse_traceparent"]


class Metadata(Mapping[str, str]):
    """Header fields: names lower-cased, a repeated field kept value by value.

    Reading ``metadata["accept"]`` joins repeated values with ``", "`` (RFC 9110 §5.3; cookies
    with ``"; "``, RFC 6265bis §4.2); ``getall`` gives them apart.

    Attributes:
        fields: The joined values by lower-case name, to be read only. Asking it directly is several
            times as fast as ``get``.
    """

    __slots__ = ("_repeated", "fields")

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._repeated: dict[str, tuple[str, ...]] = {}
        if type(fields) is dict and _are_lower_case(fields):
            self.fields: dict[str, str] = fields.copy()
            return
        self.fields = {}
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        for field, value in pairs:
            name = field.lower()
            if name in self.fields:
                self._repeat(name, value)
            else:
                self.fields[name] = value

    @classmethod
    def of_lower_case(cls, fields: dict[str, str]) -> Metadata:
        """Of names in lower case, each given once; ``fields`` is kept, not copied."""
        metadata = cls.__new__(cls)
        metadata.fields = fields
        metadata._repeated = _NONE  # noqa: SLF001 - its own
        return metadata

    def _repeat(self, name: str, value: str) -> None:
        self._repeated[name] = (*self.getall(name), value)
        self.fields[name] = ("; " if name == "cookie" else ", ").join(self._repeated[name])

    def __getitem__(self, name: str) -> str:
        return self.fields[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        """The joined value, or ``default``; quickest with a name in lower case."""
        value = self.fields.get(name)
        if value is not None:
            return value
        return default if name.islower() else self.fields.get(name.lower(), default)

    def getall(self, name: str) -> tuple[str, ...]:
        """Every value of the field, in order; empty when absent."""
        name = name.lower()
        repeated = self._repeated.get(name)
        if repeated is not None:
            return repeated
        return (self.fields[name],) if name in self.fields else ()

    def pairs(self) -> list[tuple[str, str]]:
        """(name, value) for every value, repeated ones apart."""
        return [(name, value) for name in self.fields for value in self.getall(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Metadata):
            return self.pairs() == other.pairs()
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.fields.items()))

    def __repr__(self) -> str:
        # Values may be credentials: names only.
        return f"Metadata({', '.join(self.fields)})"


_NONE: dict[str, tuple[str, ...]] = {}


def _are_lower_case(names: Iterable[str]) -> bool:
    """As most gateways send them. One look at all of them: this runs for each request."""
    text = "".join(names)
    return text == text.lower()


NO_METADATA = Metadata()


class TraceContext(NamedTuple):
    """W3C trace context (https://www.w3.org/TR/trace-context/)."""

    trace_id: str
    parent_id: str
    flags: str = "00"
    state: str = ""


_HEX = frozenset("0123456789abcdef")


def parse_traceparent(metadata: Metadata) -> TraceContext | None:
    """The caller's trace context; ``None`` when absent, invalid or given more than once.

    W3C Trace Context §3.2: version ``ff`` and all-zero ids are invalid; version ``00`` has exactly
    four fields, later versions may have more. ``tracestate`` counts only beside a valid parent.
    """
    value = metadata.fields.get("traceparent")
    if value is None or len(metadata.getall("traceparent")) != 1:
        return None
    parts = value.strip().split("-")
    if len(parts) < 4 or (parts[0] == "00" and len(parts) != 4):
        return None
    lengths = [len(part) for part in parts[:4]]
    if lengths != [2, 32, 16, 2] or not all(_HEX.issuperset(part) for part in parts[:4]):
        return None
    version, trace_id, parent_id, flags = parts[:4]
    if version == "ff" or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return TraceContext(trace_id, parent_id, flags, metadata.get("tracestate", ""))


def parse_idempotency_key(metadata: Metadata) -> str | None:
    """``Idempotency-Key``: a quoted string (draft-ietf-httpapi-idempotency-key), bare accepted."""
    value = metadata.fields.get("idempotency-key")
    if value is None:
        return None
    value = value.strip()
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    return (value[1:-1] if quoted else value) or None
