"""From ``module:attribute``, ``module`` or ``path/to/file.py`` to the app."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from unimicro.app import App
from unimicro.errors import nearest
from unimicro_cli.faults import is_of_the_user, user_code

if TYPE_CHECKING:
    from types import ModuleType

_MISSING = object()


class Target(NamedTuple):
    """Where an app is.

    Attributes:
        module: Dotted name.
        attribute: Of the module; may be dotted.
        folder: Put on ``sys.path`` before the working directory; ``None`` for none.
        file: Path that was given instead of a module.
    """

    module: str
    attribute: str
    folder: Path | None = None
    file: Path | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"


def parse_target(text: str) -> Target:
    """Read a target.

    Raises:
        click.UsageError: It is neither a module nor the path of a Python file that exists.
    """
    place, colon, attribute = (text, "", "") if text.endswith(".py") else text.rpartition(":")
    if not colon:
        place, attribute = text, "app"
    if not all(part.isidentifier() for part in attribute.split(".")):
        raise click.UsageError(f"{text!r}: {attribute!r} is no attribute name; write module:attribute.")
    if place.endswith(".py"):
        return _file_target(Path(place), attribute)
    if not all(part.isidentifier() for part in place.split(".")):
        raise click.UsageError(f"{place!r} is neither a module (a.b) nor the path of a .py file.")
    return Target(place, attribute)


def _file_target(path: Path, attribute: str) -> Target:
    """A file in packages is imported under its dotted name, another one as Python runs scripts."""
    if not path.is_file():
        raise click.UsageError(f"there is no file {str(path)!r} in {Path.cwd()}.")
    path = path.resolve()
    names, folder = [] if path.stem == "__init__" else [path.stem], path.parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    if not all(name.isidentifier() for name in names):
        raise click.UsageError(f"{'.'.join(names)!r}, of {str(path)!r}, is no module name.")
    return Target(".".join(names), attribute, folder, path)


def find_app(target: Target) -> App:
    """Import the module of ``target`` and get its app.

    Raises:
        click.ClickException: Module or attribute is missing, the attribute is no app, or the module
            raised; the text says which, where it was looked for, and what is there.
    """
    for folder in (Path.cwd(), target.folder):
        if folder is not None:
            _put_first(str(folder))
    module = _import(target)
    found: object = module
    with user_code(f"looking for {target.attribute!r} in module {target.module!r}"):
        for name in target.attribute.split("."):
            found = getattr(found, name, _MISSING)
    if isinstance(found, App):
        return found
    raise click.ClickException(_no_app(target, module, found))


def _put_first(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)


def _import(target: Target) -> ModuleType:
    with user_code(f"importing module {target.module!r}"):
        try:
            module = import_module(target.module)
        except ModuleNotFoundError as error:
            if any(is_of_the_user(frame) for frame in traceback.extract_tb(error.__traceback__)):
                raise
            raise click.ClickException(_no_module(target, error)) from error
    imported = getattr(module, "__file__", None)
    if target.file is not None and (imported is None or not target.file.samefile(imported)):
        raise click.ClickException(
            f"{target.file} would be the module {target.module!r}, which is {imported}; rename the file"
        )
    return module


def _no_module(target: Target, error: ModuleNotFoundError) -> str:
    text = f"there is no module {target.module!r}"
    if error.name and error.name != target.module:
        text = f"{text}: there is no {error.name!r}"
    places = ", ".join(sys.path[:1])
    return f"{text} in {places} or among the installed packages"


def _no_app(target: Target, module: ModuleType, found: object) -> str:
    apps = sorted(name for name, value in vars(module).items() if isinstance(value, App))
    if apps:
        there = f"it has {' and '.join(apps)}; write {target.module}:{apps[0]}"
    else:
        there = "it has no unimicro.App; add app = App(YourService())"
    if found is not _MISSING:
        kind = found.__name__ if isinstance(found, type) else type(found).__name__
        a = "the class" if isinstance(found, type) else "a"
        return f"{target.module}.{target.attribute} is {a} {kind}, not a unimicro.App: {there}"
    close = "" if apps else nearest(target.attribute, _public(module))
    hint = close if close.startswith("; did you mean") else ""
    return f"module {target.module!r} has no attribute {target.attribute!r}{hint}: {there}"


def _public(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]
