"""``unimicro serve``."""

from __future__ import annotations

import click

from unimicro_cli.options import app_argument, chosen_app, stage_option


@click.command()
@app_argument
@click.option(
    "--door",
    type=click.Choice(["fastapi", "flask"]),
    default="fastapi",
    show_default=True,
    help="fastapi: ASGI on uvicorn. flask: WSGI on werkzeug's development server.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=5000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option("--reload", is_flag=True, help="Restart when a source file changes.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@stage_option
def serve(
    app: str | None, door: str, host: str, port: int, reload: bool, workers: int, stage: str | None
) -> None:
    """Serve APP over HTTP until it is interrupted.

    SIGINT and SIGTERM end it with exit code 0.

    \b
    Examples:
      unimicro serve examples.first:app
      unimicro serve examples/first.py --door flask --port 8000 --reload
      unimicro serve examples.first:app --workers 4 --stage prod
    """  # noqa: D301 - \b is a character that click reads
    from unimicro_cli import serve_asgi, serve_wsgi
    from unimicro_cli.environment import load_environment
    from unimicro_cli.serving import Serving
    from unimicro_cli.target import parse_target

    _check(door, reload, workers)
    load_environment(stage)
    target = parse_target(chosen_app(app, "Write unimicro serve module:app"))
    serving = Serving(target, door, host, port, reload, workers)
    (serve_wsgi if door == "flask" else serve_asgi).run(serving)


def _check(door: str, reload: bool, workers: int) -> None:
    if workers == 1:
        return
    if reload:
        raise click.UsageError("--reload watches one process: leave out --workers.")
    if door == "flask":
        raise click.UsageError(
            "--door flask serves from one process with threads: leave out --workers, take the default"
            " door, or start a WSGI server such as gunicorn on module:app."
        )
