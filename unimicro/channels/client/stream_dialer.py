"""How an event loop gets its connection to an address, and the next one when that is gone."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.client.channel import NotSent, not_sent
from unimicro.channels.client.http_settings import address_of
from unimicro.channels.client.stream_link import Link
from unimicro.channels.client.stream_socket import socket_factory
from unimicro.channels.stream_frames import PATH
from unimicro.outcome import Failure, Left
from unimicro.pipeline.deadline import expired

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from unimicro.channels.client.stream_link import Waiter
    from unimicro.channels.client.stream_socket import Socket, SocketUser
    from unimicro.channels.stream_settings import StreamSettings
    from unimicro.outcome import Outcome
    from unimicro.pipeline.ports import Clock

__all__ = ["Address", "Dialer"]

log = logging.getLogger("unimicro")

# Without the address: the text may reach the callers of a service that hands it on.
UNREACHABLE = "the server cannot be reached"
CLOSED = "the channel was closed"


class Address(NamedTuple):
    """Where to connect, and how."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    make_socket: Callable[[SocketUser], Socket]
    clock: Clock
    settings: StreamSettings

    @classmethod
    def of(cls, uri: str, clock: Clock, settings: StreamSettings) -> Address:
        """Of ``http://host:port`` or ``https://host:port``, with or without a path below which the app is.

        Raises:
            ConfigurationError: ``uri`` is no such address.
            MissingExtra: The package websockets is not installed.
        """
        parts = address_of(uri, "stream")
        secure = parts.scheme == "https"
        make_socket = socket_factory(f"{'wss' if secure else 'ws'}://{parts.authority}{parts.path}{PATH}")
        return cls(parts.host, parts.port, _tls() if secure else None, make_socket, clock, settings)


def _tls() -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context()


class Dialer:
    """What one event loop has of an address.

    Args:
        address: It.
        loop: The loop; all methods run on it.

    Attributes:
        link: The connection that calls go over; ``None`` while there is none.
    """

    def __init__(self, address: Address, loop: asyncio.AbstractEventLoop) -> None:
        self._address = address
        self._clock = address.clock
        self.loop = loop
        self.link: Link | None = None
        self._links: set[Link] = set()
        self._waiting: dict[Waiter, asyncio.Task[None]] = {}
        self._attempt: asyncio.Task[Outcome[Any] | None] | None = None
        self._failed = 0
        self._not_before = 0.0
        self._why = ""

    # -- calls ---------------------------------------------------------------------------------

    async def wait(self, deadline: float | None) -> Outcome[Any] | None:
        """Wait till ``link`` takes a call, which must be begun at once; or why it does not."""
        connected = False
        while True:
            link = self.link
            if link is None:
                if connected:
                    return not_sent("the server has ended the connection at once")
                given_up = await self._connect(deadline)
                if given_up is not None:
                    return given_up
                connected = True
            elif link.has_room():
                return None
            elif not await link.wait_for_turn(self._clock, deadline):
                return Left(expired("not sent: "))
            elif link.room:
                return None

    def begin(self, call: bytes, deadline: float | None, waiter: Waiter) -> None:
        """A call of another thread, which waits for the reply."""
        link = self.link
        if link is not None and link.has_room():
            link.begin(call, deadline, waiter)
        else:
            self._waiting[waiter] = self.loop.create_task(self._begin_later(call, deadline, waiter))

    async def _begin_later(self, call: bytes, deadline: float | None, waiter: Waiter) -> None:
        reply: Outcome[Any] | None = not_sent(CLOSED)
        try:
            reply = await self.wait(deadline)
        finally:
            del self._waiting[waiter]
            if reply is None:
                self.begin(call, deadline, waiter)
            elif not waiter.done():
                waiter.set_result(reply)

    def abandon(self, waiter: Waiter) -> None:
        """That thread waits no more."""
        if waiter in self._waiting:
            self._waiting[waiter].cancel()
        for link in self._links:
            for number, (waiting, _) in list(link.waiters.items()):
                if waiting is waiter:
                    link.cancel(number)

    def is_busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._waiting) or any(link.waiters for link in self._links)

    # -- connecting ----------------------------------------------------------------------------

    async def _connect(self, deadline: float | None) -> Outcome[Any] | None:
        """One attempt, which all calls that need it share."""
        now = self._clock.now()
        if now < self._not_before:
            return self._too_early(self._not_before - now)
        attempt = self._attempt
        if attempt is None:
            attempt = self._attempt = self.loop.create_task(self._dial())
        if deadline is None:
            await asyncio.wait((attempt,))
        elif not await self._clock.await_for(attempt, deadline - now):
            return Left(expired("not sent: "))
        return not_sent(CLOSED) if attempt.cancelled() else attempt.result()

    def _too_early(self, seconds: float) -> Outcome[Any]:
        cause = NotSent(self._why)
        return Left(Failure("unavailable", UNREACHABLE, retry_after=seconds, layer="channel", cause=cause))

    async def _dial(self) -> Outcome[Any] | None:
        address, limit = self._address, self._address.settings.connect_timeout
        link = Link(address, self._on_end)
        try:
            async with self._clock.timeout_at(self._clock.now() + limit):
                await self.loop.create_connection(
                    lambda: link.socket, address.host, address.port, ssl=address.tls
                )
                await link.opened
        except TimeoutError:
            link.socket.abort(f"no answer within {limit} s")
        except OSError as error:
            link.socket.abort(str(error))
        except BaseException:
            link.socket.abort(CLOSED)
            raise
        finally:
            self._attempt = None
        if not link.room:
            self._note_failure(link.why)
            log.info("stream: %s:%s cannot be reached: %s", address.host, address.port, link.why)
            return not_sent(UNREACHABLE)
        self.link = link
        self._links.add(link)
        link.socket.gone.add_done_callback(lambda _: self._links.discard(link))
        return None

    def _on_end(self, link: Link) -> None:
        """``link`` takes no further calls."""
        if self.link is link:
            self.link = None
        if link.answered or link.planned:
            self._failed, self._not_before = 0, 0.0
        else:
            # A server that takes connections and ends them at once is none.
            self._note_failure(link.why)

    def _note_failure(self, why: str) -> None:
        settings = self._address.settings
        longest = min(settings.backoff_cap, settings.backoff * 2**self._failed)
        self._failed = min(self._failed + 1, 30)
        self._not_before = self._clock.now() + random.uniform(0, longest)  # noqa: S311 - no secret
        self._why = why

    # -- the end -------------------------------------------------------------------------------

    async def close(self, limit: float | None) -> None:
        """Take no further calls, and close once those under way are done.

        Args:
            limit: Seconds after which they are given up; ``None`` is never.
        """
        if self._attempt is not None:
            self._attempt.cancel()
        for link in list(self._links):
            link.retire()
        while self._links:
            gone = [link.socket.gone for link in self._links]
            _, late = await asyncio.wait(gone, timeout=limit)
            if late:
                for link in self._links:
                    link.socket.abort(CLOSED)

    def close_later(self) -> None:
        """``close`` without limit, as a task."""
        self._closing = self.loop.create_task(self.close(None))
