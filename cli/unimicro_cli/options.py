"""What several commands take: the app and the stage."""

from __future__ import annotations

import os

import click

APP_VARIABLE = "UNIMICRO_APP"

app_argument = click.argument("app", required=False)
stage_option = click.option("--stage", metavar="NAME", help="Deployment stage; sets UNIMICRO_STAGE.")


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
