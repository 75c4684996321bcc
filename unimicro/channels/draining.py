"""The end of a server on uvicorn: from SIGTERM or SIGINT to the moment when it may stop accepting.

uvicorn stops accepting at once. So the signals are taken from it, and handed on when callers have had time
to learn that this server goes (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from unimicro.channels.asgi import AsgiApp, Receive, Scope, Send
    from unimicro.channels.fastapi_server import FastApiServer

__all__ = ["Draining", "closing"]

log = logging.getLogger("unimicro")

SIGNALS = (signal.SIGTERM, signal.SIGINT)

ACCEPTS_WITHIN = 60.0
"""Seconds after which a server that has not begun to accept is registered all the same."""

MOMENT = 0.02
"""Seconds between two looks at whether uvicorn accepts."""


class Draining:
    """Of one server, begun and ended by its lifespan.

    On another server than uvicorn, or outside of the main thread, there are no signals to take: the app is
    then withdrawn when the lifespan ends.
    """

    def __init__(self, server: FastApiServer) -> None:
        self._server = server
        self._app = server.app
        self._uvicorn: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._signals = 0

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            self._take_signals()
        if self._uvicorn is None:
            self._app.presence.announce()
        else:
            self._start(self._announce())

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._app.presence.awithdraw()

    def _take_signals(self) -> None:
        kind = getattr(sys.modules.get("uvicorn"), "Server", ())
        for number in SIGNALS:
            handler: Any = signal.getsignal(number)
            server = getattr(handler, "__self__", None)
            if isinstance(server, kind):
                self._uvicorn = server
                signal.signal(number, self._signalled)

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _announce(self) -> None:
        """Once uvicorn accepts: its lifespan begins before it binds its port."""
        clock = self._app.clock
        limit = clock.now() + ACCEPTS_WITHIN
        while not self._uvicorn.started and clock.now() < limit:
            await clock.asleep(MOMENT)
        if not self._signals:
            self._app.presence.announce()

    # -- signals -------------------------------------------------------------------------------

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Runs between any two steps of the main thread: it only takes note."""
        self._signals += 1
        self._app.presence.draining = True
        if self._signals == 1:
            self._loop.call_soon_threadsafe(lambda: self._start(self._drain(number)))
        elif self._signals == 2:
            self._loop.call_soon_threadsafe(self._hurry)
        else:
            self._uvicorn.force_exit = True
            self._uvicorn.handle_exit(number, frame)

    async def _drain(self, number: int) -> None:
        presence, clock = self._app.presence, self._app.clock
        limit = 0.0
        log.info("draining: %g s until nothing is accepted any more", presence.drain_wait)
        try:
            self._server.native.close_connections()
            await presence.awithdraw()
            await clock.asleep(presence.drain_wait)
            ends = clock.now() + self._app.settings.drain_timeout
            await self._server.stream.drain(self._app.settings.drain_timeout)
            limit = max(0.0, ends - clock.now())
        except Exception:
            log.exception("the server could not be drained; it ends at once")
        finally:
            self._uvicorn.config.timeout_graceful_shutdown = limit
            self._uvicorn.handle_exit(number, None)

    def _hurry(self) -> None:
        """A second signal: nothing is waited for any more, but services are stopped."""
        for task in (*self._tasks, *self._uvicorn.server_state.tasks):
            task.cancel()


def closing(app: AsgiApp) -> AsgiApp:
    """``app`` with each HTTP answer the last one of its connection.

    A kept-alive connection that the server closes while it is idle may lose the request that is on its way.
    """

    async def last(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        # HTTP/2 and 3 have no such field (RFC 9113 §8.2.2).
        own = scope["type"] == "http" and scope.get("http_version", "1.1").startswith("1")
        await app(scope, receive, send_last if own else send)

    return last
