"""Servers for clients of ``stream``: uvicorn on the running loop, and WebSockets that do as told."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager, contextmanager, suppress

import msgpack
import uvicorn
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.channels.stream_peers import LIMIT
from tests.channels.stream_service import Depot
from unimicro.channels.client.manager import ServiceManager
from unimicro.channels.stream_frames import SUBPROTOCOL
from unimicro.invocation import Invocation, current


@asynccontextmanager
async def served(app, port=0, **settings):
    """The address of an app on uvicorn, on this loop; connections are cut at the end."""
    config = uvicorn.Config(app.asgi, log_level="critical", lifespan="off", **settings)
    server = Uvicorn(config)
    with socket.create_server(("127.0.0.1", port)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.001)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.wait_for(running, LIMIT)


class Uvicorn(uvicorn.Server):
    """Leaves the signals alone, and looks at ``should_exit`` more often."""

    def install_signal_handlers(self):
        pass

    async def main_loop(self):
        while not self.should_exit:  # noqa: ASYNC110 - others set it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scripted(script, subprotocols=(SUBPROTOCOL,)):
    """The address of a WebSocket server that runs ``script(websocket, number)`` for each connection."""
    number = 0

    async def handle(websocket):
        nonlocal number
        number += 1
        with suppress(ConnectionClosed):
            await script(websocket, number)

    options = {"subprotocols": list(subprotocols) or None, "compression": None, "close_timeout": 0.1}
    async with serve(handle, "127.0.0.1", 0, **options) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def send(websocket, *frames):
    """One message of these frames."""
    await websocket.send(msgpack.packb(list(frames)))


async def hello(websocket, calls=100, call_bytes=10_000_000):
    await send(websocket, [0, calls, call_bytes])


async def frames_of(websocket):
    """All frames that come."""
    async for message in websocket:
        for frame in msgpack.unpackb(message):
            yield frame


@asynccontextmanager
async def proxy_to(*addresses, interface=Depot, policies=(), config=None, **settings):
    """A proxy over ``stream``; its connections are closed at the end."""
    tables = {"retry": False, "breaker": False, **(config or {})}
    async with ServiceManager(
        config={"channels": {"stream": settings}, "clients": tables}, policies=policies
    ) as manager:
        yield manager.get_service(interface, "stream", address=addresses)


@contextmanager
def deadline(seconds):
    """As in a method that has this long."""
    token = current.set(Invocation("tests.call", deadline=time.monotonic() + seconds))
    yield
    current.reset(token)
