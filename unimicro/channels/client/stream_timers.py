"""The timers of a connection of ``stream``. Its socket waits in real time: so do they, beside the clock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from unimicro.channels.client.stream_socket import Socket
    from unimicro.channels.stream_settings import StreamSettings

__all__ = ["Alarm", "KeepAlive"]

_SHORTEST = 0.001
"""Seconds: libuv's timers count milliseconds."""


class Alarm:
    """One timer for the deadlines of all calls: set for the earliest, and not when a call ends.

    Args:
        loop: It rings there.
        now: Of the clock that deadlines are on.
        ring: Called with the time; the next deadline, ``math.inf`` for none.

    Attributes:
        at: The deadline that it is set for.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], ring: Callable[[float], float]
    ) -> None:
        self._loop = loop
        self._now = now
        self._on_ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self.at = math.inf

    def set(self, deadline: float) -> None:
        """Ring at ``deadline``, and no longer at the one before."""
        self.cancel()
        self.at = deadline
        self._timer = self._loop.call_later(max(deadline - self._now(), _SHORTEST), self._ring)

    def _ring(self) -> None:
        self.cancel()
        following = self._on_ring(self._now())
        if following < self.at:
            self.set(following)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
        self.at, self._timer = math.inf, None


class KeepAlive:
    """Asks a silent server whether it lives, and ends the connection if it does not say so in time.

    Args:
        loop: Of the socket.
        socket: It.
        settings: ``ping_interval`` and ``ping_timeout``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: Socket, settings: StreamSettings) -> None:
        self._loop = loop
        self._socket = socket
        self._settings = settings
        self._asked = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to listen, unless that is switched off."""
        if self._settings.ping_interval:
            self._timer = self._loop.call_later(self._settings.ping_interval, self._look)

    def _look(self) -> None:
        settings, socket = self._settings, self._socket
        delay = settings.ping_interval
        if socket.heard:
            socket.heard = False
            self._asked = False
        elif self._asked:
            socket.abort(f"the server was silent for {settings.ping_interval + settings.ping_timeout} s")
            return
        else:
            socket.ping()
            self._asked = True
            delay = settings.ping_timeout
        self._timer = self._loop.call_later(delay, self._look)

    def cancel(self) -> None:
        """End it."""
        if self._timer is not None:
            self._timer.cancel()
