"""The module: from the model to its text, always the same for the same description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from unimicro_cli.pull.classes import ERROR_OF_CODE, Classes
from unimicro_cli.pull.layout import STEP, WIDTH
from unimicro_cli.pull.literals import docstring
from unimicro_cli.pull.services import service_lines
from unimicro_cli.pull.symbols import Symbols

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro_cli.pull.model import ErrorModel, Model, ServiceModel

PACKAGES = ("msgspec", "unimicro")


def write_module(model: Model, source: str, class_names: Mapping[str, str]) -> str:
    """The text of the module.

    Args:
        model: What the description says.
        source: Where it came from: printable text on one line.
        class_names: Name of a service to the name of its class, where another than its own is wanted.

    Raises:
        click.UsageError: A name in ``class_names`` is taken.
    """
    services = sorted(model.services, key=lambda service: service.name)
    errors = {error for service in services for operation in service.operations for error in operation.errors}
    own = sorted((error for error in errors if not error.of), key=lambda error: (error.name, repr(error)))
    bases = {ERROR_OF_CODE[error.code] for error in own if error.service_error}
    symbols = Symbols({error.name for error in errors if error.of == "unimicro.errors"} | bases)
    error_names = _define(symbols, model, services, own, class_names)
    blocks = _blocks(symbols, model, services, own, error_names)
    names = ", ".join(service.name for service in services)
    return "\n".join(
        [
            f"# Pulled from {source} by `unimicro client pull`: pull it again rather than change it.",
            *docstring(
                f"Interfaces of the services {names}."
                if len(services) > 1
                else f"Interface of the service {names}.",
                "",
            ),
            "",
            "from __future__ import annotations",
            *_imports(symbols),
            *(line for name, block in blocks for line in ("", "", *block, *_aliases(symbols, name))),
            "",
        ]
    )


def _define(
    symbols: Symbols,
    model: Model,
    services: list[ServiceModel],
    errors: list[ErrorModel],
    class_names: Mapping[str, str],
) -> dict[ErrorModel, str]:
    """Give names: first what the user wants, then errors, which travel by name, then the rest."""
    for name, wanted in sorted(class_names.items()):
        if symbols.define("service", name, wanted) != wanted:
            raise click.UsageError(f"--class-name: the module needs the name {wanted} for something else.")
    found = {error: symbols.define("error", repr(error), error.name) for error in errors}
    for service in services:
        if service.name not in class_names:
            symbols.define("service", service.name, service.class_name)
    for each in sorted(model.classes):
        symbols.define("class", each, each)
    return found


def _blocks(
    symbols: Symbols,
    model: Model,
    services: list[ServiceModel],
    errors: list[ErrorModel],
    error_names: dict[ErrorModel, str],
) -> list[tuple[str, list[str]]]:
    """Name and lines of each class: enumerations first, whose members are defaults in the others."""
    writer = Classes(symbols, model.classes)
    data = sorted(model.classes.values(), key=lambda each: (each.kind != "enum", each.name))
    blocks = [(symbols.own("class", each.name), writer.data(each)) for each in data]
    blocks += [(error_names[error], writer.error(error, error_names[error])) for error in errors]
    for service in services:
        name = symbols.own("service", service.name)
        blocks.append((name, service_lines(service, name, symbols, model.classes, error_names)))
    return blocks


def _aliases(symbols: Symbols, name: str) -> list[str]:
    """Other names of a class, for classes with a member that hides it."""
    found = [f"{alias} = {own}" for alias, own in sorted(symbols.aliases.items()) if own == name]
    return ["", "", *found] if found else []


def _imports(symbols: Symbols) -> list[str]:
    """The standard library's, then those of packages."""
    standard: list[str] = []
    packages = ["import msgspec"] if symbols.uses_msgspec else []
    for module, names in symbols.imports():
        line = f"from {module} import {', '.join(names)}"
        broken = [f"from {module} import (", *(f"{STEP}{name}," for name in names), ")"]
        group = packages if module.partition(".")[0] in PACKAGES else standard
        group += [line] if len(line) <= WIDTH else broken
    return [line for group in (standard, packages) if group for line in ("", *group)]
