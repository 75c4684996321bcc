"""The token of this service itself, for calls of others: OAuth 2.0 client credentials (RFC 6749 §4.4)."""

from __future__ import annotations

import logging
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.invocation import IN_PROCESS, Invocation, new_id
from unimicro.operation import operations_of
from unimicro.outcome import Failure, Outcome, Right, failure_of
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.clock import SystemClock
from unimicro.pipeline.compiler import compile_async, compile_sync, stages_of
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.policy import Assembly, Policy
from unimicro.pipeline.remote import require_url
from unimicro.pipeline.retry import Retry
from unimicro.pipeline.single_flight import SingleFlight
from unimicro.pipeline.stages import ORDER, Stage, Steps
from unimicro.pipeline.token_request import TokenRequest
from unimicro.service import Service, entry

if TYPE_CHECKING:
    from unimicro.pipeline.ports import Clock, Fetch

__all__ = ["SelfToken", "StoredToken", "TokenStore"]

log = logging.getLogger("unimicro")

Draw = Callable[[float, float], float]


@dataclass(frozen=True)
class StoredToken:
    """A token as it is kept.

    Attributes:
        token: The access token.
        expires_at: Seconds since the epoch.
    """

    token: str = field(repr=False)
    expires_at: float


class TokenStore(Protocol):
    """Keeps the token where other processes, or the next one, find it. It may block."""

    def read(self) -> Outcome[StoredToken | None]:
        """What was written last; ``None`` if nothing was."""

    def write(self, token: StoredToken) -> Outcome[None]:
        """Keep ``token`` in place of the one before."""


class SelfToken:
    """Obtains and renews the token with which this service calls others.

    It is kept in memory, and in ``store`` for other processes. Whoever asks while it is obtained waits for
    that one request. It is renewed at a random time inside a window before it expires, so that many processes
    do not renew at once; while that fails, the old one serves until it expires. The server is asked behind
    ``policies``.

    Args:
        token_url: The token endpoint.
        client_id: Of this service.
        client_secret: Of this service. Neither it nor a token is ever part of a ``repr`` or a log.
        audience: For whom the token shall be, where the server asks for it.
        scope: Scopes separated by spaces.
        client_auth: ``basic`` sends the credentials in a header (RFC 6749 §2.3.1), ``post`` in the body.
        window: Most and least seconds before expiry at which the token is renewed; a token that lives less
            than twice the first has a window in proportion.
        timeout: Seconds for a request.
        patience: Seconds for all attempts together, whatever a server asks to wait for.
        store: Where the token is kept beyond this process. What it cannot read or write is logged, no more.
        policies: Around the request. Without a ``Breaker`` there is no circuit.
        fetch: Another HTTP client.
        clock: Another source of time.
        draw: Draws a number between two others; ``random.uniform`` by default.
        allow_http: ``token_url`` may be plain HTTP to another machine.

    Raises:
        DefinitionError: A setting is missing or impossible.
        MissingExtra: httpx is not installed, and no ``fetch`` is given.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str = "",
        scope: str = "",
        client_auth: Literal["basic", "post"] = "basic",
        window: tuple[float, float] = (300.0, 60.0),
        timeout: float = 5.0,
        patience: float = 30.0,
        store: TokenStore | None = None,
        policies: Sequence[Policy] = (Retry(), Breaker()),
        fetch: Fetch | None = None,
        clock: Clock | None = None,
        draw: Draw = random.uniform,
        allow_http: bool = False,
    ) -> None:
        _check(audience, scope, client_auth, allow_http)
        require_url("SelfToken.token_url", token_url, allow_http)
        _check_texts(client_id=client_id, client_secret=client_secret)
        _check_times(window, timeout=timeout, patience=patience)
        self._token_url = token_url
        self._client_id = client_id
        self._window = window
        self._clock = clock or SystemClock()
        self._draw = draw
        self._flights = SingleFlight()
        self._held: tuple[StoredToken, float] | None = None
        self._discarded = ""
        # By name: what fetches lies above the pipeline.
        fetch = fetch or import_module("unimicro.stores.http_fetch").HttpFetch()
        form = {"grant_type": "client_credentials", "scope": scope, "audience": audience}
        request = TokenRequest(
            fetch, token_url, client_id, client_secret, form, client_auth == "post", timeout
        )
        endpoint = _Endpoint(self._obtained, request, store, self._clock)
        self._operation = next(iter(operations_of(endpoint, "", 1)))
        keep = Stage("self_token", ORDER["cache"], self._keep, "flow")
        self._stages = stages_of(
            self._operation, [Deadline(patience), *policies], [keep], Assembly(self._clock)
        )
        self._run = compile_sync(self._operation, self._stages, self._clock)

    @classmethod
    def from_environment(
        cls, prefix: str = "OAUTH_", environ: Mapping[str, str] | None = None, **settings: Any
    ) -> SelfToken:
        """With what ``<prefix>TOKEN_URL``, ``CLIENT_ID``, ``CLIENT_SECRET``, ``AUDIENCE`` and ``SCOPE`` hold.

        Raises:
            ConfigurationError: One of the first three is missing, or impossible.
        """
        values = os.environ if environ is None else environ
        for name in ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"):
            if not values.get(prefix + name):
                raise ConfigurationError(f"SelfToken: the environment variable {prefix}{name} is not set")
        required = (values[prefix + name] for name in ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"))
        optional = {name.lower(): values.get(prefix + name, "") for name in ("AUDIENCE", "SCOPE")}
        return cls(*required, **{**optional, **settings})

    def __repr__(self) -> str:
        return f"SelfToken({self._token_url!r}, {self._client_id!r})"

    def token(self) -> Outcome[str]:
        """``Right`` of the token, obtained in this thread where there is none, or ``Left`` of what failed."""
        return self._at_hand() or self._run(self._invocation())

    async def atoken(self) -> Outcome[str]:
        """``token`` on the running event loop."""
        return self._at_hand() or await self._arun(self._invocation())

    def discard(self, token: str) -> None:
        """Obtain a new token next time, because a server has refused ``token`` although it is not expired."""
        held = self._held
        if held is not None and held[0].token == token:
            self._discarded, self._held = token, None

    @cached_property
    def _arun(self) -> Any:
        from concurrent.futures import ThreadPoolExecutor

        # One thread: there is one request at a time.
        threads = ThreadPoolExecutor(1, thread_name_prefix="unimicro-token")
        return compile_async(self._operation, self._stages, self._clock, threads)

    def _invocation(self) -> Invocation:
        # Not the caller's deadline: the one who asks first does it for all, and must not make it fail by
        # being in a hurry.
        return Invocation(self._operation.name, principal=IN_PROCESS, door="local", id=new_id())

    def _at_hand(self) -> Outcome[str] | None:
        """The token, unless it is to be renewed or somebody has to obtain one."""
        held = self._held
        if held is None:
            return None
        stored, renew_at = held
        now = self._clock.time()
        if now < renew_at or (now < stored.expires_at and _FLIGHT in self._flights):
            return Right(stored.token)
        return None

    def _obtained(self, stored: StoredToken) -> bool:
        """Whether a stored token is newer than what is held here."""
        held = self._held
        if stored.token == self._discarded or self._clock.time() >= self._renewal(stored, self._window[1]):
            return False
        return held is None or stored.expires_at > held[0].expires_at

    def _keep(self, invocation: Invocation) -> Steps:
        outcome: Outcome[str] = yield from self._flights.join(_FLIGHT, partial(self._renew, invocation))
        return outcome

    def _renew(self, invocation: Invocation) -> Steps:
        # Another may have done it between this one's look and its turn.
        at_hand, held = None if self._held is None else self._fresh(self._held), self._held
        if at_hand is not None:
            return at_hand
        outcome = yield invocation
        if outcome.monoid[1]:
            return self._take(outcome.value)
        if held is not None and self._clock.time() < held[0].expires_at:
            return self._postpone(held[0], failure_of(outcome))
        return outcome

    def _fresh(self, held: tuple[StoredToken, float]) -> Outcome[str] | None:
        return Right(held[0].token) if self._clock.time() < held[1] else None

    def _take(self, stored: StoredToken) -> Outcome[str]:
        most, least = self._window
        self._held = (stored, self._renewal(stored, self._draw(least, most)))
        return Right(stored.token)

    def _renewal(self, stored: StoredToken, before: float) -> float:
        """When to renew: ``before`` the expiry, less where the token lives not twice the window."""
        remaining = max(0.0, stored.expires_at - self._clock.time())
        return stored.expires_at - before * min(1.0, remaining / (2 * self._window[0]))

    def _postpone(self, stored: StoredToken, failure: Failure) -> Outcome[str]:
        """The old token serves; the next attempt is made at random in the first half of its rest."""
        log.warning("the token for %s was not renewed: %s", self._client_id, failure.message)
        now = self._clock.time()
        rest = stored.expires_at - now
        self._held = (stored, now + self._draw(rest / 8, rest / 2))
        return Right(stored.token)


_FLIGHT = "token"


class _Endpoint(Service):
    """The token endpoint as an operation, so that the house's policies stand around it."""

    name = "self_token"

    def __init__(
        self,
        is_newer: Callable[[StoredToken], bool],
        request: TokenRequest,
        store: TokenStore | None,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._is_newer = is_newer
        self._request = request
        self._store = store
        self._clock = clock

    @entry(no_auth=True, idempotent=True)
    def obtain(self) -> StoredToken:
        """The token that another process has stored, or a new one."""
        stored = self._attempt(lambda store: store.read())
        if isinstance(stored, StoredToken) and self._is_newer(stored):
            return stored
        token, lifetime = self._request()
        new = StoredToken(token, self._clock.time() + lifetime)
        self._attempt(lambda store: store.write(new))
        return new

    def _attempt(self, use: Callable[[TokenStore], Outcome[Any]]) -> Any:
        """What the store answers; its outage is harmless."""
        if self._store is None:
            return None
        try:
            outcome = use(self._store)
            if outcome.monoid[1]:
                return outcome.value
            log.warning("the store of the token failed: %s", failure_of(outcome).message)
        except Exception as error:
            # Not its text: it may hold the token.
            log.warning("the store of the token failed: %s", type(error).__name__)
        return None


def _check_texts(**values: object) -> None:
    """Not shown: one of them is a secret."""
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise DefinitionError(f"SelfToken.{name} must be a string that is not empty")


def _check(audience: object, scope: object, client_auth: object, allow_http: object) -> None:
    for name, value in (("audience", audience), ("scope", scope)):
        if not isinstance(value, str):
            raise DefinitionError(f"SelfToken.{name} must be text, got {value!r}")
    if client_auth not in ("basic", "post"):
        raise DefinitionError(f"SelfToken.client_auth must be basic or post, got {client_auth!r}")
    if not isinstance(allow_http, bool):
        raise DefinitionError(f"SelfToken.allow_http must be true or false, got {allow_http!r}")


def _check_times(window: object, **seconds: object) -> None:
    pair = window if isinstance(window, tuple | list) and len(window) == 2 else (0, 0)
    if not all(map(_is_time, pair)) or pair[0] < pair[1]:
        raise DefinitionError(f"SelfToken.window must be (most, least) seconds above 0, got {window!r}")
    for name, value in seconds.items():
        if not _is_time(value):
            raise DefinitionError(f"SelfToken.{name} must be above 0 and finite, got {value!r}")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
