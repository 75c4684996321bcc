"""Request bodies: JSON, urlencoded and multipart forms, raw bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

from unimicro.conversion import ConversionError
from unimicro.outcome import Failure
from unimicro.wire import from_json

PART_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1")


class Upload(NamedTuple):
    """A file of a multipart form; annotate a parameter ``Upload`` to take one."""

    filename: str
    content_type: str
    content: bytes


def as_upload(value: Any) -> Upload:
    """The converter of parameters annotated ``Upload``."""
    if isinstance(value, Upload):
        return value
    raise ConversionError("expected a file of a multipart form")


class ParsedBody(NamedTuple):
    """Either one ``value`` (JSON, or raw) or the ``fields`` of a form, repeated names kept."""

    value: Any = None
    fields: tuple[tuple[str, Any], ...] | None = None

    def as_object(self) -> dict[str, Any]:
        """The form as one object: a name that repeats holds a list."""
        values: dict[str, Any] = {}
        for name, value in self.fields or ():
            if name in values:
                values[name] = [*_as_list(values[name]), value]
            else:
                values[name] = value
        return values


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parse_body(
    body: bytes, content_type: str, max_fields: int, *, raw: type[bytes | str] | None
) -> ParsedBody | Failure:
    """Parse a request body by its content type; none at all is read as JSON.

    Args:
        body: Not empty, unless it is ``raw``.
        content_type: The header's value.
        max_fields: Most fields a form may have.
        raw: The operation takes the body as it is: the octets, or text in UTF-8 (a body that says
            it is JSON is the JSON string then).

    Returns:
        The body, or ``invalid_argument``: 400 for what cannot be parsed, 415 for a type that the
        operation does not take.
    """
    media = content_type.partition(";")[0].strip().lower()
    is_json = media == "application/json" or media.endswith("+json")
    if raw is bytes:
        return ParsedBody(body)
    if raw is str and not is_json:
        return _text(body)
    if is_json or not media:
        return _json(body)
    if media == "application/x-www-form-urlencoded":
        return _urlencoded(body, max_fields)
    if media == "multipart/form-data":
        return _multipart(body, content_type, max_fields)
    return Failure(
        "invalid_argument",
        f"content type {media!r} is not supported; send JSON or a form",
        status=415,
        layer="arguments",
    )


def malformed_body(why: str) -> Failure:
    """The 400 failure of a body that cannot be parsed."""
    return Failure("invalid_argument", f"body: {why}", layer="arguments")


def refused_coding(coding: str) -> Failure | None:
    """The 415 failure of a body that says it is compressed; nothing here inflates what a stranger sends.

    RFC 9110 §12.5.3: ``Accept-Encoding`` in the answer tells what would be taken.

    Args:
        coding: The value of ``Content-Encoding``.
    """
    if coding.strip().lower() in ("", "identity"):
        return None
    return Failure(
        "invalid_argument",
        f"content encoding {coding!r} is not supported; send the body as it is",
        status=415,
        headers={"Accept-Encoding": "identity"},
        layer="arguments",
    )


def _json(body: bytes) -> ParsedBody | Failure:
    try:
        return ParsedBody(from_json(body))
    except ValueError as error:
        return malformed_body(str(error))


def _text(body: bytes) -> ParsedBody | Failure:
    try:
        return ParsedBody(body.decode())
    except UnicodeDecodeError:
        return malformed_body("the text is not UTF-8")


def _urlencoded(body: bytes, max_fields: int) -> ParsedBody | Failure:
    from urllib.parse import parse_qsl

    try:
        text = body.decode("utf-8")
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=max_fields, errors="strict")
    except ValueError as error:
        return malformed_body(f"malformed form: {error}")
    return ParsedBody(fields=tuple(fields))


def _part_text(text: bytes, charset: str) -> str:
    """A field of a multipart form, in the charset that the part names (RFC 7578 §5.1.2).

    Raises:
        ValueError: The text is not in that charset, or it is another than those of the web: a client must
            not choose among all of Python's codecs, one of which takes time in the square of the length.
    """
    if charset.lower() not in PART_CHARSETS:
        raise ValueError(f"charset {charset!r} is not supported; send UTF-8")
    return text.decode(charset)


def _multipart(body: bytes, content_type: str, max_fields: int) -> ParsedBody | Failure:
    import io

    from multipart import MultipartError, MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary:
        return malformed_body("multipart form without a boundary")
    fields: list[tuple[str, Any]] = []
    try:
        # The body is in memory and within the app's limit already: nothing is spooled to disk.
        parser = MultipartParser(
            io.BytesIO(body),
            boundary,
            content_length=len(body),
            part_limit=max_fields,
            memory_limit=len(body) + 1,
            spool_limit=len(body) + 1,
            strict=True,
        )
        for part in parser.parts():
            name = part.name or ""
            if part.filename:
                fields.append((name, Upload(part.filename, part.content_type, part.raw)))
            else:
                fields.append((name, _part_text(part.raw, part.charset)))
    except (MultipartError, UnicodeDecodeError, ValueError) as error:
        return malformed_body(f"malformed form: {error}")
    return ParsedBody(fields=tuple(fields))
