"""The end of werkzeug's server: from a signal to the last answer."""

from __future__ import annotations

import logging
import threading
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from unimicro.app import App

log = logging.getLogger("unimicro")


GLANCE = 0.1
"""Seconds between two looks for a signal: Python handles it in the main thread only, and one that the system
gives to another thread does not wake this one."""


class Drain:
    """A WSGI application that knows how many requests are in flight.

    Args:
        app: Is withdrawn at the first signal; at the second one nothing is waited for any more.
        native: Its WSGI application.
    """

    def __init__(self, app: App, native: WSGIApplication) -> None:
        self._app = app
        self._native = native
        self._in_flight = 0
        self._changed = threading.Condition()
        self._signals: SimpleQueue[int] = SimpleQueue()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from werkzeug.wsgi import ClosingIterator

        with self._changed:
            self._in_flight += 1
        try:
            return ClosingIterator(self._native(environ, start_response), self._left)
        except BaseException:
            self._left()
            raise

    def _left(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def signalled(self, number: int, _: object) -> None:
        """Take a signal; it comes between any two steps of the main thread, where locks would deadlock."""
        self._signals.put(number)

    def serve(self, server: Any, listener: socket) -> None:
        """Serve until a signal comes and all is drained; both are closed then."""
        serving = threading.Thread(target=server.serve_forever, name="unimicro-wsgi", daemon=True)
        serving.start()
        self._wait(inf)
        presence = self._app.presence
        log.info("draining: %g s until nothing is accepted any more", presence.drain_wait)
        presence.withdraw()
        in_a_hurry = self._wait(presence.drain_wait)
        server.shutdown()
        serving.join()
        server.server_close()
        listener.close()
        if not in_a_hurry:
            self._finish(monotonic() + self._app.settings.drain_timeout)

    def _wait(self, seconds: float) -> bool:
        """Whether a signal came meanwhile."""
        ends = monotonic() + seconds
        while (left := ends - monotonic()) > 0:
            try:
                self._signals.get(timeout=min(left, GLANCE))
            except Empty:
                continue
            return True
        return False

    def _finish(self, limit: float) -> None:
        with self._changed:
            while self._in_flight and self._signals.empty() and monotonic() < limit:
                self._changed.wait(GLANCE)
            if self._in_flight:
                log.warning("%d requests are cut off", self._in_flight)
