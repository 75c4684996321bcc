"""An HTTP request as every HTTP door hands it over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.metadata import NO_METADATA, Metadata
from unimicro.outcome import Failure
from unimicro.routes.table import decode_segments, split_path

if TYPE_CHECKING:
    from collections.abc import Sequence


PATH_SAFE = "/:@!$&'()*+,;=~"
"""Characters that a path keeps unescaped (RFC 3986 §3.3), beside letters, digits, ``-``, ``.`` and ``_``."""


class HttpRequest(NamedTuple):
    """One request, not yet routed.

    Attributes:
        method: Upper case.
        path: As it came, without the query string.
        segments: Of the path, decoded.
        query: (name, value) pairs, decoded; a name may repeat.
        metadata: Header fields.
        body: At most ``max_body_bytes``.
        problem: Why the transport could not read the request; it is answered with that.
        stage: Stage it was addressed to; empty for the app's own.
        deadline: Limit of the transport, in monotonic seconds.
        id: The transport's id of the request.
        native: The request as the transport gave it.
    """

    method: str
    path: str
    segments: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    metadata: Metadata = NO_METADATA
    body: bytes = b""
    problem: Failure | None = None
    stage: str = ""
    deadline: float | None = None
    id: str = ""
    native: Any = None


def path_of(target: str) -> str:
    """The path of a request target in origin or absolute form (RFC 9112 §3.2), still encoded."""
    path = target.partition("?")[0]
    if path.startswith("/"):
        return path
    _, scheme_ends, rest = path.partition("://")
    return "/" + rest.partition("/")[2] if scheme_ends else path


def parse_target(
    raw_path: str, query_string: str, *, base_path: str = "", max_fields: int = 1000
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], Failure | None]:
    """Segments and query of a request target that is still percent-encoded.

    Args:
        raw_path: Path of the target.
        query_string: What follows the ``?``.
        base_path: Stripped where the path begins with exactly its segments.
        max_fields: Most query fields.

    Returns:
        Decoded segments, decoded query pairs, and the failure if one of them is malformed.
    """
    segments = parse_path(raw_path, split_path(base_path))
    if isinstance(segments, Failure):
        return (), (), segments
    pairs = parse_query(query_string, max_fields)
    if isinstance(pairs, Failure):
        return segments, (), pairs
    return segments, pairs, None


def parse_path(raw_path: str, base: Sequence[str] = ()) -> tuple[str, ...] | Failure:
    """Decoded segments of a path that is still percent-encoded, without those of ``base``."""
    try:
        return strip_prefix(decode_segments(split_path(raw_path)), base)
    except ValueError:
        return Failure("invalid_argument", "the path is not UTF-8", layer="routing")


def parse_query(query_string: str, max_fields: int) -> tuple[tuple[str, str], ...] | Failure:
    """Decoded pairs of a query string, fields without a value kept."""
    if not query_string:
        return ()
    if "%" not in query_string and "+" not in query_string:
        fields = query_string.split("&")
        if len(fields) <= max_fields:
            return tuple([_name_and_value(field) for field in fields if field])
    from urllib.parse import parse_qsl

    try:
        pairs = parse_qsl(query_string, keep_blank_values=True, max_num_fields=max_fields, errors="strict")
    except ValueError as error:
        return malformed_query(str(error))
    return tuple(pairs)


def _name_and_value(field: str) -> tuple[str, str]:
    """Of a field in which nothing is encoded."""
    name, _, value = field.partition("=")
    return name, value


def malformed_query(why: str) -> Failure:
    """The 400 failure of a query that cannot be read."""
    return Failure("invalid_argument", f"malformed query: {why}", layer="routing")


def strip_prefix(segments: Sequence[str], prefix: Sequence[str]) -> tuple[str, ...]:
    """Without ``prefix`` where the path begins with equal segments; never part of a segment."""
    count = len(prefix)
    if count and tuple(segments[:count]) == tuple(prefix):
        return tuple(segments[count:])
    return tuple(segments)


def body_too_large(limit: int) -> Failure:
    """The 413 failure."""
    return Failure("invalid_argument", f"the body is larger than {limit} bytes", status=413, layer="limits")
