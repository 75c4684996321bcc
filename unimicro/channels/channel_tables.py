"""The tables ``[channels.<name>]`` of the configuration, checked by one rule for all channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from unimicro.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["MAX_BYTES", "checked_table"]

MAX_BYTES = 10 * 1024 * 1024
"""Longest answer that a client takes unless it is told otherwise, as ``max_body_bytes`` of a server."""


def checked_table(
    channel: str,
    table: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    from_zero: Collection[str] = (),
    choices: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Any]:
    """The settings of a channel that ``table`` gives.

    Args:
        channel: Its name.
        table: Its table.
        defaults: Of all its settings: whole numbers (``int``) and numbers (``float``) above 0, and words.
        from_zero: Numbers that may be 0.
        choices: The words that others may be.

    Raises:
        ConfigurationError: One is unknown or impossible; the text names it.
    """
    where = f"channels.{channel}"
    for name, value in table.items():
        if name not in defaults:
            raise ConfigurationError(f"{where}: unknown setting {name!r}{nearest(name, defaults)}")
        wanted = _unmet(value, defaults[name], name in from_zero, (choices or {}).get(name, ()))
        if wanted:
            raise ConfigurationError(f"{where}.{name} must be {wanted}, got {value!r}")
    return dict(table)


def _unmet(value: Any, default: Any, from_zero: bool, choices: Collection[str]) -> str:
    """What ``value`` must be and is not; empty where it is."""
    if choices:
        return "" if value in choices else f"one of {', '.join(choices)}"
    kinds, kind = ((int,), "a whole number") if type(default) is int else ((int, float), "a finite number")
    fits = type(value) in kinds and (value >= 0 if from_zero else value > 0) and value < math.inf
    return "" if fits else f"{kind} {'of at least 0' if from_zero else 'above 0'}"
