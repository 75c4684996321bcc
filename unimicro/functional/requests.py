"""What a caller of ``Http`` asks for, made into a request of httpx."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import DefinitionError
from unimicro.wire import plain_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

__all__ = ["Wanted", "checked_base_url", "checked_headers", "checked_timeout", "request_of"]

# RFC 9110 §5.5 without obs-text.
_VALUE = re.compile(r"([!-~]([ -~\t]*[!-~])?)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Wanted(NamedTuple):
    """The arguments of one call."""

    method: str
    url: str
    params: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    timeout: float | None
    json: Any = None
    form: Mapping[str, Any] | None = None
    idempotent: bool = False


def checked_timeout(seconds: float) -> float:
    """``seconds``, if they can be waited for.

    Raises:
        DefinitionError: They cannot.
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds < math.inf:
        raise DefinitionError(f"Http.timeout must be above 0 and finite, got {seconds!r}")
    return seconds


def checked_base_url(url: str) -> str:
    """``url`` without a slash at its end; empty for none.

    Raises:
        DefinitionError: It is no address.
    """
    if not isinstance(url, str) or not (url == "" or url.startswith(("http://", "https://"))):
        raise DefinitionError(f"Http.base_url must begin with http:// or https://, got {url!r}")
    return url.rstrip("/")


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """``headers`` with names in lower case.

    Raises:
        ValueError: One cannot be sent. httpx would quote its value in the error, and it may be a secret.
    """
    checked = {}
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} has a value that cannot be sent")
        checked[name.lower()] = value
    return checked


def request_of(
    wanted: Wanted, base_url: str, base_headers: Mapping[str, str], client: httpx.Client | httpx.AsyncClient
) -> tuple[httpx.Request, bool]:
    """The request, and whether it may be repeated.

    Raises:
        ValueError, TypeError: The address, a header or the body cannot be sent.
        httpx.InvalidURL: The address is none.
    """
    headers = {**base_headers, **checked_headers(wanted.headers)}
    repeatable = wanted.method == "GET" or wanted.idempotent or bool(headers.get("idempotency-key"))
    # Not httpx's default: a packed answer may unpack to any size.
    headers.setdefault("accept-encoding", "identity")
    content = None
    if wanted.json is not None:
        content = plain_to_json(wanted.json)
        headers.setdefault("content-type", "application/json")
    form: Any = wanted.form
    request = client.build_request(
        wanted.method,
        _address(wanted.url, base_url),
        params=wanted.params,
        headers=headers,
        content=content,
        data=form,
    )
    if request.url.scheme not in ("http", "https") or not request.url.host:
        raise ValueError("an address begins with http:// or https:// and a host")
    return request, repeatable


def _address(url: str, base_url: str) -> str:
    """``url`` below ``base_url``: another server must not get the headers that are meant for this one."""
    if not base_url or url.startswith(f"{base_url}/"):
        return url
    if "://" in url.partition("?")[0]:
        raise ValueError("the address lies outside of base_url")
    return f"{base_url}/{url.lstrip('/')}" if url else base_url
