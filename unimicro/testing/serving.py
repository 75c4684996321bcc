"""A real server in a thread of this process, for tests of what needs sockets."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from unimicro.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.app import App

__all__ = ["ServerThread"]

STARTS_WITHIN = 20.0
ENDS_WITHIN = 20.0


class ServerThread:
    """``app.asgi`` on uvicorn, on the loopback.

    >>> with ServerThread(app) as server:
    ...     httpx.get(server.address)

    Args:
        app: What it serves; its services are set up by it.
        port: 0 for a free one.
        settings: Further ones of ``uvicorn.Config``, such as ``timeout_keep_alive``.

    Raises:
        MissingExtra: uvicorn is not installed.
    """

    def __init__(self, app: App, port: int = 0, **settings: Any) -> None:
        uvicorn = require("uvicorn", "fastapi", "a server for tests")
        settings = {"timeout_graceful_shutdown": 2, **settings}
        self._config = uvicorn.Config(
            app.asgi,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            **settings,
        )
        self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(target=self._server.run, name="server of a test", daemon=True)

    def start(self) -> Self:
        """Begin to serve, and wait until it does.

        Raises:
            RuntimeError: It does not start; the log says why.
        """
        self._thread.start()
        until = time.monotonic() + STARTS_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise RuntimeError("the server does not start; its log says why")
            time.sleep(0.005)
        return self

    @property
    def port(self) -> int:
        """Where it listens; kept after its end, so that another can take its place."""
        if self._config.port == 0:
            self._config.port = self._server.servers[0].sockets[0].getsockname()[1]
        return int(self._config.port)

    @property
    def address(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.port}"

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have ``function`` called on the server's event loop."""
        self._server.servers[0].get_loop().call_soon_threadsafe(function)

    def stop(self, *, at_once: bool = False) -> None:
        """End it; ``at_once`` without waiting for requests in flight.

        Raises:
            RuntimeError: It does not end.
        """
        self._server.force_exit = at_once
        self._server.should_exit = True
        self._thread.join(ENDS_WITHIN)
        if self._thread.is_alive():
            raise RuntimeError("the server does not end")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()
