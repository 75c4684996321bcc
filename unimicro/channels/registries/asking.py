"""Asks an instance for its health, where the registry has no agent that does."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from unimicro.discovery import Status

__all__ = ["status_at"]


def status_at(url: str, timeout: float) -> Status:
    """``passing`` for 2xx, ``warning`` for 429, else ``critical``, as Consul reads them.

    Args:
        url: Without query.
        timeout: Seconds for the connection, and for each part of the answer.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"connection": "close"})
        status = connection.getresponse().status
    except (OSError, HTTPException):
        return "critical"
    finally:
        connection.close()
    if status == 429:
        return "warning"
    return "passing" if 200 <= status < 300 else "critical"
