"""The server of ``stream``: WebSockets at ``/stream`` with many calls on each."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from unimicro.channels.asgi import metadata_of
from unimicro.channels.client.http_headers import OF_THE_CONNECTION
from unimicro.channels.stream_connection import GOES_AWAY, ServedConnection
from unimicro.channels.stream_door import StreamDoor
from unimicro.channels.stream_frames import SUBPROTOCOL
from unimicro.channels.stream_settings import stream_settings

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.channels.asgi import Receive, Scope, Send

__all__ = ["StreamServer"]

log = logging.getLogger("unimicro")

POLICY = 1008
"""Close code of what is refused on principle (RFC 6455 §7.4.1)."""

_OF_THE_HANDSHAKE = OF_THE_CONNECTION | {
    *("accept", "content-type", "cookie", "idempotency-key", "origin", "proxy-authorization"),
}
"""Fields that say nothing of a call: the connection's own, those of a body, what a browser adds by itself,
and the key of one call."""


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
            log.info("stream: a handshake is refused: %s", refusal)
            # Answered 403 (ASGI). A status of our own would have uvicorn log an error for each, as if the
            # handshake had been forgotten: anybody could fill the log.
            await send({"type": "websocket.close", "code": POLICY, "reason": refusal})
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        connection = ServedConnection(self._door, receive, send, _defaults(scope), self._most_calls)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    def _refusal(self, scope: Scope) -> str | None:
        """Why a handshake is refused, where it is."""
        if self._draining:
            return GOES_AWAY.message
        headers = metadata_of(scope).fields
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            return "pages of other origins may not connect"
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            return f"this endpoint speaks the WebSocket subprotocol {SUBPROTOCOL}"
        return None

    async def drain(self, limit: float) -> None:
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
