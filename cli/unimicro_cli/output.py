"""Results and failures on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from unimicro.outcome import Failure


def json_text(value: Any) -> str:
    """Indented JSON of anything a service may return.

    Raises:
        click.ClickException: There is something in it that JSON cannot hold.
    """
    import msgspec

    from unimicro.wire import to_json

    try:
        return msgspec.json.format(to_json(value), indent=2).decode()
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"the result cannot be printed as JSON: {error}") from error


def print_result(value: Any) -> None:
    """Text and bytes as they are, other values as JSON; all to standard output.

    Raises:
        click.ClickException: The terminal or JSON cannot hold it.
    """
    if isinstance(value, bytes):
        click.echo(value, nl=False)
    elif isinstance(value, str):
        try:
            click.echo(value, nl=not value.endswith("\n"))
        except UnicodeEncodeError as error:
            raise click.ClickException(f"the result cannot be printed: {error}") from error
    else:
        click.echo(json_text(value))


def print_failure(failure: Failure) -> None:
    """``code: message``, then a line for each argument that is wrong; all to standard error."""
    message = f"{len(failure.errors)} wrong argument(s)" if failure.errors else failure.message
    click.echo(f"{failure.code}: {message or failure.title}", err=True)
    for problem in failure.errors:
        click.echo(f"  {problem.get('name', '')}: {problem.get('message', '')}", err=True)
