"""The settings of an HTTP channel, and the addresses that it leads to."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from unimicro.channels.channel_tables import MAX_BYTES, checked_table
from unimicro.errors import ConfigurationError, MissingExtra
from unimicro.routes.request import PATH_SAFE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Address", "HttpSettings", "address_of", "settings_of"]

TRANSPORTS = ("auto", "fast", "httpx")


class HttpSettings(NamedTuple):
    """The table ``[channels.<name>]`` of an HTTP channel.

    Attributes:
        max_bytes: Longest body of an answer.
        connect_timeout: Seconds that making a connection may take; then the next instance is asked.
        max_connections: Most connections to one address, for threads and for each event loop.
        transport: ``fast`` (the package pyqwest), ``httpx``, or ``auto``: the fast one if it is there.
    """

    max_bytes: int = MAX_BYTES
    connect_timeout: float = 5.0
    max_connections: int = 100
    transport: str = "auto"


class Address(NamedTuple):
    """Where an instance is.

    Attributes:
        scheme: ``http`` or ``https``.
        host: ASCII, an IPv6 address without its brackets.
        port: Of the address, or the scheme's own.
        authority: As the header ``Host`` has it.
        path: Before the path of each call; empty or without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: str

    @property
    def origin(self) -> str:
        """The address without its path."""
        return f"{self.scheme}://{self.authority}"


def settings_of(channel: str, table: Mapping[str, Any]) -> HttpSettings:
    """The settings of a channel.

    Raises:
        ConfigurationError: One is unknown or impossible; the text names it.
    """
    choices = {"transport": TRANSPORTS}
    settings = HttpSettings(**checked_table(channel, table, HttpSettings._field_defaults, choices=choices))
    if settings.transport == "fast" and find_spec("pyqwest") is None:
        raise MissingExtra("pyqwest", "fast", f"channels.{channel}.transport = 'fast'")
    return settings


def address_of(uri: str, channel: str) -> Address:
    """The parts of a URL of an instance.

    Raises:
        ConfigurationError: It is none; a user name in it is not shown.
    """
    if "@" in uri:
        raise ConfigurationError(f"channel {channel!r}: an address holds no user name; give a token instead")
    try:
        parts = urlsplit(uri)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        raise ConfigurationError(f"channel {channel!r}: {uri!r} is no URL") from None
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() or ord(c) < 32 for c in uri):
        raise ConfigurationError(
            f"channel {channel!r}: an address is http://host:port or https://..., not {uri!r}"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"channel {channel!r}: an address has no query and no fragment")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    path = quote(parts.path.rstrip("/"), safe=PATH_SAFE + "%")
    return Address(parts.scheme, host, port or {"http": 80, "https": 443}[parts.scheme], authority, path)
