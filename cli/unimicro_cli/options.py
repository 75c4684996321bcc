"""What several commands take: the app, the stage, and a time limit."""

from __future__ import annotations

import os
from math import isfinite

import click

APP_VARIABLE = "UNIMICRO_APP"

app_argument = click.argument("app", required=False)
stage_option = click.option("--stage", metavar="NAME", help="Deployment stage; sets UNIMICRO_STAGE.")


def _finite(_: click.Context, __: click.Parameter, seconds: float) -> float:
    if not isfinite(seconds):
        raise click.UsageError("--timeout: expected a number of seconds.")
    return seconds


timeout_option = click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    help="Seconds to wait for the server.",
)


def chosen_app(given: str | None, how: str) -> str:
    """The target on the command line, else that of the environment.

    Args:
        given: What the command line says.
        how: How to give it to this command; ends the error.

    Raises:
        click.UsageError: There is neither.
    """
    target = given or os.environ.get(APP_VARIABLE)
    if not target:
        raise click.UsageError(f"which app? {how}, or set {APP_VARIABLE}=module:app.")
    return target
