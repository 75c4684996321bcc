"""What an instance may look like. The limits are Consul's, and hold for every registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from unimicro.discovery import ChannelAddress, Status
from unimicro.errors import ConfigurationError
from unimicro.stores.settings import http_address

if TYPE_CHECKING:
    from unimicro.discovery import Check, Instance

__all__ = ["RESERVED", "require_name", "require_registrable", "require_seconds"]

MOST_CHARACTERS = 255
MOST_PAIRS = 64
MOST_BYTES = 512
"""Of one pair's value (https://developer.hashicorp.com/consul/api-docs/agent/service#meta)."""
LEAST_DEREGISTER_AFTER = 60.0
"""Consul's own lower bound."""

RESERVED = ("unimicro-", "consul-")
"""What no key of an instance's own ``meta`` begins with."""

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")


def require_registrable(instance: Instance, check: Check) -> None:
    """Check both before a registry is told of them.

    Raises:
        ConfigurationError: Naming what is impossible.
    """
    require_name(instance.id, "Instance.id")
    require_name(instance.component, "Instance.component")
    if instance.status not in get_args(Status):
        known = ", ".join(get_args(Status))
        raise ConfigurationError(f"Instance.status must be one of {known}, got {instance.status!r}")
    _require_addresses(instance.addresses)
    _require_meta(instance.meta, len(instance.addresses))
    if check.url != "" and http_address(check.url) is None:
        # Not repeated: it may hold a password.
        raise ConfigurationError("Check.url must be http://host:port/path or https://..., or empty")
    require_seconds("Check.interval", check.interval)
    require_seconds("Check.timeout", check.timeout)
    require_seconds("Check.deregister_after", check.deregister_after, LEAST_DEREGISTER_AFTER)


def require_name(name: object, what: str) -> None:
    """Check what something is found by: printable text of at most 255 characters.

    Raises:
        ConfigurationError: Naming ``what``.
    """
    if not (isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= MOST_CHARACTERS):
        shown = repr(name)[:80]
        raise ConfigurationError(
            f"{what} must be printable text of 1 to {MOST_CHARACTERS} characters, got {shown}"
        )


def require_seconds(what: str, value: object, least: float = 0.0) -> None:
    """Check a time: above 0, at least ``least``, at most 30 days.

    Raises:
        ConfigurationError: Naming ``what``.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value <= 30 * 86_400 and value >= least):  # type: ignore[operator]
        bound = f"at least {least:g}" if least else "above 0"
        raise ConfigurationError(f"{what} must be {bound} and at most 30 days, in seconds, got {value!r}")


def _require_addresses(addresses: Any) -> None:
    if not isinstance(addresses, tuple | list) or not addresses:
        raise ConfigurationError(f"Instance.addresses must have at least one address, got {addresses!r}")
    for address in addresses:
        if not isinstance(address, ChannelAddress) or not all(map(_is_word, address)):
            raise ConfigurationError(
                f"Instance.addresses: {address!r} must be a ChannelAddress of texts without blanks"
            )
        _require_length(" ".join(address), "Instance.addresses: channel and uri")


def _is_word(part: object) -> bool:
    return isinstance(part, str) and part != "" and part.isprintable() and " " not in part


def _require_meta(meta: Any, taken: int) -> None:
    if not isinstance(meta, Mapping) or len(meta) + taken > MOST_PAIRS:
        raise ConfigurationError(
            f"Instance.meta must be a mapping; with the addresses at most {MOST_PAIRS} pairs"
        )
    for key, value in meta.items():
        if not (isinstance(key, str) and _KEY.fullmatch(key)) or key.startswith(RESERVED):
            raise ConfigurationError(
                f"Instance.meta: the key {str(key)[:80]!r} must be 1 to 128 ASCII letters, digits, '-' and"
                f" '_', and not begin with {' or '.join(RESERVED)}"
            )
        if not isinstance(value, str):
            raise ConfigurationError(f"Instance.meta[{key!r}] must be text, got {type(value).__name__}")
        _require_length(value, f"Instance.meta[{key!r}]")


def _require_length(text: str, what: str) -> None:
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{what}: half a character cannot be sent") from error
    if length > MOST_BYTES:
        raise ConfigurationError(f"{what} may have {MOST_BYTES} bytes together, got {length}")
