"""The client's end of ``stream``, in memory and without a client: any octets can be sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgpack
import msgspec

from unimicro.channels.stream_frames import (
    HELLO,
    MESSAGE_BYTES,
    PART,
    SUBPROTOCOL,
    call_frame,
    encode_frame,
    message_of,
)
from unimicro.channels.stream_parts import Outbox

LIMIT = 20.0
"""Seconds that anything may take."""


def call_octets(number, method, args=(), kwargs=None, headers=None):
    """A call frame."""
    rest = (method, headers or {}, list(args), kwargs or {})
    return call_frame(number, b"".join(map(msgpack.packb, rest)))


class Disconnected(Exception):
    """The server ended the connection; ``code`` and ``reason`` are what it said."""

    def __init__(self, message):
        super().__init__(message)
        self.code, self.reason = message.get("code"), message.get("reason")


class Wire:
    """The client's end of a WebSocket: whole messages in and out, frames as msgpack has them."""

    def __init__(self, send, receive):
        self.send, self.receive = send, receive
        self.frames = []
        self.parts = {}

    async def message(self, *frames):
        """One message of these frames, each a list or octets."""
        await self.send(message_of([f if isinstance(f, bytes) else encode_frame(f) for f in frames]))

    async def put(self, number, frame):
        """One frame, in parts if it is large."""
        outbox = Outbox()
        outbox.put(number, frame)
        while message := outbox.take():
            assert len(message) <= MESSAGE_BYTES
            await self.send(message)

    async def next(self):
        """The next frame; parts as they come."""
        while not self.frames:
            octets = await self.receive()
            assert len(octets) <= MESSAGE_BYTES
            self.frames = msgpack.unpackb(octets)
        return self.frames.pop(0)

    async def whole(self):
        """The next frame that is no part, or that parts make up."""
        while True:
            frame = await self.next()
            if frame[0] != PART:
                return frame
            _, number, left, octets = frame
            self.parts[number] = self.parts.get(number, b"") + octets
            if left == 0:
                return msgpack.unpackb(self.parts.pop(number))

    async def hello(self):
        frame = await self.next()
        assert frame[0] == HELLO
        return frame

    async def answers(self, count):
        """Id to answer of the next ``count`` calls."""
        return {frame[1]: frame for frame in [await self.whole() for _ in range(count)]}


@asynccontextmanager
async def in_memory(asgi, headers=(), subprotocols=(SUBPROTOCOL,), path="/stream", room=0):
    """A ``Wire`` to an ASGI application without a server between.

    It holds ``room`` messages of the application that have not been read; 0 is any number.
    """
    to_server, to_client = asyncio.Queue(), asyncio.Queue(room)
    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
    }
    await to_server.put({"type": "websocket.connect"})
    serving = asyncio.create_task(asgi(scope, to_server.get, to_client.put))

    async def send(octets):
        await to_server.put({"type": "websocket.receive", "bytes": octets})

    async def receive():
        message = await asyncio.wait_for(to_client.get(), LIMIT)
        if message["type"] != "websocket.send":
            raise Disconnected(message)
        return message["bytes"]

    wire = Wire(send, receive)
    wire.accepted = await asyncio.wait_for(to_client.get(), LIMIT)
    wire.to_server = to_server
    wire.serving = serving
    try:
        yield wire
    finally:
        await to_server.put({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(serving, LIMIT)


def read_frames(octets):
    """The frames of a message as a client reads them."""
    return msgspec.msgpack.decode(octets)
