"""Outcomes as HTTP answers: bodies, statuses, headers, compression, CORS. One set of rules for every door."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.operation import Operation, unexpected_failure
from unimicro.outcome import Failure, Outcome, Response, failure_of
from unimicro.wire import plain_to_json

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.options import Cors
    from unimicro.routes.request import HttpRequest

JSON = "application/json"
PROBLEM = "application/problem+json"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"

_OCTETS = (bytes, bytearray, memoryview)

_Unsent = tuple[int, list[tuple[str, str]], bytes, bool]
"""Status, headers, body, and whether that is text which may be compressed and sent as a string."""

_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding")
)
"""The server's business (RFC 9110 §7.6.1, PEP 3333): a service that hands on another's answer has them."""

_NOT_WITH_304 = frozenset(
    ("allow", "content-encoding", "content-language", "content-range", "content-type", "last-modified")
)
"""What describes a representation has no place where none is sent (RFC 9110 §15.4.5); WSGI drops these."""

# RFC 9110 §5.6.2 and §5.5: a token, and visible characters of ISO-8859-1 with blanks between.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# §12.4.2: a weight of nought.
_ZERO_WEIGHT = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


class HttpAnswer(NamedTuple):
    """What every HTTP door sends, each in its own way.

    Attributes:
        status: HTTP status.
        headers: (name, value) pairs; a name may repeat. No Content-Length.
        body: Empty for HEAD, 204 and 304.
        length: Content-Length: of the body, or of the one that GET would have; ``None`` for none.
        is_text: The body is text in the charset of its content type, UTF-8 as a rule.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    length: int | None = None
    is_text: bool = False


def answer_of(
    request: HttpRequest,
    operation: Operation | None,
    invocation: Invocation | None,
    outcome: Outcome[Any],
    gzip_min_bytes: int,
) -> HttpAnswer:
    """The answer to ``request``; what cannot be encoded becomes ``internal``."""
    if outcome.monoid[1] and operation is not None and invocation is not None:
        try:
            status, headers, body, textual = _success(operation, outcome.value)
        except Exception as error:
            failure = unexpected_failure(error, invocation, "result")
            status, headers, body, textual = _problem(failure, request, invocation)
    else:
        status, headers, body, textual = _failed(failure_of(outcome), request, operation, invocation)
    if operation is not None:
        options = operation.options
        if options.cors is not None:
            headers += _cors_headers(options.cors, request)
        if options.binary:
            textual = False
    if status == 304:
        headers = [field for field in headers if field[0].lower() not in _NOT_WITH_304]
    if status < 200 or status in (204, 304):
        return HttpAnswer(status, headers)
    if textual and gzip_min_bytes and len(body) >= gzip_min_bytes:
        body, textual = _compressed(request, headers, body)
    sent = b"" if request.method == "HEAD" else body
    return tuple.__new__(HttpAnswer, (status, headers, sent, len(body), textual))


def _success(operation: Operation, value: Any) -> _Unsent:
    if type(value) is Response:
        return _response(operation, value)
    if value is None:
        return 204, [], b"", False
    content_type, body = _encoded(operation, value)
    return 200, [("Content-Type", content_type)], body, is_textual(content_type)


def _response(operation: Operation, response: Response) -> _Unsent:
    given = response.headers
    headers = list(given.items() if isinstance(given, Mapping) else given or ())
    for name, value in headers:
        if not _is_field(name, value):
            raise ValueError(f"header {name!r} has a name or a value that HTTP does not allow")
    headers = [(name, value) for name, value in headers if name.lower() not in _OF_THE_CONNECTION]
    if response.body is None:
        return response.status, headers, b"", _says_text(headers)
    content_type, body = _encoded(operation, response.body)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.insert(0, ("Content-Type", content_type))
    return response.status, headers, body, _says_text(headers)


def _says_text(headers: list[tuple[str, str]]) -> bool:
    """Whether the fields describe text that nothing has encoded yet."""
    fields = {name.lower(): value for name, value in headers}
    return "content-encoding" not in fields and is_textual(fields.get("content-type", ""))


def _is_field(name: object, value: object) -> bool:
    """Nothing that could end the field and begin another (CR, LF), or that no server can send."""
    return bool(
        isinstance(name, str)
        and isinstance(value, str)
        and _HEADER_NAME.fullmatch(name)
        and _HEADER_VALUE.fullmatch(value)
    )


def _encoded(operation: Operation, value: Any) -> tuple[str, bytes]:
    declared = operation.options.content_type
    if isinstance(value, str):
        return _with_charset(declared or TEXT), value.encode()
    if isinstance(value, _OCTETS):
        return declared or BINARY, bytes(value)
    return declared or JSON, operation.encode_json(value)


@lru_cache(maxsize=256)
def _with_charset(content_type: str) -> str:
    textual = content_type.startswith("text/") and "charset" not in content_type.lower()
    return f"{content_type}; charset=utf-8" if textual else content_type


def _failed(
    failure: Failure, request: HttpRequest, operation: Operation | None, invocation: Invocation | None
) -> _Unsent:
    if failure.body is not None and operation is not None and invocation is not None:
        try:
            status, headers, body, textual = _response(operation, failure.body)
            return status, headers + _demanded(failure, headers), body, textual
        except Exception as error:
            failure = unexpected_failure(error, invocation, "result")
    return _problem(failure, request, invocation)


def _problem(failure: Failure, request: HttpRequest, invocation: Invocation | None) -> _Unsent:
    headers = [("Content-Type", PROBLEM), *failure_headers(failure)]
    body = problem_json(failure, invocation, request.path)
    return failure.status, headers, body, _says_text(headers)


def failure_headers(failure: Failure) -> list[tuple[str, str]]:
    """The failure's own headers, and those that its status asks for (RFC 9110 §11.6.1, §10.2.3)."""
    own = (failure.headers or {}).items()
    headers = [(name, value) for name, value in own if _is_field(name, value)]
    return headers + _demanded(failure, headers)


def _demanded(failure: Failure, given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the status asks for and ``given`` does not say."""
    names = {name.lower() for name, _ in given}
    if failure.status == 401 and "www-authenticate" not in names:
        return [("WWW-Authenticate", "Bearer")]
    if failure.status in (429, 503) and "retry-after" not in names:
        return [("Retry-After", str(max(1, math.ceil(failure.retry_after or 0))))]
    return []


def failed_call(failure: Failure, invocation: Invocation | None) -> dict[str, Any]:
    """A failure as the answer to a call by name: plain data, whatever the wire format."""
    problem = json.loads(problem_json(failure, invocation))
    return {"result": None, "exception": f"{failure.code}: {problem['detail']}", "failure": problem}


def problem_json(failure: Failure, invocation: Invocation | None, instance: str = "") -> bytes:
    """The RFC 9457 body; details that cannot be encoded are left out rather than hiding the failure."""
    trace = invocation.trace if invocation is not None else None
    problem = failure.to_problem(instance, trace.trace_id if trace else "")
    try:
        return plain_to_json(problem)
    except (TypeError, ValueError, RecursionError, OverflowError):
        problem.pop("details", None)
        # backslashreplace: the message may quote input that is no Unicode.
        safe = {k: _printable(v) if isinstance(v, str) else v for k, v in problem.items()}
        safe.pop("errors", None)
        return plain_to_json(safe)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _cors_headers(cors: Cors, request: HttpRequest) -> list[tuple[str, str]]:
    """https://fetch.spec.whatwg.org/#http-responses"""
    origin = request.metadata.get("origin")
    anyone = "*" in cors.origins
    headers = [] if anyone else [("Vary", "Origin")]
    if origin is None or not (anyone or origin in cors.origins):
        return headers
    headers.append(("Access-Control-Allow-Origin", "*" if anyone else origin))
    if cors.credentials:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if cors.expose:
        headers.append(("Access-Control-Expose-Headers", ", ".join(cors.expose)))
    return headers


def preflight(request: HttpRequest, allowed: Iterable[str], cors: Cors | None) -> HttpAnswer:
    """The answer to OPTIONS: the verbs of the path, and what CORS permits of the verb asked for."""
    headers = [("Allow", ", ".join(allowed))]
    wanted = request.metadata.get("access-control-request-method", "")
    if cors is not None and wanted:
        granted = _cors_headers(cors, request)
        if any(name == "Access-Control-Allow-Origin" for name, _ in granted):
            asked = request.metadata.get("access-control-request-headers", "")
            names = asked if "*" in cors.headers else ", ".join(cors.headers)
            granted.append(("Access-Control-Allow-Methods", wanted))
            if names and _HEADER_VALUE.fullmatch(names):
                granted.append(("Access-Control-Allow-Headers", names))
            granted.append(("Access-Control-Max-Age", str(cors.max_age)))
        headers += granted
    return HttpAnswer(204, headers)


def _compressed(request: HttpRequest, headers: list[tuple[str, str]], body: bytes) -> tuple[bytes, bool]:
    """The body as the client takes it, and whether that is still text; ``headers`` learn of it."""
    headers.append(("Vary", "Accept-Encoding"))
    if not accepts_gzip(request.metadata.get("accept-encoding", "")):
        return body, True
    import gzip

    headers.append(("Content-Encoding", "gzip"))
    # mtime=0: the same answer is the same bytes.
    return gzip.compress(body, 6, mtime=0), False


@lru_cache(maxsize=256)
def is_textual(content_type: str) -> bool:
    """Whether a body of that type can be sent as a string."""
    media = content_type.partition(";")[0].strip().lower()
    return (
        media.startswith("text/")
        or media in (JSON, "application/javascript", "application/xml", "application/x-www-form-urlencoded")
        or media.endswith(("+json", "+xml"))
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """RFC 9110 §12.5.3: gzip is listed and its weight is not 0; ``*`` counts where gzip is not listed."""
    allowed: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.partition(";")
        allowed[coding.strip()] = not _ZERO_WEIGHT.fullmatch(weight)
    named = [allowed[coding] for coding in ("gzip", "x-gzip") if coding in allowed]
    return any(named) if named else allowed.get("*", False)
