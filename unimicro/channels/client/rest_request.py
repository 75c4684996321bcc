"""From arguments to the request that the HTTP binding of an operation reads them from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from unimicro.channels.client.http_arguments import UNWRITABLE
from unimicro.channels.client.http_headers import OF_THE_CONNECTION
from unimicro.channels.client.http_results import raw_type
from unimicro.channels.client.rest_text import Unsendable, carries_text, text_of, texts_of
from unimicro.conversion import ConversionError, strip_annotated
from unimicro.errors import DefinitionError
from unimicro.forms import Upload
from unimicro.functional.requests import checked_headers
from unimicro.routes.request import PATH_SAFE
from unimicro.routes.table import split_path
from unimicro.signature import BODY_VERBS
from unimicro.wire import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.operation import HttpBinding, Operation
    from unimicro.signature import Parameter

__all__ = ["RequestParts", "RestRequest"]


class RequestParts(NamedTuple):
    """What the arguments become.

    Attributes:
        target: Path and query.
        headers: Fields that arguments set.
        body: Complete.
        content_type: Of the body; empty where there is none.
    """

    target: str
    headers: dict[str, str]
    body: bytes
    content_type: str


class RestRequest:
    """The places of one operation's parameters.

    Args:
        operation: With an HTTP binding.
        binding: It.

    Raises:
        DefinitionError: A parameter has a type that its place cannot hold.
    """

    def __init__(self, operation: Operation, binding: HttpBinding) -> None:
        parameters = operation.signature.parameters
        for parameter in parameters:
            _check(parameter, operation.name)
        self._segments = [_segment(segment, parameters) for segment in split_path(binding.template)]
        self._elsewhere = [p for p in parameters if p.source != "path"]
        self._known = {p.name for p in parameters}
        self._has_body = binding.verb in BODY_VERBS
        whole = next((p for p in parameters if p.source == "whole body"), None)
        self._raw = None if whole is None else raw_type(whole.annotation)

    def parts(self, given: Mapping[str, Any]) -> RequestParts | list[dict[str, str]]:
        """The request for arguments by name, or what is wrong with them."""
        parts = _Parts(given)
        path = parts.path(self._segments)
        for parameter in self._elsewhere:
            if parameter.name in given:
                parts.take(parameter, given[parameter.name], self._raw)
        for name in given:
            if name not in self._known:
                parts.take_rest(name, given[name], in_body=self._has_body)
        return parts.problems or parts.request(path)


def _segment(segment: str, parameters: tuple[Parameter, ...]) -> str | Parameter:
    if not segment.startswith("{"):
        return quote(segment, safe=PATH_SAFE)
    return next(p for p in parameters if p.name == segment[1:-1])


def _check(parameter: Parameter, where: str) -> None:
    label = f"{where}: parameter {parameter.name!r}"
    if strip_annotated(parameter.annotation) is Upload:
        raise DefinitionError(
            f"{label} is a file, which the channel 'rest' cannot carry; take bytes as the body"
        )
    if parameter.source in ("path", "query", "header") and not carries_text(parameter.annotation):
        raise DefinitionError(f"{label} has a type that no {parameter.source} can carry")
    if parameter.source == "header" and parameter.wire_name in OF_THE_CONNECTION:
        raise DefinitionError(f"{label} is the header {parameter.wire_name!r}, which the connection sets")


class _Parts:
    """A request while it is put together."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._query: list[tuple[str, str]] = []
        self._headers: dict[str, str] = {}
        self._members: dict[str, Any] = {}
        self._body = b""
        self._content_type = ""
        self.problems: list[dict[str, str]] = []

    def problem(self, name: str, message: str) -> None:
        self.problems.append({"name": name, "message": message})

    def path(self, segments: list[str | Parameter]) -> str:
        """The path; a segment is encoded whole, so that what it holds cannot end it (RFC 3986 §3.3)."""
        encoded = []
        for segment in segments:
            if isinstance(segment, str):
                encoded.append(segment)
                continue
            try:
                encoded.append(_path_segment(self._given.get(segment.name, segment.default)))
            except Unsendable as error:
                self.problem(segment.name, str(error))
        return "/" + "/".join(encoded)

    def take(self, parameter: Parameter, value: Any, raw: type[bytes | str] | None) -> None:
        source, name = parameter.source, parameter.wire_name
        if source == "body":
            self._members[name] = value
            return
        if _means_not_given(parameter, value):
            return
        try:
            if source == "whole body":
                self._take_whole(parameter, value, raw)
            elif source == "query":
                self._query += [(name, text) for text in _texts(parameter, value)]
            else:
                self._take_header(parameter, value)
        except Unsendable as error:
            self.problem(name, str(error))

    def _take_whole(self, parameter: Parameter, value: Any, raw: type[bytes | str] | None) -> None:
        if raw is None:
            self._body, self._content_type = _json(value), "application/json"
        elif raw is str and isinstance(value, str):
            self._body, self._content_type = text_of(value).encode(), "text/plain; charset=utf-8"
        elif raw is bytes and isinstance(value, bytes | bytearray | memoryview):
            self._body, self._content_type = bytes(value), "application/octet-stream"
        else:
            raise Unsendable(f"expected {raw.__name__}, got {type(value).__name__}")
        if not self._body and not parameter.required and value != parameter.default:
            raise Unsendable("an empty body cannot be told from one that is not given")

    def _take_header(self, parameter: Parameter, value: Any) -> None:
        texts = _texts(parameter, value)
        if parameter.collects and any(not text or "," in text or text != text.strip() for text in texts):
            raise Unsendable("a member that is empty, or has a comma or outer blanks, would not come back")
        try:
            self._headers.update(checked_headers({parameter.wire_name: ", ".join(texts)}))
        except ValueError as error:
            raise Unsendable(str(error)) from error

    def take_rest(self, name: str, value: Any, *, in_body: bool) -> None:
        """An argument of ``**kwargs``."""
        if in_body:
            self._members[name] = value
            return
        try:
            several = isinstance(value, list | tuple | set | frozenset)
            self._query += [(name, text) for text in texts_of(value, collects=several)]
        except Unsendable as error:
            self.problem(name, str(error))

    def request(self, path: str) -> RequestParts | list[dict[str, str]]:
        """All of it; or why the body cannot be written."""
        if self._members:
            try:
                self._body, self._content_type = _json(self._members), "application/json"
            except Unsendable as error:
                return [{"name": "body", "message": str(error)}]
        query = "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in self._query)
        target = f"{path}?{query}" if query else path
        return RequestParts(target, self._headers, self._body, self._content_type)


def _means_not_given(parameter: Parameter, value: Any) -> bool:
    """Nothing, or none of a collection, where the default is that as well."""
    empty = value is None or (parameter.collects and not value)
    return bool(empty and not parameter.required and value == parameter.default)


def _texts(parameter: Parameter, value: Any) -> list[str]:
    if value is None and not parameter.collects and _reads_null(parameter):
        return ["null"]
    return texts_of(value, collects=parameter.collects)


def _reads_null(parameter: Parameter) -> bool:
    """Whether the server reads ``null`` as ``None``; to a ``str`` it is a word."""
    try:
        return parameter.from_text("null") is None
    except ConversionError:
        return False


def _path_segment(value: Any) -> str:
    text = text_of(value)
    if text in ("", ".", ".."):
        # §3.3, §5.2.4: nothing at all, or a step within the path, percent-encoded or not.
        raise Unsendable(f"no path segment can be {text!r}")
    return quote(text, safe="")


def _json(value: Any) -> bytes:
    try:
        return to_json(value)
    except UNWRITABLE as error:
        raise Unsendable(f"cannot be sent: {error}") from error
