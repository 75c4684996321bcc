"""How an agent of Consul is reached: its address, the token, and the exchange of a request.

python-consul2 0.1.5 makes requests and reads answers; what it lacks is here. Its own HTTP client waits
without end unless told otherwise, cannot be interrupted, reads answers of any length, and follows redirects
with the token: ``AgentHttp`` takes its place. The whole client prefers ``CONSUL_HTTP_ADDR`` to its arguments:
``agent`` stands for it, and its parts (``Consul.Health``, ``Consul.Agent``) are used alone.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from unimicro.errors import ConfigurationError, require
from unimicro.stores.settings import http_address, require_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["AgentAddress", "AgentHttp", "agent", "agent_address", "agent_token"]

MOST_BYTES = 32 * 1024 * 1024
_PART = 64 * 1024


class AgentAddress(NamedTuple):
    """Where an agent listens."""

    scheme: str
    host: str
    port: int


def agent_address(url: str) -> AgentAddress:
    """The parts of ``url``.

    Raises:
        ConfigurationError: It is no address of an agent.
    """
    parts = http_address(url)
    if parts is None or parts.port is None or parts.path.strip("/"):
        # The URL is not repeated: somebody may have put a password or the token in it.
        raise ConfigurationError("url must be http://host:port or https://host:port; the token is a setting")
    host = str(parts.hostname)
    # An IPv6 address lost its brackets.
    return AgentAddress(parts.scheme, f"[{host}]" if ":" in host else host, parts.port)


def agent_token(token: str | None) -> str | None:
    """The ACL token: as given, else that of the environment's ``CONSUL_HTTP_TOKEN``.

    Raises:
        ConfigurationError: No header can carry it; the text does not show it.
    """
    if token is not None:
        require_text(token=token)
    found = token or os.environ.get("CONSUL_HTTP_TOKEN") or None
    if found is not None and not (found.isascii() and found.isprintable()):
        raise ConfigurationError("token must be printable ASCII text")
    return found


class AgentHttp:
    """Sends the requests of python-consul2, each on a connection of its own, from any thread.

    Args:
        address: Of the agent.
        timeout: Seconds for a connection, and for each part of an answer.
        patience: Seconds until an answer begins, where it is asked to wait; ``timeout`` if ``None``.
        wanted_by: Who needs the package, for the error.

    Raises:
        MissingExtra: The package python-consul2 is not installed.
    """

    def __init__(
        self, address: AgentAddress, timeout: float, *, patience: float | None = None, wanted_by: str
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._patience = timeout if patience is None else patience
        self._response = require("consul.base", "consul", wanted_by).Response
        self._interrupted = False
        self._socket: socket.socket | None = None

    def get(
        self,
        callback: Callable[[Any], Any],
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """As python-consul2 calls it; what ``callback`` makes of the answer.

        Raises:
            OSError: There is no answer in time, or none that can be read.
        """
        return callback(self._exchange("GET", path, params, "", headers))

    def put(
        self,
        callback: Callable[[Any], Any],
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        data: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """``get`` for a change."""
        return callback(self._exchange("PUT", path, params, data, headers))

    def interrupt(self) -> None:
        """End the exchange that another thread waits for, and refuse all others, with ``OSError``."""
        self._interrupted = True
        waiting = self._socket
        if waiting is not None:
            with suppress(OSError):  # it has ended by itself
                # Of the socket itself: the TLS around it belongs to the thread that reads.
                socket.socket.shutdown(waiting, socket.SHUT_RDWR)

    def _exchange(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]],
        data: str,
        headers: Mapping[str, str] | None,
    ) -> Any:
        target = quote(path, safe="/:") + (f"?{urlencode(params)}" if params else "")
        scheme, host, port = self._address
        kind = HTTPSConnection if scheme == "https" else HTTPConnection
        connection = kind(host, port, timeout=self._timeout)
        try:
            connection.connect()
            self._socket = connection.sock
            # Whoever interrupts sets this first: it is seen here, or the socket is seen there.
            if self._interrupted:
                raise InterruptedError("the watch has ended")
            connection.sock.settimeout(self._patience)
            connection.request(
                method, target, body=data.encode() or None, headers={"connection": "close", **(headers or {})}
            )
            answer = connection.getresponse()
            content = _read(answer, time.monotonic() + self._timeout)
            return self._response(answer.status, answer.headers, content.decode("utf-8", "replace"), content)
        except HTTPException as error:
            raise OSError(f"no answer in HTTP: {type(error).__name__}") from error
        finally:
            self._socket = None
            connection.close()


def _read(answer: Any, until: float) -> bytes:
    read = bytearray()
    while part := answer.read(_PART):
        read += part
        if len(read) > MOST_BYTES:
            raise OSError(f"the answer has more than {MOST_BYTES} bytes")
        if time.monotonic() > until:
            raise TimeoutError("the answer took too long")
    if answer.length:
        raise OSError("the answer is cut off")
    return bytes(read)


def agent(http: Any, token: str | None) -> Any:
    """What the parts of python-consul2's client take for the whole: ``Consul.Health(agent(http, token))``."""
    return SimpleNamespace(http=http, token=token, dc=None, consistency="default")
