"""``[channels.stream]`` of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.channel_tables import MAX_BYTES, checked_table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StreamSettings", "stream_settings"]


class StreamSettings(NamedTuple):
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
    max_bytes: int = MAX_BYTES
    connect_timeout: float = 5.0
    ping_interval: float = 10.0
    ping_timeout: float = 10.0
    backoff: float = 0.1
    backoff_cap: float = 5.0


def stream_settings(table: Mapping[str, Any]) -> StreamSettings:
    """The settings that a table of the configuration gives.

    Raises:
        ConfigurationError: One is unknown or impossible; the text names it.
    """
    from_zero = ("ping_interval", "backoff", "backoff_cap")
    return StreamSettings(
        **checked_table("stream", table, StreamSettings._field_defaults, from_zero=from_zero)
    )
