"""The HTTP client of authorizers: small documents, one pool of connections, bounded in time and size."""

from __future__ import annotations

import os
import time
import weakref
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.errors import require
from unimicro.pipeline.ports import Fetched
from unimicro.pipeline.time_limit import TimeLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY_BYTES = 1024 * 1024


class HttpFetch:
    """The port ``Fetch`` by httpx, for threads. Redirects are not followed: they may lead to another server.

    Raises:
        MissingExtra: The package httpx is not installed.
    """

    def __init__(self) -> None:
        self._httpx = require("httpx", "client", "an authorizer that fetches")
        self._lock = Lock()
        self._process = 0
        self._client: Any = None

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
    ) -> Fetched:
        """See ``Fetch``. The time is that of sockets, not the app's clock.

        In a thread of its own: httpx bounds each read, and a server may send its header byte by byte.
        """
        # Small documents are not worth a compression, behind which a few bytes may hide a great many.
        sent = {"accept-encoding": "identity", **(headers or {})}
        fetched: Fetched = TimeLimit(timeout)(self._exchange, method, url, sent, body, timeout)
        return fetched

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Fetched:
        client, deadline = self._pool(), time.monotonic() + timeout
        try:
            with client.stream(method, url, headers=headers, content=body, timeout=timeout) as answer:
                if answer.headers.get("content-encoding", "identity").lower() != "identity":
                    raise OSError("the answer is compressed, which was not asked for")
                return Fetched(answer.status_code, dict(answer.headers), _read(answer, deadline))
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            # Not its text: it may repeat the address, and with it a password.
            raise OSError(f"no answer: {type(error).__name__}") from error

    def _pool(self) -> Any:
        """The client of this process: a fork must not share its parent's connections."""
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                # Cookies would carry what belongs to one caller to the request for another.
                cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
                self._client = self._httpx.Client(follow_redirects=False, cookies=cookies)
                weakref.finalize(self, self._client.close)
            return self._client


def _read(answer: Any, deadline: float) -> bytes:
    read = bytearray()
    for part in answer.iter_raw():
        read += part
        if len(read) > MAX_BODY_BYTES:
            raise OSError(f"the answer is longer than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            # Nobody waits for it any more.
            raise TimeoutError("the answer took too long")
    return bytes(read)
