"""Connections of threads whose every wait ends with the call."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from unimicro.errors import require

require("httpcore", "client", "an HTTP channel")

import httpcore  # noqa: E402 - only once it is known to be there

if TYPE_CHECKING:
    import ssl

__all__ = ["BoundedConnection"]

PIECE = 65536
"""Bytes that a thread sends at once."""


class BoundedConnection(httpcore.HTTPConnection):
    """A connection whose every wait ends with the call: httpcore bounds each read, and a server may drip."""

    def __init__(self, origin: httpcore.Origin, context: ssl.SSLContext | None, keepalive: float) -> None:
        self.backend = BoundedBackend()
        super().__init__(origin, context, keepalive_expiry=keepalive, network_backend=self.backend)


class BoundedBackend(httpcore.SyncBackend):
    """Makes the one stream of a connection.

    Attributes:
        ends: When the call that is under way has to be over, in monotonic seconds.
    """

    ends: float | None = None

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return BoundedStream(super().connect_tcp(*args, **kwargs), self)


class BoundedStream(httpcore.NetworkStream):
    """A stream whose time limits are those of its backend."""

    def __init__(self, stream: httpcore.NetworkStream, backend: BoundedBackend) -> None:
        self._stream = stream
        self._backend = backend

    def _left(self, error: type[Exception]) -> float | None:
        if self._backend.ends is None:
            return None
        left = self._backend.ends - monotonic()
        if left <= 0:
            raise error
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Piece by piece: the stream below bounds each of its sends, not all of them together.
        for begin in range(0, len(buffer), PIECE):
            self._stream.write(buffer[begin : begin + PIECE], self._left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return BoundedStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
