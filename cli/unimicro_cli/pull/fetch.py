"""The description of a live service, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from unimicro.errors import require
from unimicro.pipeline.clock import SystemClock
from unimicro.wire import from_json
from unimicro_cli.remote import Unreachable, authorization

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 10 * 1024 * 1024
PAGE = "/openapi.json"


class Source(NamedTuple):
    """Where a description is.

    Attributes:
        url: To ask for, with everything that was given.
        shown: The same without user, password and query.
    """

    url: str
    shown: str


def source_of(url: str) -> Source:
    """The address of the description of the app at ``url``; one that ends in ``.json`` is that already.

    Raises:
        click.UsageError: ``url`` is no address of a server.
        MissingExtra: httpx is not installed.
    """
    httpx = require("httpx", "client", "unimicro client pull")
    try:
        given = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise click.UsageError(f"URL: {error}") from None
    if given.scheme not in ("http", "https") or not given.host:
        raise click.UsageError("the URL must begin with http:// or https:// and name a server.")
    path = given.path.rstrip("/")
    address = given.copy_with(path=path if path.endswith(".json") else path + PAGE, fragment=None)
    shown = str(address.copy_with(username=None, password=None, query=None))
    return Source(str(address), shown if shown.isprintable() and shown.isascii() else ascii(shown)[1:-1])


def fetch(source: Source, token: str | None, timeout: float) -> Any:
    """The JSON document.

    Args:
        source: Where it is.
        token: Sent as the header ``Authorization``.
        timeout: Seconds for all of it.

    Raises:
        Unreachable: No connection, or no whole answer in time.
        click.UsageError: The URL has credentials too.
        click.ClickException: The answer is no description; the text says what to do.
    """
    httpx = require("httpx", "client", "unimicro client pull")
    if token is not None and httpx.URL(source.url).userinfo:
        raise click.UsageError("the URL has a user and there is a --token: a request carries one of them.")
    # Not compressed: what a stranger sends is counted before it takes up memory.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", **authorization(token)}
    try:
        with httpx.stream("GET", source.url, headers=headers, timeout=timeout) as reply:
            _check(reply, source, token)
            body = _read(reply, source, timeout)
    except httpx.TimeoutException as error:
        raise Unreachable(f"{source.shown} did not answer within {timeout:g} s") from error
    except httpx.TransportError as error:
        raise Unreachable(f"cannot reach {source.shown}: {error}") from error
    try:
        return from_json(body)
    except ValueError as error:
        raise click.ClickException(f"{source.shown} is no JSON: {error}") from None


def _check(reply: httpx.Response, source: Source, token: str | None) -> None:
    status = reply.status_code
    if status == 200:
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise click.ClickException(f"{source.shown} is compressed although that was not asked for")
        return
    hints = {
        401: "it wants a token: give it with --token" if token is None else "it does not accept the token",
        403: "it does not accept the token" if token else "it wants a token: give it with --token",
        404: "there is no description; the FastAPI door serves one in stage 'dev', and in others with the"
        " setting openapi = true (UNIMICRO_OPENAPI=true)",
    }
    if 300 <= status < 400:
        hints[status] = "redirects are not followed: give the address that it leads to"
    why = f": {hints[status]}" if status in hints else ""
    raise click.ClickException(f"{source.shown} answered HTTP {status}{why}")


def _read(reply: httpx.Response, source: Source, timeout: float) -> bytes:
    clock = SystemClock()
    end = clock.now() + timeout
    body = bytearray()
    for chunk in reply.iter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise click.ClickException(f"{source.shown} is larger than {MAX_BYTES} bytes")
        if clock.now() > end:
            raise Unreachable(f"{source.shown} did not answer within {timeout:g} s")
    return bytes(body)
