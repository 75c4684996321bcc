"""A client's WebSocket (RFC 6455) as an ``asyncio.Protocol``.

It drives the protocol of the package websockets itself. That package's own connection object puts a queue and
a task between, which calls that are told apart by their ids do not need: a message costs half as much again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from unimicro.channels.stream_frames import LOST, MESSAGE_BYTES, NO_FRAME, SUBPROTOCOL, TEXT, FrameError
from unimicro.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLOSE_TIMEOUT", "Socket", "SocketUser", "socket_factory"]

quiet = logging.getLogger("unimicro.websocket")
# At the level DEBUG websockets shows octets of what is sent: tokens and arguments.
quiet.setLevel(logging.INFO)

CLOSE_TIMEOUT = 2.0
"""Seconds that the server has to answer a close frame."""


class SocketUser(Protocol):
    """Whom a socket tells what happens."""

    def received(self, message: bytes) -> None:
        """A binary message.

        Raises:
            FrameError: It breaks the rules; the connection ends.
        """

    def writable(self) -> None:
        """More can be sent."""

    def lost(self, code: int, reason: str) -> None:
        """Nothing is received or sent any more. Told once.

        Args:
            code: Of the close frame, or ``LOST``.
            reason: Why; for people.
        """


def socket_factory(uri: str) -> Callable[[SocketUser], Socket]:
    """What makes sockets to a ``ws://`` or ``wss://`` address.

    Raises:
        MissingExtra: The package websockets is not installed.
    """
    require("websockets", "client", "the channel 'stream'")
    from websockets.uri import parse_uri

    parsed = parse_uri(uri)
    return lambda user: Socket(parsed, user)


class Socket(asyncio.Protocol):
    """One connection.

    Args:
        uri: Where to.
        user: Told what happens.

    Attributes:
        paused: The transport takes no more for now.
        heard: A message or a pong has come since this was last set to ``False``: both ways work.
        gone: Resolved once the transport is closed.
    """

    def __init__(self, uri: Any, user: SocketUser) -> None:
        from websockets.client import ClientProtocol
        from websockets.frames import Frame, Opcode
        from websockets.typing import Subprotocol

        self._user = user
        self._protocol = ClientProtocol(
            uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MESSAGE_BYTES, logger=quiet
        )
        self._frame_type, self._opcode = Frame, Opcode
        self._binary = Opcode.BINARY
        self._pieces: list[bytes] = []
        self._ended = False
        self._transport: Any = None
        self._abort_later: asyncio.TimerHandle | None = None
        self.paused = False
        self.heard = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- what the user does --------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send a binary message. Nothing happens once the user has been told that the connection is lost."""
        if not self._ended:
            self._protocol.send_binary(message)
            self._flush()

    def ping(self) -> None:
        """Ask the server to say something."""
        if not self._ended:
            self._protocol.send_ping(b"")
            self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """End the connection in order: the server has ``CLOSE_TIMEOUT`` to do its part."""
        if not self._ended:
            self._protocol.send_close(code, reason)
            self._flush()
            self._end(code, reason or "it was closed")
            self._abort_later = self.gone.get_loop().call_later(CLOSE_TIMEOUT, self._transport.abort)

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._end(LOST, reason)
        if self._transport is not None:
            self._transport.abort()

    # -- what the transport does ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if type(event) is self._frame_type:
                if event.opcode is self._binary and event.fin and not self._ended:
                    self._deliver(event.data)
                else:
                    self._other(event)
            elif protocol.handshake_exc is None and protocol.subprotocol != SUBPROTOCOL:
                self._fail(NO_FRAME, f"the server does not speak {SUBPROTOCOL}")
        if protocol.handshake_exc is not None or protocol.parser_exc is not None:
            self._broken()
        self._flush()

    def eof_received(self) -> None:
        # Nothing can be sent any more either, though the transport is there a little longer.
        self._protocol.receive_eof()
        self._end(LOST, "the server ended the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(LOST, "the connection was cut" if exc is None else str(exc) or type(exc).__name__)
        if self._abort_later is not None:
            self._abort_later.cancel()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._user.writable()

    # -- inside --------------------------------------------------------------------------------

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _deliver(self, message: Any) -> None:
        self.heard = True
        try:
            self._user.received(message)
        except FrameError as error:
            self._fail(error.code, str(error))

    def _other(self, frame: Any) -> None:
        """A control frame (§5.5), or a piece of a message that came in several (§5.4)."""
        if self._ended:
            return
        opcode = frame.opcode
        if opcode is self._opcode.PONG:
            self.heard = True
        elif opcode is self._opcode.CLOSE:
            close = self._protocol.close_rcvd
            self._end(close.code if close else LOST, f"the server closed the connection: {close}")
        elif opcode is self._opcode.TEXT:
            self._fail(TEXT, "messages are binary")
        elif opcode in (self._binary, self._opcode.CONT):
            self._pieces.append(frame.data)
            if frame.fin:
                message = b"".join(self._pieces)
                self._pieces.clear()
                self._deliver(message)

    def _broken(self) -> None:
        """The server does not speak the protocol, or has refused the connection."""
        error = self._protocol.handshake_exc or self._protocol.parser_exc
        self._flush()
        self._end(LOST, str(error))
        self._transport.close()

    def _fail(self, code: int, reason: str) -> None:
        if not self._ended:
            self._protocol.fail(code, reason)
            self._flush()
            self._end(code, reason)
            self._transport.close()

    def _end(self, code: int, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._pieces.clear()
            self._user.lost(code, reason)
