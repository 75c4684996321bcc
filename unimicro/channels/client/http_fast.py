"""The fast transport: pyqwest, an HTTP client in Rust (reqwest), with threads of its own."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import partial
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies_environment

from unimicro.channels.client.http_loops import PerLoop
from unimicro.channels.client.http_transport import (
    KEEPALIVE,
    KEPT,
    Answer,
    Body,
    BrokenConnection,
    NotReached,
    Transport,
)
from unimicro.errors import require

require("pyqwest", "fast", "the fast HTTP transport")

import pyqwest  # noqa: E402 - only once it is known to be there

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.channels.client.http_transport import Message, Parts

__all__ = ["FastTransport", "works_here"]

NO_CONNECTION = "client error (Connect)"
"""How reqwest says that it was making a connection; all that comes later has another text."""

_BROKEN = (pyqwest.RemoteProtocolError, pyqwest.ReadError, pyqwest.WriteError)

_started_in: list[int] = []
"""The process in which the threads were started: they do not follow a fork."""


def works_here() -> bool:
    """Whether this process may use it.

    Not a fork of one that has used it; and not where the environment names a proxy, which it would ask.
    """
    return (not _started_in or _started_in[0] == os.getpid()) and not getproxies_environment()


class FastTransport(Transport):
    """One pool for threads and one for event loops. No redirects, no cookies.

    Args:
        parts: What it is made of.
        context: Makes the TLS settings whose authorities are trusted.
    """

    def __init__(self, parts: Parts, context: Callable[[], ssl.SSLContext]) -> None:
        address, self._settings, self._clock = parts
        self._base = f"{address.origin}{address.path}"
        # Its own limit of connections lets more through where many calls begin at once (0.12).
        most = self._settings.max_connections
        self._free = BoundedSemaphore(most)
        self._free_here = PerLoop(partial(asyncio.Semaphore, most))
        self._lock = Lock()
        self._sync: pyqwest.SyncClient | None = None
        self._async: pyqwest.HTTPTransport | None = None
        self._trusted = _authorities(context()) if address.scheme == "https" else None

    def _client(self) -> pyqwest.SyncClient:
        with self._lock:
            if self._sync is None:
                self._sync = pyqwest.SyncClient(pyqwest.SyncHTTPTransport(**self._options()))
            return self._sync

    def _aclient(self) -> pyqwest.HTTPTransport:
        with self._lock:
            if self._async is None:
                self._async = pyqwest.HTTPTransport(**self._options())
            return self._async

    def _options(self) -> dict[str, Any]:
        _started_in[:] = [os.getpid()]
        return {
            "tls_ca_cert": self._trusted,
            "http_version": pyqwest.HTTPVersion.HTTP1,
            "connect_timeout": self._settings.connect_timeout,
            "pool_idle_timeout": KEEPALIVE,
            "pool_max_idle_per_host": self._settings.max_connections,
            "enable_gzip": False,
            "enable_brotli": False,
            "enable_zstd": False,
            "enable_otel": False,
            "follow_redirects": False,
        }

    def send(self, message: Message, seconds: float | None) -> Answer:
        ends = None if seconds is None else monotonic() + seconds
        if not self._free.acquire(timeout=seconds):
            raise TimeoutError
        try:
            return self._exchange(message, None if ends is None else max(0.001, ends - monotonic()))
        except (*_BROKEN, ConnectionError) as error:
            raise _meaning(error) from error
        finally:
            self._free.release()

    def _exchange(self, message: Message, seconds: float | None) -> Answer:
        method, target, headers, content = message
        url, fields = self._base + target, pyqwest.Headers(headers.items())
        with self._client().stream(method, url, fields, content, timeout=seconds) as response:
            kept, body = self._begin(response)
            for part in response.content:
                body.add(bytes(part))
        return Answer(response.status, kept, body.whole())

    async def asend(self, message: Message, seconds: float | None) -> Answer:
        work = self._abounded(message)
        try:
            if seconds is None:
                return await work
            answer: Answer = await self._clock.finish_by(self._clock.now() + seconds, work)
        except (*_BROKEN, ConnectionError) as error:
            raise _meaning(error) from error
        return answer

    async def _abounded(self, message: Message) -> Answer:
        async with self._free_here.here():
            return await self._aexchange(message)

    async def _aexchange(self, message: Message) -> Answer:
        method, target, headers, content = message
        request = pyqwest.Request(method, self._base + target, pyqwest.Headers(headers.items()), content)
        response = await self._aclient().execute(request)
        try:
            fields, body = self._begin(response)
            length = fields.get("content-length")
            # Where the length is known, the end need not be seen: each read is a way to another thread.
            if length != "0":
                async for part in response.content:
                    body.add(bytes(part))
                    if str(body.size) == length:
                        break
        finally:
            await response.__aexit__(None, None, None)
        return Answer(response.status, fields, body.whole())

    def _begin(self, response: pyqwest.Response | pyqwest.SyncResponse) -> tuple[dict[str, str], Body]:
        headers = response.headers
        fields = {name: ", ".join(headers.getall(name)) for name in KEPT if name in headers}
        return fields, Body(response.status, fields, self._settings.max_bytes)

    def close(self) -> None:
        # The pools end with their last call, in their own threads.
        with self._lock:
            self._sync = self._async = None

    async def aclose(self) -> None:
        self.close()


def _authorities(context: ssl.SSLContext) -> bytes:
    """Certificates of the authorities that httpx would trust, as PEM."""
    found = context.get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()


def _meaning(error: Exception) -> Exception:
    if isinstance(error, ConnectionError) and NO_CONNECTION in str(error):
        return NotReached("no connection")
    return BrokenConnection("the connection broke")
