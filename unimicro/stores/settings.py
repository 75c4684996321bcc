"""Checks of the settings that several kinds of store have."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from unimicro.errors import ConfigurationError


def require_text(**settings: str) -> None:
    """Each must be text with something in it.

    Raises:
        ConfigurationError: Naming the setting; the value is not repeated, it may hold a password.
    """
    for name, value in settings.items():
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{name} must be text that is not empty")


def http_address(url: object) -> SplitResult | None:
    """The parts of ``http://host`` or ``https://host``, port and path as they are; ``None`` for all else."""
    if not isinstance(url, str) or not re.fullmatch(r"https?://[^\s?#@]+", url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def require_timeout(timeout: float) -> None:
    """Seconds, above 0 and at most an hour.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 3600:
        raise ConfigurationError(f"timeout must be above 0 and at most 3600 seconds, got {timeout!r}")
