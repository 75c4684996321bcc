"""Entry point of the command ``unimicro``."""

from __future__ import annotations

import click

import unimicro
from unimicro_cli.call import call
from unimicro_cli.client import client
from unimicro_cli.explain import explain
from unimicro_cli.group import CommandGroup
from unimicro_cli.routes import routes
from unimicro_cli.serve import serve


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(unimicro.__version__, prog_name="unimicro", message="%(prog)s %(version)s")
def main() -> None:
    """Serve, inspect and call unimicro apps.

    APP is written module:attribute (examples.first:app), module alone (the attribute is then
    "app"), or the path of a file (examples/first.py). The variable UNIMICRO_APP stands in for it.
    The files .env and .env.<stage> of the working directory are loaded first; variables that are
    already set win.

    \b
    Exit codes:
      0  done
      1  the app cannot be loaded or served, or the call failed
      2  the command line is wrong
      3  the server to call cannot be reached

    \b
    Examples:
      unimicro serve examples.first:app
      unimicro routes examples/first.py
      unimicro call first.post value=20 --app examples.first
      unimicro explain first.post --app examples.first
      unimicro client pull http://127.0.0.1:5000
    """  # noqa: D301 - \b is a character that click reads


main.add_command(serve)
main.add_command(routes)
main.add_command(call)
main.add_command(explain)
main.add_command(client)
