"""``key=value`` on the command line as the arguments of a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unimicro.conversion import ConversionError
from unimicro.wire import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unimicro.signature import Parameter


def read_arguments(
    pairs: Sequence[str], json_object: str | None, parameters: Mapping[str, Parameter]
) -> dict[str, Any]:
    """The arguments by name.

    Args:
        pairs: ``key=value``, or ``key=@file`` for the text of a file. A value is read as JSON where it
            is JSON, else as text.
        json_object: All arguments as one JSON object, instead of ``pairs``.
        parameters: Of the operation, where they are known. A value that is JSON but does not fit its
            parameter, as 42 does not fit ``order_id: str``, is text if that fits.

    Raises:
        click.UsageError: The arguments cannot be read.
    """
    if json_object is not None:
        if pairs:
            raise click.UsageError("--json gives all arguments: leave out the key=value ones.")
        return _object(json_object)
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, text = _split(pair)
        if name in arguments:
            raise click.UsageError(f"{name} is given twice; write a list as {name}='[1, 2]'.")
        arguments[name] = _value(text, parameters.get(name))
    return arguments


def _object(text: str) -> dict[str, Any]:
    try:
        value = from_json(text)
    except ValueError as error:
        raise click.UsageError(f"--json: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--json: expected an object, such as '{\"value\": 20}'.")
    return value


def _split(pair: str) -> tuple[str, str]:
    name, equals, text = pair.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{pair!r} is no argument; write key=value.")
    return name, _file_text(text[1:]) if text.startswith("@") else text


def _file_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path!r}: {error}") from error


def _value(text: str, parameter: Parameter | None) -> Any:
    try:
        value = from_json(text)
    except ValueError:
        return text
    if parameter is None or _fits(parameter, value) or not _fits(parameter, text):
        return value
    return text


def _fits(parameter: Parameter, value: Any) -> bool:
    try:
        parameter.from_value(value)
    except ConversionError:
        return False
    return True
