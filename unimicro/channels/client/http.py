"""What the HTTP channels share: settings, addresses, deadlines, and what comes of a failed exchange."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from importlib.util import find_spec
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from unimicro.channels.client.channel import Channel, Connection, not_sent, unavailable
from unimicro.channels.client.http_settings import Address, address_of, settings_of
from unimicro.channels.client.http_transport import (
    KEEPALIVE,
    Answer,
    BrokenConnection,
    Message,
    NotReached,
    Parts,
    UnreadableAnswer,
)
from unimicro.errors import MissingExtra, expected_failure, require
from unimicro.operation import unexpected_failure
from unimicro.outcome import Failure, Left
from unimicro.pipeline.deadline import expired

if TYPE_CHECKING:
    import ssl

    from unimicro.channels.client.channel import ChannelContext
    from unimicro.channels.client.http_given import GivenClients
    from unimicro.channels.client.http_transport import Transport
    from unimicro.invocation import Invocation
    from unimicro.outcome import Outcome

__all__ = ["HttpCall", "HttpChannel", "HttpConnection"]

NOTHING = Message("", "", {}, b"")


class HttpCall(ABC):
    """One operation on an HTTP channel, made when the proxy is made.

    Attributes:
        repeatable: Whether the call may be sent again when nothing is known of the first.
    """

    repeatable: bool = False

    @abstractmethod
    def message(self, invocation: Invocation) -> Message | Failure:
        """The request, or why the arguments cannot be sent."""

    @abstractmethod
    def outcome(self, answer: Answer, message: Message) -> Outcome[Any]:
        """What a complete answer says."""


class HttpChannel(Channel[HttpCall]):
    """Makes transports: pyqwest's where it is installed, else httpx's engine, or the user's clients.

    Raises:
        ConfigurationError: A setting of the channel is unknown or impossible.
        MissingExtra: The package httpx is not installed.
    """

    def __init__(self, context: ChannelContext) -> None:
        super().__init__(context)
        self.settings = settings_of(self.name, context.settings)
        if find_spec("httpx") is None:
            raise MissingExtra("httpx", "client", f"the channel {self.name!r}")
        self._lock = Lock()
        self._given: tuple[int, GivenClients] | None = None
        self._context: ssl.SSLContext | None = None

    def connect(self, uri: str) -> HttpConnection:
        return HttpConnection(self, address_of(uri, self.name))

    def transport(self, address: Address) -> Transport:
        """A new way to an address, in this process."""
        from unimicro.channels.client.http_pool import Pool

        parts = Parts(address, self.settings, self.context.clock)
        if self.context.client is None and self.context.async_client is None:
            if self._is_fast(address):
                from unimicro.channels.client.http_fast import FastTransport

                return FastTransport(parts, self._tls)
            return Pool(parts, self._tls)
        from unimicro.channels.client.http_given import GivenTransport

        return GivenTransport(parts, self._clients(), Pool(parts, self._tls))

    def _is_fast(self, address: Address) -> bool:
        wanted = self.settings.transport
        if wanted == "httpx" or (wanted == "auto" and find_spec("pyqwest") is None):
            return False
        from unimicro.channels.client.http_fast import works_here

        # It must be told its authorities; those of SSL_CERT_DIR, say, are looked up when they are needed.
        return works_here() and (address.scheme == "http" or bool(self._tls().get_ca_certs()))

    def _clients(self) -> GivenClients:
        """The user's clients of this process: a fork must not use its parent's connections."""
        from unimicro.channels.client.http_given import GivenClients

        with self._lock:
            if self._given is None or self._given[0] != os.getpid():
                made = GivenClients(self.context.client, self.context.async_client)
                self._given = os.getpid(), made
            return self._given[1]

    def _tls(self) -> ssl.SSLContext:
        """Verifies certificates as httpx does: ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, else those of certifi."""
        with self._lock:
            if self._context is None:
                self._context = require("httpx", "client", "an HTTP channel").create_ssl_context()
            return self._context

    def close(self) -> None:
        if self._given is not None:
            self._given[1].close()

    async def aclose(self) -> None:
        if self._given is not None:
            await self._given[1].aclose()


class HttpConnection(Connection[HttpCall]):
    """To one address.

    Args:
        channel: Whose transports it uses.
        address: Where to.
    """

    def __init__(self, channel: HttpChannel, address: Address) -> None:
        self._channel = channel
        self._address = address
        self._now = channel.context.clock.now
        self._lock = Lock()
        self._process = 0
        self._of_parent: Any = None
        self._transport: Transport
        self._answered = -math.inf

    def invoke(self, wire: HttpCall, invocation: Invocation) -> Outcome[Any]:
        try:
            message, timeout = wire.message(invocation), self._left(invocation)
            if isinstance(message, Failure):
                return Left(message)
            try:
                answer = self._way().send(message, timeout)
            except BrokenConnection:
                if not self._may_repeat(wire):
                    raise
                answer = self._way().send(message, self._left(invocation))
        except Exception as error:
            return self._failed(error, wire, invocation)
        return self._outcome(wire, answer, message, invocation)

    async def ainvoke(self, wire: HttpCall, invocation: Invocation) -> Outcome[Any]:
        try:
            message, timeout = wire.message(invocation), self._left(invocation)
            if isinstance(message, Failure):
                return Left(message)
            try:
                answer = await self._way().asend(message, timeout)
            except BrokenConnection:
                if not self._may_repeat(wire):
                    raise
                answer = await self._way().asend(message, self._left(invocation))
        except Exception as error:
            return self._failed(error, wire, invocation)
        return self._outcome(wire, answer, message, invocation)

    def _left(self, invocation: Invocation) -> float | None:
        """Seconds until the deadline.

        Raises:
            TimeoutError: It has passed.
        """
        if invocation.deadline is None:
            return None
        left = invocation.deadline - self._now()
        if left <= 0:
            raise TimeoutError
        return left

    def _may_repeat(self, wire: HttpCall) -> bool:
        """Once more at once, where the server may just have closed a connection that was idle.

        That can only be where it has answered a short while ago; a connection broken otherwise is a failure
        like any other.
        """
        return wire.repeatable and monotonic() - self._answered <= KEEPALIVE

    def _way(self) -> Transport:
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # Kept, though never used: its end would touch what the parent process uses.
                    self._of_parent = getattr(self, "_transport", None)
                    self._transport = self._channel.transport(self._address)
                    self._process = os.getpid()
        return self._transport

    def _outcome(
        self, wire: HttpCall, answer: Answer, message: Message, invocation: Invocation
    ) -> Outcome[Any]:
        self._answered = monotonic()
        try:
            if answer.status < 200:
                # A switch of protocols that nobody asked for: no HTTP follows.
                return unavailable("the connection broke")
            return wire.outcome(answer, message)
        except Exception as error:
            return Left(unexpected_failure(error, invocation, "channel"))

    def _failed(self, error: Exception, wire: HttpCall, invocation: Invocation) -> Outcome[Any]:
        if isinstance(error, NotReached):
            return not_sent("the server cannot be reached")
        if isinstance(error, BrokenConnection):
            return unavailable("the connection broke", error)
        if isinstance(error, TimeoutError):
            failure = expired()
            failure.cause = error
            return Left(failure)
        if isinstance(error, UnreadableAnswer):
            if error.status >= 400:
                # Its status says enough.
                empty = Answer(error.status, {}, b"")
                return self._outcome(wire, empty, NOTHING, invocation)
            return Left(error.failure)
        # Of the user's own client: an auth or a hook that raised.
        return Left(expected_failure(error, {}) or unexpected_failure(error, invocation, "channel"))

    def close(self) -> None:
        if self._process == os.getpid():
            self._transport.close()

    async def aclose(self) -> None:
        if self._process == os.getpid():
            await self._transport.aclose()
