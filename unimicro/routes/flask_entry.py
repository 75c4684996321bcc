"""The Flask entry: ``app.wsgi`` is a Flask application that hands what it cannot route to the app.

Extensions, ``before_request`` hooks, ``flask.request`` and further Flask routes work as in any Flask
application. Routing, binding and answers of the entries are those of every other HTTP door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from unimicro.errors import require
from unimicro.metadata import Metadata
from unimicro.outcome import Failure
from unimicro.routes.http import HttpDoor
from unimicro.routes.request import PATH_SAFE, body_too_large, path_of

require("flask", "flask", "the Flask entry")

from flask import Flask, Response, request  # noqa: E402 - only once it is known to be there
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, SecurityError  # noqa: E402
from werkzeug.wsgi import get_input_stream  # noqa: E402

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from flask import Request
    from werkzeug.routing import MapAdapter

    from unimicro.app import App
    from unimicro.routes.answers import HttpAnswer


class FlaskEntry(HttpDoor):
    """The app behind WSGI (PEP 3333)."""

    name = "flask"
    channels = ("rest",)

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.native = _Application(self)

    def setup(self) -> None:
        # A WSGI server announces neither its start nor its end.
        self.app.start()

    def answer(self, environ: WSGIEnvironment) -> Response:
        """Serve one request."""
        body, unreadable = _read_body(environ, self.app.settings.max_body_bytes)
        request = self.request(
            environ["REQUEST_METHOD"],
            raw_path(environ),
            environ.get("QUERY_STRING", ""),
            _metadata(environ),
            body,
            unreadable,
            environ,
        )
        return _response(self.handle(request))


class _Application(Flask):
    """Flask without rules of its own: the route table serves every path that no Flask route takes."""

    def __init__(self, entry: FlaskEntry) -> None:
        super().__init__("unimicro", static_folder=None)
        self.url_map.merge_slashes = False
        self.url_map.strict_slashes = False
        self._entry = entry

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is not None and self._needs_no_routing():
            return None
        return super().create_url_adapter(request)

    def _needs_no_routing(self) -> bool:
        """There is no Flask route: none could match, nor ``url_for`` build one.

        Flask spends a third of a request's time on finding that out.
        """
        return (
            next(self.url_map.iter_rules(), None) is None
            and self.config.get("TRUSTED_HOSTS") is None  # the adapter holds the host against them
            and not self.url_build_error_handlers
        )

    def dispatch_request(self, *context: Any) -> Any:
        # A host that is not trusted is Flask's to refuse; that no rule fits is not the end of it.
        if request.url_rule is not None or isinstance(request.routing_exception, SecurityError):
            return super().dispatch_request(*context)
        return self._entry.answer(request.environ)


def raw_path(environ: WSGIEnvironment) -> str:
    """The path below the mount point, still percent-encoded.

    WSGI decodes ``PATH_INFO``, which loses ``%2F``. Most servers also give the request target, as
    ``REQUEST_URI`` or ``RAW_URI``; it is used where it says the same path.
    """
    path = environ.get("PATH_INFO", "")
    decoded = path.encode("latin-1", "replace")
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if target:
        raw = path_of(target)
        if raw == path and "%" not in raw and not environ.get("SCRIPT_NAME"):
            return raw  # the usual case: nothing was encoded
        mounted = quote(environ.get("SCRIPT_NAME", "").encode("latin-1", "replace"), safe="%" + PATH_SAFE)
        below = raw.removeprefix(mounted)
        if _same_path(unquote_to_bytes(below.encode("latin-1", "replace")), decoded):
            return below
    return quote(decoded, safe=PATH_SAFE)


def _same_path(one: bytes, other: bytes) -> bool:
    """Servers differ in what they make of leading slashes and of octets that are not UTF-8."""
    if one == other:
        return True
    return one.decode("utf-8", "replace").lstrip("/") == other.decode("utf-8", "replace").lstrip("/")


def _metadata(environ: WSGIEnvironment) -> Metadata:
    # A slice is quicker than startswith, and there are far more names than fields.
    fields = [(name[5:].replace("_", "-"), value) for name, value in environ.items() if name[:5] == "HTTP_"]
    fields += [
        (name.replace("_", "-"), environ[name])
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if environ.get(name)
    ]
    return Metadata(fields)


def _read_body(environ: WSGIEnvironment, limit: int) -> tuple[bytes, Failure | None]:
    """The body, or 413 before more than ``limit`` bytes are read."""
    length, coding = environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING")
    if not (length or coding) and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return b"", None
    # Either is no body at all to werkzeug.
    if length and not (length.isascii() and length.isdigit() and len(length) < 19):
        return b"", _unreadable("its length is no possible number")
    if coding and not (length or environ.get("wsgi.input_terminated")):
        return b"", _unreadable("the server does not know its transfer coding")
    try:
        return _read(environ, limit)
    except (ClientDisconnected, ConnectionError, TimeoutError):
        return b"", Failure("canceled", "the client went away", layer="limits")
    except Exception:
        # Each server raises something of its own for chunks that are malformed.
        return b"", _unreadable("it is malformed")


def _read(environ: WSGIEnvironment, limit: int) -> tuple[bytes, Failure | None]:
    try:
        # One byte more: at its maximum werkzeug's stream ends as if the body did.
        body = get_input_stream(environ, max_content_length=limit + 1).read()
        return (b"", body_too_large(limit)) if len(body) > limit else (body, None)
    except RequestEntityTooLarge:
        return b"", body_too_large(limit)


def _unreadable(why: str) -> Failure:
    return Failure("invalid_argument", f"the body cannot be read: {why}", layer="limits")


def _response(answer: HttpAnswer) -> Response:
    headers = answer.headers
    if answer.length is not None:
        headers = [*headers, ("Content-Length", str(answer.length))]
    # A list: of bytes the constructor would set the length itself, and HEAD has another than its body's.
    response = Response([answer.body], answer.status, headers)
    if "content-type" not in [name.lower() for name, _ in headers]:
        # The constructor adds one where there must be none.
        del response.headers["Content-Type"]
    return response
