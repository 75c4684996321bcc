"""What ``unimicro serve`` says before it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import unimicro
from unimicro_cli.describe import http_routes, table
from unimicro_cli.serving import is_loopback, url_of

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro_cli.serving import Serving


def show_banner(app: App, serving: Serving, port: int) -> None:
    """Print stage, door, URL, routes and warnings.

    Args:
        app: What is served.
        serving: How.
        port: The one that was bound.
    """
    server = "werkzeug, threads" if serving.door == "flask" else "uvicorn"
    lines = [
        f"unimicro {unimicro.__version__} serves {serving.target}",
        *table(
            [
                ("  stage", app.settings.stage),
                ("  door", f"{serving.door} ({server})"),
                ("  URL", f"{url_of(serving.host, port)}{app.settings.base_path}"),
                *_presence(app),
            ]
        ),
        "",
        *_routes(app, serving.door),
        "",
        _nature(serving),
        "Ctrl+C stops it.",
    ]
    click.echo("\n".join(lines))
    if not is_loopback(serving.host):
        click.secho(
            f"WARNING: {serving.host} is not a loopback address: other machines can reach this server.",
            err=True,
            fg="yellow",
        )


def _presence(app: App) -> list[tuple[str, str]]:
    """Components and registry, where there are some."""
    rows = []
    if app.components:
        rows.append(("  components", ", ".join(component.name for component in app.components)))
    registered = app.presence.registered
    if registered:
        rows.append(("  registry", f"{type(app.registry).__name__}: {', '.join(registered)}"))
    return rows


def _routes(app: App, door: str) -> list[str]:
    rows = [(f"  {route.verb}", route.path, route.operation.name, route.access) for route in http_routes(app)]
    if door == "fastapi":
        rows.append(("  POST", "/invoke", "any of them by name, JSON or msgpack", ""))
        rows.append(("  WS", "/stream", "any of them by name, many at a time", ""))
        if app.settings.serves_openapi:
            rows.append(("  GET", "/docs", "OpenAPI", "open"))
    rows += [("  GET", path, "health", "open") for path in app.pages]
    timers = [operation for operation in app.operations.values() if operation.interval is not None]
    rows += [("  every", f"{operation.interval:g} s", operation.name, "") for operation in timers]
    return table(rows) if rows else ["  no HTTP entries"]


def _nature(serving: Serving) -> str:
    if serving.door == "flask":
        return (
            "WARNING: this is a development server (one process, no TLS). Do not use it in production:"
            " put a WSGI server on the app."
        )
    processes = "one process" if serving.workers == 1 else f"{serving.workers} processes"
    bound = f"{processes}, no TLS, bound to {serving.host}"
    if serving.reload:
        return f"WARNING: this is a development server ({bound}, restarts when a file changes)."
    if serving.workers == 1:
        return (
            f"WARNING: this is a development server ({bound}). In production take --workers, and put a proxy"
            " that speaks TLS in front of it."
        )
    return f"{bound[0].upper()}{bound[1:]}: put a proxy that speaks TLS in front of it in production."
