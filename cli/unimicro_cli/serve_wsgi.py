"""The Flask door: ``app.wsgi`` on werkzeug's threaded development server."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from unimicro.errors import require
from unimicro_cli.banner import show_banner
from unimicro_cli.faults import user_code
from unimicro_cli.serving import add_timers, listen, plan_presence, show_logs
from unimicro_cli.target import find_app
from unimicro_cli.wsgi_drain import Drain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket
    from wsgiref.types import StartResponse, WSGIEnvironment

    from unimicro.app import App
    from unimicro_cli.serving import Serving

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Both are set, also where a shell started this in the background, with SIGINT ignored."""


def run(serving: Serving) -> None:
    """Serve until a signal comes.

    Raises:
        click.ClickException: The app cannot be loaded, or the port is taken.
        MissingExtra: flask is not installed.
        SystemExit: The end of the server.
    """
    require("flask", "flask", "unimicro serve --door flask")
    from werkzeug.serving import is_running_from_reloader

    if is_running_from_reloader():
        _serve_again(serving)
        return
    # The app is started with its door, and stopped wherever a signal comes before the drain takes them.
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        app, native = _load(serving)
        try:
            _serve_loaded(app, native, serving)
        finally:
            app.stop()


def _serve_loaded(app: App, native: Any, serving: Serving) -> None:
    listener = listen(serving.host, serving.port)
    port = plan_presence(app, serving, listener)
    show_banner(app, serving, port)
    show_logs()
    if serving.reload:
        app.stop()
        listener.close()
        _watch(serving._replace(port=port), native)
    else:
        _serve(app, native, serving, listener)


def _load(serving: Serving) -> tuple[App, Any]:
    app = find_app(serving.target)
    with user_code("starting the app"):
        add_timers(app)
        return app, app.wsgi


def _serve(app: App, native: Any, serving: Serving, listener: socket) -> None:
    from werkzeug.serving import make_server

    drain = Drain(app, native)
    for number in SIGNALS:
        signal.signal(number, drain.signalled)
    # The descriptor is bound already: werkzeug reads the port off it.
    server = make_server(serving.host, serving.port, drain, threaded=True, fd=listener.fileno())
    app.presence.announce()
    drain.serve(server, listener)


def _watch(serving: Serving, native: Any) -> None:
    """Keep the listening socket, and start this program anew, in a child, after each change."""
    from werkzeug.serving import run_simple

    # The banner has said what werkzeug would say; the child logs the requests.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    run_simple(serving.host, serving.port, native, use_reloader=True, threaded=True)


def _serve_again(serving: Serving) -> None:
    """The child. A module that cannot be loaded is reported, and the next change waited for."""
    from werkzeug.serving import run_simple

    app: App | None = None
    native: Any = _unloadable
    try:
        app, native = _load(serving)
    except click.ClickException as error:
        error.show()
    show_logs()
    try:
        run_simple(serving.host, serving.port, native, use_reloader=True, threaded=True)
    finally:
        if app is not None:
            app.stop()


def _unloadable(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"The app cannot be loaded; the terminal says why.\n"]
