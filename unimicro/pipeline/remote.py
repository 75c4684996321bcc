"""What authorizers share that ask other servers: which addresses are safe, answers, a bounded memory."""

from __future__ import annotations

from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unimicro.errors import DefinitionError
from unimicro.wire import from_json

if TYPE_CHECKING:
    from unimicro.pipeline.ports import Fetched


def require_url(setting: str, url: object, allow_http: bool) -> None:
    """Check the address of a server that is trusted with decisions or secrets.

    Raises:
        DefinitionError: It is no URL, or plain HTTP to another machine although ``allow_http`` is not set.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        host = parts.hostname if parts is not None else None
    except ValueError:
        parts, host = None, None
    if parts is None or not host or parts.scheme not in ("https", "http"):
        raise DefinitionError(f"{setting} must be an https URL, got {url!r}")
    if parts.username is not None or parts.password is not None:
        raise DefinitionError(f"{setting} must hold no user name and no password")
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise DefinitionError(f"{setting} must be https; plain http to another machine needs allow_http=True")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def object_of(fetched: Fetched) -> dict[str, Any]:
    """The JSON object of a successful answer.

    Raises:
        ValueError: The status is not 200, or the body is no JSON object.
    """
    if fetched.status != 200:
        raise ValueError(f"the server answered {fetched.status}")
    document = from_json(fetched.body)
    if not isinstance(document, dict):
        raise ValueError("the server answered no JSON object")
    return document


class Remembered:
    """Values by key, each until a time; where there are too many, the oldest is forgotten.

    Args:
        size: Entries kept at most; 0 for none.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[str, tuple[float, Any]] = {}
        self._lock = Lock()

    def get(self, key: str, now: float) -> Any:
        """The value; ``None`` if there is none or its time has passed."""
        entry = self._entries.get(key)
        return None if entry is None or entry[0] <= now else entry[1]

    def put(self, key: str, value: Any, until: float) -> None:
        """Keep ``value`` as long as the clock is before ``until``."""
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = (until, value)
            while len(self._entries) > self._size:
                del self._entries[next(iter(self._entries))]
