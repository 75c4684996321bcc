"""An HTTP client for tests: no server, no port."""

from __future__ import annotations

from string import printable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from unimicro.metadata import Metadata
from unimicro.routes.request import PATH_SAFE, HttpRequest, body_too_large
from unimicro.wire import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.app import App
    from unimicro.routes.answers import HttpAnswer


LENIENT = "surrogatepass"
"""A careless client sends text that is no Unicode as well: the service must refuse it, not the client."""


class HttpResult(NamedTuple):
    """An answer, read as Flask's test client lets it be read."""

    status_code: int
    headers: Metadata
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def json(self) -> Any:
        return from_json(self.data)


class HttpClient:
    """Sends requests through the HTTP door of an app, whose services it sets up.

    Example:
        >>> client = app.test_client()
        >>> client.get("/", headers={"Authorization": "token"}).text
    """

    def __init__(self, app: App) -> None:
        app.start()
        self._settings = app.settings
        self._door = app.door("http")

    def open(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | str | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, Any] | None = None,
    ) -> HttpResult:
        """Send one request.

        Args:
            method: HTTP verb.
            path: May contain a query string; other characters are percent-encoded where they must be.
            headers: Header fields.
            query: Mapping, or an encoded query string.
            json: Sent as a JSON body.
            data: Raw body, or a mapping that is sent as a form.
        """
        fields = dict(headers or {})
        body, content_type = _body(json, data)
        if body and content_type and "content-type" not in map(str.lower, fields):
            fields["content-type"] = content_type
        return _result(self._door.handle(self._request(method, path, query, fields, body)))

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | str | None,
        fields: dict[str, str],
        body: bytes,
    ) -> HttpRequest:
        path, _, query_string = path.partition("?")
        query_string = quote(query_string, safe=printable, errors=LENIENT)
        raw_path = quote(path, safe="%" + PATH_SAFE, errors=LENIENT)
        if query:
            text = query if isinstance(query, str) else urlencode(query, doseq=True, errors=LENIENT)
            query_string = quote(text, safe=printable, errors=LENIENT)
        limit = self._settings.max_body_bytes
        unreadable = body_too_large(limit) if len(body) > limit else None
        return self._door.request(method, raw_path, query_string, Metadata(fields), body, unreadable)

    def get(self, path: str, **options: Any) -> HttpResult:
        return self.open("GET", path, **options)

    def post(self, path: str, **options: Any) -> HttpResult:
        return self.open("POST", path, **options)

    def put(self, path: str, **options: Any) -> HttpResult:
        return self.open("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> HttpResult:
        return self.open("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> HttpResult:
        return self.open("DELETE", path, **options)

    def head(self, path: str, **options: Any) -> HttpResult:
        return self.open("HEAD", path, **options)

    def options(self, path: str, **options: Any) -> HttpResult:
        return self.open("OPTIONS", path, **options)


def _body(json: Any, data: bytes | str | Mapping[str, Any] | None) -> tuple[bytes, str]:
    """The octets to send, and the content type that they have if the caller names none."""
    if json is not None:
        return _json_body(json), "application/json"
    if isinstance(data, bytes) or data is None:
        return data or b"", ""
    if isinstance(data, str):
        return data.encode(errors=LENIENT), ""
    return urlencode(data, doseq=True, errors=LENIENT).encode(), "application/x-www-form-urlencoded"


def _json_body(value: Any) -> bytes:
    try:
        return to_json(value)
    except ValueError:
        from json import dumps

        return dumps(value).encode()


def _result(answer: HttpAnswer) -> HttpResult:
    return HttpResult(answer.status, Metadata(answer.headers), answer.body)
