"""The httpx clients behind one ``Http``: one for threads, one for each event loop."""

from __future__ import annotations

import os
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from unimicro.errors import MissingExtra, require

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from types import ModuleType

    import httpx

__all__ = ["Clients"]


class Clients:
    """Made when they are first used, unless they are given; a given one is never closed here.

    They follow no redirects, which may lead to another server, and keep no cookies, which are a session of
    whoever called last.

    Args:
        sync: An ``httpx.Client`` to use.
        asynchronous: An ``httpx.AsyncClient`` to use, on its loop only.
        keep_alive: Whether idle connections are kept for the next call.

    Raises:
        MissingExtra: The package httpx is not installed.
    """

    def __init__(
        self, sync: httpx.Client | None, asynchronous: httpx.AsyncClient | None, *, keep_alive: bool
    ) -> None:
        if find_spec("httpx") is None:
            raise MissingExtra("httpx", "client", "an HTTP call")
        self._keep_alive = keep_alive
        self._given = (sync, asynchronous)
        self._lock = Lock()
        self._forget()

    @cached_property
    def package(self) -> ModuleType:
        """httpx, imported by the first call."""
        return require("httpx", "client", "an HTTP call")

    def _forget(self) -> None:
        self._process = os.getpid()
        self._sync: httpx.Client | None = None
        self._of_loops: WeakKeyDictionary[AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    @property
    def sync(self) -> httpx.Client:
        """The client of all threads."""
        if self._given[0] is not None:
            return self._given[0]
        with self._lock:
            if self._process != os.getpid():
                self._forget()  # a fork must not use its parent's connections
            if self._sync is None:
                self._sync = self.package.Client(**self._settings())
            return self._sync

    def of_loop(self) -> httpx.AsyncClient:
        """The client of the running event loop: connections belong to the loop that made them."""
        import asyncio

        if self._given[1] is not None:
            return self._given[1]
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._process != os.getpid():
                self._forget()
            if loop not in self._of_loops:
                # Weak keys do not do alone: the connections of a client refer to its loop.
                for closed in [known for known in self._of_loops if known.is_closed()]:
                    del self._of_loops[closed]
                self._of_loops[loop] = self.package.AsyncClient(**self._settings())
            return self._of_loops[loop]

    def _settings(self) -> dict[str, Any]:
        kept = None if self._keep_alive else 0
        return {
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            "limits": self.package.Limits(max_connections=100, max_keepalive_connections=kept),
        }

    def close(self) -> None:
        """Close the connections of threads."""
        with self._lock:
            client, self._sync = self._sync, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        import asyncio

        with self._lock:
            client = self._of_loops.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
