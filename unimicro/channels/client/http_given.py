"""The transport over the user's own httpx clients: auth, hooks, proxies and transports are theirs."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from unimicro.channels.client.http_loops import PerLoop
from unimicro.channels.client.http_transport import (
    Answer,
    Body,
    BrokenConnection,
    NotReached,
    Transport,
    fields_of,
)
from unimicro.errors import ConfigurationError, require

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from unimicro.channels.client.http_transport import Message, Parts
else:
    httpx = require("httpx", "client", "an HTTP channel")

__all__ = ["GivenClients", "GivenTransport"]

_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)


class GivenClients:
    """What the user's two functions made: one client for threads, one for each event loop.

    Args:
        sync: Makes an ``httpx.Client``.
        asynchronous: Makes an ``httpx.AsyncClient``.
    """

    def __init__(self, sync: Callable[[], Any] | None, asynchronous: Callable[[], Any] | None) -> None:
        self._make = sync
        self._lock = Lock()
        self._sync: Any = None
        self.makes_sync, self.makes_async = sync is not None, asynchronous is not None
        self._of_loops: PerLoop[Any] = PerLoop(lambda: _made(asynchronous, "async_client"))

    def sync(self) -> Any:
        """The client of all threads."""
        with self._lock:
            if self._sync is None:
                self._sync = _made(self._make, "client")
            return self._sync

    def asynchronous(self) -> Any:
        """The client of the running event loop."""
        return self._of_loops.here()

    def close(self) -> None:
        """Close the client of threads; those of event loops as soon as these run."""
        import asyncio

        with self._lock:
            client, self._sync = self._sync, None
        if client is not None:
            client.close()
        for loop, other in self._of_loops.take_all():
            with suppress(RuntimeError):  # the loop is closed, and with it all that it had
                asyncio.run_coroutine_threadsafe(other.aclose(), loop)

    async def aclose(self) -> None:
        """Close the client of the running event loop."""
        client = self._of_loops.take()
        if client is not None:
            await client.aclose()


def _made(make: Callable[[], Any] | None, what: str) -> Any:
    client = None if make is None else make()
    if not callable(getattr(client, "build_request", None)):
        raise ConfigurationError(f"{what}= must make an httpx client, it made {type(client).__name__}")
    return client


class GivenTransport(Transport):
    """Sends through the user's clients, and through another transport where there is none of a colour.

    Redirects are not followed: a POST would become a GET, elsewhere.

    Args:
        parts: What it is made of.
        clients: The user's.
        other: For the colour that they have no function of.
    """

    def __init__(self, parts: Parts, clients: GivenClients, other: Transport) -> None:
        address, self._settings, self._clock = parts
        self._base = f"{address.origin}{address.path}"
        self._clients = clients
        self._other = other

    def send(self, message: Message, seconds: float | None) -> Answer:
        if not self._clients.makes_sync:
            return self._other.send(message, seconds)
        ends = None if seconds is None else monotonic() + seconds
        client = self._clients.sync()
        try:
            response = client.send(
                self._request(client, message, seconds), stream=True, follow_redirects=False
            )
            try:
                fields, body = self._begin(response)
                # Not raw: a hook may have read the body; packed it is not.
                for part in response.iter_bytes():
                    body.add(part)
                    if ends is not None and monotonic() >= ends:
                        raise TimeoutError
            finally:
                response.close()
        except httpx.TransportError as error:
            raise _meaning(error, ends) from error
        return Answer(response.status_code, fields, body.whole())

    async def asend(self, message: Message, seconds: float | None) -> Answer:
        if not self._clients.makes_async:
            return await self._other.asend(message, seconds)
        ends = None if seconds is None else monotonic() + seconds
        work = self._aexchange(message, seconds)
        try:
            if seconds is None:
                return await work
            answer: Answer = await self._clock.finish_by(self._clock.now() + seconds, work)
        except httpx.TransportError as error:
            raise _meaning(error, ends) from error
        return answer

    async def _aexchange(self, message: Message, seconds: float | None) -> Answer:
        client = self._clients.asynchronous()
        request = self._request(client, message, seconds)
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            fields, body = self._begin(response)
            async for part in response.aiter_bytes():
                body.add(part)
        finally:
            await response.aclose()
        return Answer(response.status_code, fields, body.whole())

    def _request(self, client: Any, message: Message, seconds: float | None) -> Any:
        method, target, headers, body = message
        connect = self._settings.connect_timeout
        limits = httpx.Timeout(seconds, connect=connect if seconds is None else min(connect, seconds))
        return client.build_request(
            method, self._base + target, headers=dict(headers), content=body, timeout=limits
        )

    def _begin(self, response: Any) -> tuple[dict[str, str], Body]:
        fields = fields_of(response.headers.raw)
        return fields, Body(response.status_code, fields, self._settings.max_bytes)

    def close(self) -> None:
        # Not the clients: other addresses use them too.
        self._other.close()

    async def aclose(self) -> None:
        await self._other.aclose()


def _meaning(error: httpx.TransportError, ends: float | None) -> Exception:
    over = ends is not None and monotonic() >= ends
    if isinstance(error, httpx.ConnectTimeout) and not over:
        return NotReached("connecting took too long")
    if isinstance(error, httpx.TimeoutException):
        return TimeoutError()
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return NotReached("no connection")
    return BrokenConnection("the connection broke") if isinstance(error, _BROKEN) else error
