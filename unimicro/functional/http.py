"""HTTP calls as outcomes: with retry, breaker and a time limit, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self

from unimicro.errors import DefinitionError
from unimicro.functional.calls import call_of, stages_for
from unimicro.functional.clients import Clients
from unimicro.functional.exchange import Exchange
from unimicro.functional.requests import (
    Wanted,
    checked_base_url,
    checked_headers,
    checked_timeout,
    request_of,
)
from unimicro.invocation import current_invocation
from unimicro.options import listed
from unimicro.outcome import Failure, Left
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.clock import SystemClock
from unimicro.pipeline.compiler import wrap_async, wrap_sync
from unimicro.pipeline.listeners import Listeners
from unimicro.pipeline.policy import Assembly
from unimicro.pipeline.retry import Retry

if TYPE_CHECKING:
    import httpx

    from unimicro.functional.replies import Reply
    from unimicro.invocation import Invocation
    from unimicro.outcome import Outcome
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.stages import AsyncRunner, Runner

__all__ = ["Http", "aget", "apost", "get", "post"]

Fields = Mapping[str, Any]
Headers = Mapping[str, str]

_MOST_SERVERS = 256
"""Whose circuits are remembered; the one that was not called for longest is forgotten first."""


class Http:
    """Calls to HTTP servers. An instance keeps connections, circuits and retry budgets: make one, keep it.

    A status below 400 is ``Right(Reply)``. Any other is ``Left`` of the failure that its problem document
    describes, else of the code that its status stands for; ``failure.cause`` is then a ``ReplyError``. No
    answer in time is ``deadline_exceeded``, none at all ``unavailable``. Redirects are not followed, and
    cookies not kept.

    Args:
        base_url: In front of addresses that do not begin with ``http://`` or ``https://``.
        headers: Of every request; those of a call win.
        timeout: Seconds of a call with all its retries; the deadline of the invocation that is being served
            ends it sooner.
        retry: For ``GET``, and for a ``POST`` that may be repeated; ``None`` for none.
        breaker: One circuit a server; ``None`` for none.
        max_bytes: Longest body of an answer.
        name: Of the circuits, in the log and in refusals; give each ``base_url`` one of its own.
        keep_alive: Whether idle connections are kept for the next call.
        clock: Source of time; the app's, where calls are made while it serves.
        listeners: Objects told of transitions and retries; see ``unimicro.pipeline.listeners``.
        client: An ``httpx.Client`` instead of one made here, with its transport and its settings.
        async_client: An ``httpx.AsyncClient`` likewise, for one event loop.

    Raises:
        ConfigurationError: A setting is impossible, or the package httpx is not installed.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Headers | None = None,
        timeout: float = 10.0,
        retry: Retry | None = Retry(),  # noqa: B008 - frozen
        breaker: Breaker | None = Breaker(),  # noqa: B008 - frozen
        max_bytes: int = 10 * 1024 * 1024,
        name: str = "http",
        keep_alive: bool = True,
        clock: Clock | None = None,
        listeners: Sequence[object] = (),
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
    ) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise DefinitionError(f"Http.max_bytes must be a whole number from 1, got {max_bytes!r}")
        for setting, given, kind in (("retry", retry, Retry), ("breaker", breaker, Breaker)):
            if given is not None and not isinstance(given, kind):
                raise DefinitionError(f"Http.{setting} takes a {kind.__name__}, not {given!r}")
        try:
            self._headers = checked_headers(headers)
        except ValueError as error:
            raise DefinitionError(f"Http.headers: {error}") from error
        self._base_url = checked_base_url(base_url)
        self._timeout = checked_timeout(timeout)
        self._name = name
        self._clock = clock or SystemClock()
        self._policies = (retry, breaker)
        self._listeners = Listeners(listed("listeners", listeners))
        self._clients = Clients(client, async_client, keep_alive=keep_alive)
        self._exchange = Exchange(self._clients, self._clock, max_bytes, name)
        self._server_of = lru_cache(_MOST_SERVERS)(self._new_server)
        # Settings that cannot work are refused now, not at the first call.
        self._new_server("http", "localhost", None)

    def get(
        self,
        url: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
    ) -> Outcome[Reply]:
        """``GET``, repeated after failures that may pass.

        Args:
            url: Address; its query string is kept where ``params`` is ``None``.
            params: Query string; a list is a repeated field.
            headers: Of this request.
            timeout: Seconds, instead of that of ``Http``.

        Raises:
            DefinitionError: ``timeout`` is impossible.
        """
        return self._run(Wanted("GET", url, params, headers, timeout))

    async def aget(
        self,
        url: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the twin of get
    ) -> Outcome[Reply]:
        """``get`` on the running event loop."""
        return await self._arun(Wanted("GET", url, params, headers, timeout))

    def post(
        self,
        url: str,
        *,
        json: Any = None,
        form: Fields | None = None,
        params: Fields | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> Outcome[Reply]:
        """``POST``, repeated only if it has an ``Idempotency-Key`` or is said to be idempotent.

        Args:
            url: As for ``get``, like ``params``, ``headers`` and ``timeout``.
            json: Body, of anything that an entry may return; ``None`` for none.
            form: Body, as ``application/x-www-form-urlencoded``; a list is a repeated field.
            params: Query string.
            headers: Of this request; a content type among them stays.
            timeout: Seconds.
            idempotent: Repeating it has the effect of sending it once.

        Raises:
            DefinitionError: ``timeout`` is impossible, or there are both ``json`` and ``form``.
        """
        return self._run(Wanted("POST", url, params, headers, timeout, json, form, idempotent))

    async def apost(
        self,
        url: str,
        *,
        json: Any = None,
        form: Fields | None = None,
        params: Fields | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the twin of post
        idempotent: bool = False,
    ) -> Outcome[Reply]:
        """``post`` on the running event loop."""
        return await self._arun(Wanted("POST", url, params, headers, timeout, json, form, idempotent))

    def close(self) -> None:
        """Close the connections of threads; a later call makes new ones."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    # -- inside --------------------------------------------------------------------------------

    def _run(self, wanted: Wanted) -> Outcome[Reply]:
        ready = self._ready(wanted, lambda: self._clients.sync)
        if isinstance(ready, Failure):
            return Left(ready)
        invocation, server, repeatable = ready
        return server.runners[repeatable](invocation)

    async def _arun(self, wanted: Wanted) -> Outcome[Reply]:
        ready = self._ready(wanted, self._clients.of_loop)
        if isinstance(ready, Failure):
            return Left(ready)
        invocation, server, repeatable = ready
        return await server.async_runners[repeatable](invocation)

    def _ready(self, wanted: Wanted, client: Callable[[], Any]) -> tuple[Invocation, _Server, bool] | Failure:
        """All that a call needs; a failure where what was asked for cannot be sent."""
        if wanted.json is not None and wanted.form is not None:
            raise DefinitionError("a body is json or form, not both")
        timeout = self._timeout if wanted.timeout is None else checked_timeout(wanted.timeout)
        deadline, served = self._clock.now() + timeout, current_invocation()
        if served is not None and served.deadline is not None:
            deadline = min(deadline, served.deadline)
        try:
            request, repeatable = request_of(wanted, self._base_url, self._headers, client())
        except Exception as error:
            return self._exchange.failure(error)
        url = request.url
        invocation = call_of(self._name, native=request, deadline=deadline)
        return invocation, self._server_of(url.scheme, url.host, url.port), repeatable

    def _new_server(self, _scheme: str, _host: str, _port: int | None) -> _Server:
        # The server is not named: what a circuit is called reaches the callers of a service that hands it on.
        return _Server(self._name, *self._policies, Assembly(self._clock, self._listeners), self._exchange)


class _Server:
    """What is known of one server: its circuit, its retry budget, and the ways to call it."""

    def __init__(
        self, name: str, retry: Retry | None, breaker: Breaker | None, assembly: Assembly, exchange: Exchange
    ) -> None:
        self._retry = stages_for(retry, name, assembly)
        self._breaker = stages_for(breaker, name, assembly)
        self._clock = assembly.clock
        self._exchange = exchange

    @cached_property
    def runners(self) -> tuple[Runner, Runner]:
        """For a call that is made once, and for one that may be repeated."""
        once = wrap_sync(self._breaker, self._exchange.send, self._clock)
        return once, wrap_sync(self._retry, once, self._clock)

    @cached_property
    def async_runners(self) -> tuple[AsyncRunner, AsyncRunner]:
        """The same for event loops."""
        once = wrap_async(self._breaker, self._exchange.asend, self._clock, None)
        return once, wrap_async(self._retry, once, self._clock, None)


_shared = Http(keep_alive=False)
get, aget, post, apost = _shared.get, _shared.aget, _shared.post, _shared.apost
"""Those of an ``Http`` with its defaults, which leaves no connection open."""
