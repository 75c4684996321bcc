"""The transport of httpx's own engine, httpcore, without the pool that it has for many servers at once.

Each connection here leads to the one address. A call takes the connection that was used last, so idle ones
end, and nothing is searched: httpcore's pool looks at every connection for every request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from unimicro.channels.client.http_bounded import BoundedConnection
from unimicro.channels.client.http_loops import PerLoop
from unimicro.channels.client.http_transport import (
    KEEPALIVE,
    Answer,
    Body,
    BrokenConnection,
    NotReached,
    Transport,
    fields_of,
)
from unimicro.errors import require

require("httpcore", "client", "an HTTP channel")

import httpcore  # noqa: E402 - only once it is known to be there

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.channels.client.http_transport import Message, Parts

__all__ = ["Pool"]

C = TypeVar("C", bound="httpcore.AsyncHTTPConnection | BoundedConnection")

_BROKEN = (httpcore.NetworkError, httpcore.RemoteProtocolError, httpcore.ProxyError)


class Pool(Transport):
    """Connections to one address.

    They follow no redirects, keep no cookies and ask no proxy of the environment.

    Args:
        parts: What it is made of.
        context: Makes the TLS settings, when the first connection needs them.
    """

    def __init__(self, parts: Parts, context: Callable[[], ssl.SSLContext]) -> None:
        address, self._settings, self._clock = parts
        self._secure = address.scheme == "https"
        self._context = context
        self._origin = httpcore.Origin(address.scheme.encode(), address.host.encode(), address.port)
        self._url = partial(
            httpcore.URL, scheme=self._origin.scheme, host=self._origin.host, port=address.port
        )
        self._path = address.path.encode()
        self._host = (b"host", address.authority.encode())
        self._idle: _Idle[BoundedConnection] = _Idle()
        self._free = BoundedSemaphore(self._settings.max_connections)
        self._of_loops = PerLoop(partial(_OfLoop, self._settings.max_connections))

    # -- threads -------------------------------------------------------------------------------

    def send(self, message: Message, seconds: float | None) -> Answer:
        ends = None if seconds is None else monotonic() + seconds
        if not self._free.acquire(timeout=seconds):
            raise TimeoutError
        try:
            return self._exchange(self._request(message, seconds), ends)
        except httpcore.TimeoutException as error:
            raise _timed_out(error, ends) from error
        except _BROKEN as error:
            raise _broken(error) from error
        finally:
            self._free.release()

    def _exchange(self, request: httpcore.Request, ends: float | None) -> Answer:
        idle = self._idle
        connection, expired = idle.take()
        for old in expired:
            old.close()
        connection = connection or self._connection()
        connection.backend.ends = ends
        try:
            response = connection.handle_request(request)
            try:
                answer = self._read(response)
            finally:
                response.close()
        except BaseException:
            connection.close()
            raise
        if _has_more(connection, response) or not idle.put(connection):
            connection.close()
        return answer

    def _connection(self) -> BoundedConnection:
        return BoundedConnection(self._origin, self._tls(), KEEPALIVE)

    def _read(self, response: httpcore.Response) -> Answer:
        fields = fields_of(response.headers)
        body = Body(response.status, fields, self._settings.max_bytes)
        for part in response.iter_stream():
            body.add(part)
        return Answer(response.status, fields, body.whole())

    # -- event loops ---------------------------------------------------------------------------

    async def asend(self, message: Message, seconds: float | None) -> Answer:
        ends = None if seconds is None else monotonic() + seconds
        work = self._abounded(self._request(message, None))
        try:
            if seconds is None:
                return await work
            answer: Answer = await self._clock.finish_by(self._clock.now() + seconds, work)
        except httpcore.TimeoutException as error:
            raise _timed_out(error, ends) from error
        except _BROKEN as error:
            raise _broken(error) from error
        return answer

    async def _abounded(self, request: httpcore.Request) -> Answer:
        here = self._of_loops.here()
        async with here.free:
            return await self._aexchange(request, here.idle)

    async def _aexchange(
        self, request: httpcore.Request, idle: _Idle[httpcore.AsyncHTTPConnection]
    ) -> Answer:
        connection, expired = idle.take()
        for old in expired:
            await old.aclose()
        connection = connection or self._aconnection()
        try:
            response = await connection.handle_async_request(request)
            try:
                answer = await self._aread(response)
            finally:
                await response.aclose()
        except BaseException:
            await connection.aclose()
            raise
        if _has_more(connection, response) or not idle.put(connection):
            await connection.aclose()
        return answer

    def _aconnection(self) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(self._origin, self._tls(), keepalive_expiry=KEEPALIVE)

    async def _aread(self, response: httpcore.Response) -> Answer:
        fields = fields_of(response.headers)
        body = Body(response.status, fields, self._settings.max_bytes)
        async for part in response.aiter_stream():
            body.add(part)
        return Answer(response.status, fields, body.whole())

    # -- both ----------------------------------------------------------------------------------

    def _tls(self) -> ssl.SSLContext | None:
        return self._context() if self._secure else None

    def _request(self, message: Message, seconds: float | None) -> httpcore.Request:
        method, target, headers, body = message
        fields = [self._host, *[(name.encode(), value.encode()) for name, value in headers.items()]]
        if body or method in ("POST", "PUT", "PATCH"):
            fields.append((b"content-length", b"%d" % len(body)))
        connect = self._settings.connect_timeout
        timeouts = {"connect": connect if seconds is None else min(connect, seconds)}
        return httpcore.Request(
            method,
            self._url(target=self._path + target.encode()),
            headers=fields,
            content=body,
            extensions={"timeout": timeouts},
        )

    def close(self) -> None:
        idle, self._idle = self._idle, _Idle()
        for connection in idle.end():
            connection.close()
        for loop, here in self._of_loops.take_all():
            with suppress(RuntimeError):  # the loop is closed, and with it all that it had
                loop.call_soon_threadsafe(here.close)

    async def aclose(self) -> None:
        here = self._of_loops.take()
        if here is not None:
            await here.aclose()


def _timed_out(error: Exception, ends: float | None) -> Exception:
    """The time of the call is over, or only that of making a connection."""
    over = ends is not None and monotonic() >= ends
    if isinstance(error, httpcore.ConnectTimeout) and not over:
        return NotReached("connecting took too long")
    return TimeoutError()


def _broken(error: Exception) -> Exception:
    if isinstance(error, httpcore.ConnectError | httpcore.ProxyError):
        return NotReached("no connection")
    return BrokenConnection("the connection broke")


def _has_more(
    connection: BoundedConnection | httpcore.AsyncHTTPConnection, answer: httpcore.Response
) -> bool:
    """Whether octets came behind an answer: they would be taken for the answer to the next request.

    Such as the body of a 204. Those that are still in the socket are seen before it is used again.
    """
    # httpcore has no name for the two that is public; without them a connection is not used again.
    state = getattr(getattr(connection, "_connection", None), "_h11_state", None)
    if state is None or state.trailing_data[0]:
        return True
    tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return False
    # On an event loop TLS reads ahead.
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    return True


class _Idle(Generic[C]):
    """Connections that wait for a call, the one that was used last at the end."""

    def __init__(self) -> None:
        self._idle: deque[tuple[float, C]] = deque()
        self._lock = Lock()
        self._ended = False

    def put(self, connection: C) -> bool:
        """Whether it was taken; one that cannot be used again is not."""
        with self._lock:
            if self._ended or not connection.is_available():
                return False
            self._idle.append((monotonic() + KEEPALIVE, connection))
            return True

    def take(self) -> tuple[C | None, list[C]]:
        """One that can be used, and those to be closed."""
        expired: list[C] = []
        now = monotonic()
        with self._lock:
            while self._idle and self._idle[0][0] <= now:
                expired.append(self._idle.popleft()[1])
            while self._idle:
                connection = self._idle.pop()[1]
                if connection.is_available() and not connection.has_expired():
                    return connection, expired
                expired.append(connection)
        return None, expired

    def end(self) -> list[C]:
        """Those that were there; no more are taken."""
        with self._lock:
            self._ended = True
            ended = [connection for _, connection in self._idle]
            self._idle.clear()
        return ended


class _OfLoop:
    """What one event loop has."""

    def __init__(self, most: int) -> None:
        self.idle: _Idle[httpcore.AsyncHTTPConnection] = _Idle()
        self.free = asyncio.Semaphore(most)
        self._closing: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Called on the loop, from outside of a task."""
        task = asyncio.get_running_loop().create_task(self.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        for connection in self.idle.end():
            await connection.aclose()
