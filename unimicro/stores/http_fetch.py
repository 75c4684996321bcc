"""The HTTP client of authorizers: small documents, one pool of connections, bounded in time and size."""

from __future__ import annotations

import os
import time
import weakref
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.errors import require
from unimicro.pipeline.ports import Fetched

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
        """See ``Fetch``. The time is that of sockets, not the app's clock, and looked at with each part."""
        client, deadline = self._pool(), time.monotonic() + timeout
        try:
            with client.stream(method, url, headers=headers, content=body, timeout=timeout) as answer:
                read = bytearray()
                for part in answer.iter_bytes():
                    read += part
                    if len(read) > MAX_BODY_BYTES:
                        raise OSError(f"the answer is longer than {MAX_BODY_BYTES} bytes")
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"the answer took longer than {timeout} s")
                return Fetched(answer.status_code, dict(answer.headers), bytes(read))
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            # Not its text: it may repeat the address, and with it a password.
            raise OSError(f"no answer: {type(error).__name__}") from error

    def _pool(self) -> Any:
        """The client of this process: a fork must not share its parent's connections."""
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._client = self._httpx.Client(follow_redirects=False)
                weakref.finalize(self, self._client.close)
            return self._client
