"""ASGI plumbing that both HTTP endpoints of the server use: read a body within a limit, send an answer."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from unimicro.metadata import Metadata
from unimicro.outcome import Failure
from unimicro.routes.request import PATH_SAFE, body_too_large, path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

GONE = Failure("canceled", "the client went away", layer="limits")

LONGEST_LENGTH = 18
"""Digits of a Content-Length; Python refuses to read thousands of them."""


def metadata_of(scope: Scope) -> Metadata:
    """The header fields; ASGI gives their names in lower case."""
    headers = scope["headers"]
    # Decoded in one go. No field may hold a NUL (RFC 9110 §5.5); where one does, the numbers disagree.
    texts = b"\0".join(chain.from_iterable(headers)).decode("latin-1").split("\0")
    each = iter(texts)
    fields = dict(zip(each, each))  # noqa: B905 - an odd one is found below
    if len(fields) * 2 == len(texts) == len(headers) * 2:
        return Metadata.of_lower_case(fields)
    return Metadata([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])


def raw_path(scope: Scope) -> str:
    """The path below ``root_path``, still percent-encoded.

    ``raw_path`` is optional in ASGI; without it the decoded path is encoded again, and ``%2F`` is lost.
    """
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"], safe=PATH_SAFE) if raw is None else path_of(raw.decode("latin-1"))
    mount = scope.get("root_path")
    if not mount:
        return path
    root = quote(mount, safe=PATH_SAFE)
    return path[len(root) :] if path == root or path.startswith(root + "/") else path


async def read_body(receive: Receive, metadata: Metadata, limit: int) -> tuple[bytes, Failure | None]:
    """The body, or 413 before more than ``limit`` bytes are kept."""
    length = metadata.fields.get("content-length", "")
    if length.isdecimal() and (len(length) > LONGEST_LENGTH or int(length) > limit):
        return b"", body_too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body") and len(body) <= limit:
        return body, None
    return await _read_rest(receive, message, body, limit)


async def _read_rest(
    receive: Receive, message: MutableMapping[str, Any], first: bytes, limit: int
) -> tuple[bytes, Failure | None]:
    chunks, size = [first], len(first)
    while True:
        if message["type"] == "http.disconnect":
            return b"", GONE
        if size > limit:
            return b"", body_too_large(limit)
        if not message.get("more_body"):
            return b"".join(chunks), None
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header fields as ASGI wants them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def send_answer(
    send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes, length: int | None
) -> None:
    """Send a whole answer."""
    fields = encoded(headers)
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
