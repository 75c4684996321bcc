"""HTTP requests as Lambda events: what the payload families share.

A family turns its event into an ``HttpRequest`` and an ``HttpAnswer`` into exactly its own answer.
"""

from __future__ import annotations

import binascii
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from unimicro.frontend import FrontEnd
from unimicro.lambda_adapter.events import EventKind, LambdaCall, deadline_of, request_id
from unimicro.metadata import Metadata
from unimicro.outcome import Failure, Outcome
from unimicro.routes.request import HttpRequest, body_too_large, strip_prefix
from unimicro.routes.table import split_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from unimicro.app import App
    from unimicro.invocation import Invocation
    from unimicro.routes.answers import HttpAnswer
    from unimicro.routes.http import HttpDoor

Segments = tuple[str, ...] | Failure
Query = tuple[tuple[str, str], ...]

MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What reading an event of the wrong shape raises."""


class HttpEvents(FrontEnd[LambdaCall, dict[str, Any]], EventKind):
    """Base of the payload families; they differ in ``request`` and ``answer``."""

    name = "lambda"

    def __init__(self, app: App, http: HttpDoor) -> None:
        super().__init__(app)
        self._http = http
        self._base = split_path(app.settings.base_path)
        self._max_body = app.settings.max_body_bytes
        self._max_fields = app.settings.max_fields
        self._deadline = deadline_of(app)

    @abstractmethod
    def request(self, native: LambdaCall) -> HttpRequest:
        """Read the event.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: The event is malformed (``MALFORMED``).
        """

    @abstractmethod
    def answer(self, answer: HttpAnswer) -> dict[str, Any]:
        """What the gateway wants back."""

    def decode(self, native: LambdaCall) -> Outcome[Invocation]:
        return self._http.decode(self._read(native))

    def encode(
        self, native: LambdaCall, invocation: Invocation | None, outcome: Outcome[Any]
    ) -> dict[str, Any]:
        return self.answer(self._http.encode(self._read(native), invocation, outcome))

    def handle(self, native: LambdaCall) -> dict[str, Any]:
        return self.answer(self._http.handle(self._read(native)))

    def refuse(self, native: LambdaCall, failure: Failure) -> dict[str, Any]:
        return self.answer(self._http.handle(_unreadable(native, failure)))

    def _read(self, native: LambdaCall) -> HttpRequest:
        try:
            return self.request(native)
        except MALFORMED:
            failure = Failure("invalid_argument", "the Lambda event is malformed", layer="lambda")
            return _unreadable(native, failure)

    def build(
        self,
        native: LambdaCall,
        method: str,
        path: str,
        segments: Segments,
        query: Query | Failure,
        metadata: Metadata,
        stage: object,
    ) -> HttpRequest:
        """The request, with what all families carry alike: body, stage, limits of the call."""
        event, context = native
        problem: Failure | None = None
        body: bytes | Failure = b""
        if event.get("body") is not None:
            body = self._body(event)
            if isinstance(body, Failure):
                problem, body = body, b""
        if isinstance(query, Failure):
            problem, query = query, ()
        if isinstance(segments, Failure):
            problem, segments = segments, ()
        elif self._base:
            segments = strip_prefix(segments, self._base)
        return tuple.__new__(
            HttpRequest,
            (
                method.upper(),
                path,
                segments,
                query,
                metadata,
                body,
                problem,
                stage if stage != "$default" and isinstance(stage, str) else "",
                self._deadline(context),
                request_id(context),
                native,
            ),
        )

    def _body(self, event: Mapping[str, Any]) -> bytes | Failure:
        """The body, held against the limit before it is decoded."""
        text: str = event["body"]
        encoded = event.get("isBase64Encoded") or False
        if not (isinstance(text, str) and isinstance(encoded, bool)):
            raise TypeError("body")
        smallest = len(text) // 4 * 3 - 2 if encoded else len(text)
        if smallest > self._max_body:
            return body_too_large(self._max_body)
        try:
            body = binascii.a2b_base64(text, strict_mode=True) if encoded else text.encode()
        except ValueError:
            wrong = "base64" if encoded else "Unicode"
            return Failure("invalid_argument", f"the body is no valid {wrong}", layer="lambda")
        return body_too_large(self._max_body) if len(body) > self._max_body else body


def _unreadable(native: LambdaCall, failure: Failure) -> HttpRequest:
    return HttpRequest("", "", problem=failure, native=native)


def pairs_of(values: Mapping[str, Sequence[str]] | None) -> list[tuple[str, str]]:
    """(name, value) of a multi-value map of headers or of a query; ``null`` is an empty one.

    Raises:
        AttributeError, TypeError: It is no map of lists of strings.
    """
    pairs = []
    for name, members in (values or {}).items():
        if not isinstance(members, list):
            raise TypeError(name)
        pairs += [(name, value) for value in members]
    require_text(value for _, value in pairs)
    return pairs


def single_metadata(headers: dict[str, str] | None) -> Metadata:
    """Header fields of a single-value map; ``null`` is an empty one.

    Raises:
        AttributeError, TypeError: It is no map of strings.
    """
    if not headers:
        return Metadata()
    require_text(headers.values())
    return Metadata(headers)


def require_text(values: Iterable[object]) -> None:
    """Every value is a string.

    Raises:
        TypeError: One is not.
    """
    # Join looks at each value in C: several times as fast as a loop, and this runs for each header.
    "".join(values)  # type: ignore[arg-type]


def grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Header values by name; names that differ in case only are one (RFC 9110 §5.1)."""
    spelling: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return values


def text_body(answer: HttpAnswer) -> tuple[str, bool]:
    """The body as a string, and whether that is base64."""
    if not answer.body:
        return "", False
    if answer.is_text:
        try:
            return answer.body.decode(), False
        except UnicodeDecodeError:
            pass  # text in another charset: only base64 keeps its bytes
    return binascii.b2a_base64(answer.body, newline=False).decode("ascii"), True
