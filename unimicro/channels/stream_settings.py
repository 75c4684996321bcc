"""``[channels.stream]`` of the configuration."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StreamSettings", "stream_settings"]


@dataclass(frozen=True)
class StreamSettings:
    """Settings of both sides.

    Attributes:
        max_calls: Most calls under way on one connection; the server announces it, its clients keep to it.
        max_bytes: Largest result that a client takes, in octets.
        connect_timeout: Seconds that a client tries to connect.
        ping_interval: Seconds without a message after which a client pings the server; 0 is never.
        ping_timeout: Seconds within which it must answer.
        backoff: Seconds before the second attempt to connect, on average half of it; doubled with each.
        backoff_cap: Most of that.
    """

    max_calls: int = 256
    max_bytes: int = 64 * 1024 * 1024
    connect_timeout: float = 5.0
    ping_interval: float = 10.0
    ping_timeout: float = 10.0
    backoff: float = 0.1
    backoff_cap: float = 5.0


_LOWEST = {"max_calls": 1, "max_bytes": 1, "ping_interval": 0, "backoff": 0, "backoff_cap": 0}
_FIELDS = {field.name: type(field.default) for field in dataclasses.fields(StreamSettings)}


def stream_settings(table: Mapping[str, Any]) -> StreamSettings:
    """The settings that a table of the configuration gives.

    Raises:
        ConfigurationError: One is unknown or impossible; the text names it.
    """
    return StreamSettings(**{name: _checked(name, value) for name, value in table.items()})


def _checked(name: str, value: Any) -> Any:
    where = f"channels.stream.{name}"
    if name not in _FIELDS:
        raise ConfigurationError(f"{where}: unknown setting{nearest(name, _FIELDS)}")
    kind = _FIELDS[name]
    if type(value) is not int and not (type(value) is float and kind is float):
        raise ConfigurationError(f"{where} must be {'a number' if kind is float else 'int'}, got {value!r}")
    lowest = _LOWEST.get(name)
    if not math.isfinite(value) or value < (lowest or 0) or (lowest is None and value == 0):
        limit = "above 0" if lowest is None else f"at least {lowest}"
        raise ConfigurationError(f"{where} must be {limit}, got {value!r}")
    return value
