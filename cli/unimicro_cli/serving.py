"""What to serve and where: the parts that both doors share."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, NamedTuple

import click

from unimicro_cli.faults import user_code

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro_cli.target import Target


class Serving(NamedTuple):
    """The options of ``unimicro serve``.

    Attributes:
        target: Where the app is.
        door: ``fastapi`` or ``flask``.
        host: Name or address to listen on.
        port: 0 for a free one.
        reload: Restart when a source file changes.
        workers: Processes.
    """

    target: Target
    door: str
    host: str
    port: int
    reload: bool
    workers: int


def url_of(host: str, port: int) -> str:
    """Of a server that listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A TCP socket bound to ``host`` and ``port``.

    Raises:
        click.ClickException: The port is taken or not allowed, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"port {port} on {host} is in use: choose another with --port, or end the other program"
            ) from error
        raise click.ClickException(f"cannot listen on {host}, port {port}: {error.strerror}") from error


def plan_presence(app: App, serving: Serving, listener: socket.socket) -> int:
    """Find out what to register of an app that is served on ``listener``; the port of that.

    Raises:
        click.ClickException: The registry cannot be as configured. The socket is closed.
    """
    port: int = listener.getsockname()[1]
    try:
        with user_code("finding out what to register"):
            app.presence.plan(app.door(serving.door).channels, url_of(serving.host, port))
    except BaseException:
        listener.close()
        raise
    return port


def add_timers(app: App) -> None:
    """Let the ``@every`` methods be called while the app is served, in each of its processes."""
    if any(operation.interval is not None for operation in app.operations.values()):
        app.door("timers")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def show_logs() -> None:
    """Log to standard error, unless the user's module has set up logging itself."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("unimicro", "uvicorn.access", "werkzeug"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
