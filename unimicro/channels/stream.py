"""The server of ``stream``: WebSockets at ``/stream`` with many calls on each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from unimicro.channels.asgi import metadata_of
from unimicro.channels.stream_connection import ServedConnection
from unimicro.channels.stream_door import StreamDoor
from unimicro.channels.stream_frames import SUBPROTOCOL
from unimicro.channels.stream_settings import stream_settings

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.channels.asgi import Receive, Scope, Send

__all__ = ["StreamServer"]

_OF_THE_HANDSHAKE = frozenset(
    (
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("cookie", "expect", "host", "idempotency-key", "keep-alive", "origin", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Fields that say nothing of a call: the connection's own (RFC 9110 §7.6.1), those of a body, what a browser
adds by itself, and the key of one call."""


DRAIN_LIMIT = 30.0
"""Seconds that calls under way have to end in."""


class StreamServer:
    """Serves the WebSockets of an app.

    Args:
        app: Its entries are called.

    Raises:
        ConfigurationError: ``[channels.stream]`` is wrong.
        MissingExtra: The package msgpack is not installed.
    """

    def __init__(self, app: App) -> None:
        self._door = StreamDoor(app)
        self._most_calls = stream_settings(app.settings.channels.get("stream", {})).max_calls
        self._connections: set[ServedConnection] = set()
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end (ASGI scope ``websocket``)."""
        await receive()
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        connection = ServedConnection(self._door, receive, send, _defaults(scope), self._most_calls)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, where a handshake is refused."""
        if self._draining:
            return 503, "the server is going away"
        headers = metadata_of(scope).fields
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            return 403, "pages of other origins may not connect"
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            return 400, f"this endpoint speaks the WebSocket subprotocol {SUBPROTOCOL}"
        return None

    async def drain(self, limit: float = DRAIN_LIMIT) -> None:
        """Take no further calls, let those under way end, and close all connections.

        Args:
            limit: Seconds that the calls have; those that take longer are cancelled: ``unavailable``.
        """
        self._draining = True
        await asyncio.gather(*(connection.drain(limit) for connection in list(self._connections)))


def _defaults(scope: Scope) -> dict[str, str]:
    fields = metadata_of(scope).fields
    return {
        name: value
        for name, value in fields.items()
        if name not in _OF_THE_HANDSHAKE and not name.startswith("sec-")
    }


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reason.encode()})
