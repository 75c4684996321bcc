"""``unimicro client``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unimicro_cli.group import CommandGroup
from unimicro_cli.options import timeout_option

if TYPE_CHECKING:
    from unimicro_cli.pull.model import Model


@click.group(cls=CommandGroup)
def client() -> None:
    """Work with services of other programs."""


@client.command()
@click.argument("url")
@click.option(
    "-o", "--output", metavar="FILE", help="Where to write; default: <service>_client.py; - is the terminal."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option(
    "--class-name",
    "class_names",
    metavar="[SERVICE=]NAME",
    multiple=True,
    help="Name of the class of a service; may be repeated.",
)
@click.option("--token", help="Sent as Authorization.")
@timeout_option
def pull(
    url: str, output: str | None, force: bool, class_names: tuple[str, ...], token: str | None, timeout: float
) -> None:
    """Write a typed interface module from the description of the service at URL.

    URL is the address of the app, or of its OpenAPI document (*.json). A unimicro app describes its
    services exactly; of another one, such as a FastAPI app, the module is for the channel "rest",
    and what cannot be told from OpenAPI is left out and listed.

    \b
    Examples:
      unimicro client pull http://127.0.0.1:5000
      unimicro client pull http://127.0.0.1:5000 -o shop/orders.py --class-name Orders --force
      unimicro client pull https://shop.example/openapi.json -o - --token "$TOKEN"
    """  # noqa: D301 - \b is a character that click reads
    from unimicro_cli.pull.describe import read_description
    from unimicro_cli.pull.fetch import fetch, source_of
    from unimicro_cli.pull.module import write_module

    source = source_of(url)
    if output not in (None, "-"):
        _refuse_existing(Path(str(output)), force)
    model = read_description(fetch(source, token, timeout))
    text = write_module(model, source.shown, _class_names(class_names, model))
    if output == "-":
        click.echo(text, nl=False)
    else:
        path = Path(output or _file_name(model))
        _write(path, text, force)
        click.echo(f"wrote {path}")
    for line in model.left_out:
        click.echo(f"left out: {line}", err=True)


def _class_names(given: tuple[str, ...], model: Model) -> dict[str, str]:
    from unimicro.errors import nearest
    from unimicro_cli.pull.reading import BadDescription, identifier

    known = [service.name for service in model.services]
    names: dict[str, str] = {}
    for text in given:
        service, equals, name = text.rpartition("=")
        if not equals and len(known) > 1:
            raise click.UsageError(f"--class-name: which service? Write {known[0]}={text}.")
        service = service if equals else known[0]
        if service not in known:
            raise click.UsageError(f"--class-name: there is no service {service!r}{nearest(service, known)}")
        try:
            names[service] = identifier(name, "--class-name")
        except BadDescription:
            raise click.UsageError(f"--class-name: {name!r} is no name of a class.") from None
    return names


def _file_name(model: Model) -> str:
    names = [service.name.replace("-", "_") for service in model.services]
    return f"{names[0]}_client.py" if len(names) == 1 else "services_client.py"


def _refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise click.ClickException(f"{path} is there already: overwrite it with --force")


def _write(path: Path, text: str, force: bool) -> None:
    """Whole or not at all: a module that is half written would be imported."""
    written = path.with_name(f".{path.name}.new") if force else path
    try:
        file = written.open("x", encoding="utf-8")  # refuses what is there, also since it was looked for
    except FileExistsError:
        _refuse_existing(path, force)
        raise click.ClickException(f"{written} is in the way: remove it") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
    try:
        with file:
            file.write(text)
        if force:
            written.replace(path)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
