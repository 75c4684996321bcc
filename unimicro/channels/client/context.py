"""What travels with a call beside its arguments: token, deadline, trace, idempotency key."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING

from unimicro.errors import ConfigurationError
from unimicro.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unimicro.invocation import Invocation

__all__ = ["Outgoing", "idempotency_key", "key_for"]

class Outgoing:
    """Makes the metadata of outgoing calls.

    Args:
        token: Sent as the header ``authorization``, as a bearer token (RFC 6750 §2.1) unless it names another
            scheme; a function is asked for each call and must not block. ``None`` forwards the token of the
            caller that is being served.
        forward: Whether the caller's token is forwarded where ``token`` is ``None``.

    Raises:
        ConfigurationError: No header can carry the token.
    """

    def __init__(self, token: str | Callable[[], str | None] | None, *, forward: bool = True) -> None:
        self._token = _credentials(token) if isinstance(token, str) else token
        self._forward = forward

    def metadata(self, served: Invocation | None, key: str | None) -> Metadata:
        """The header fields of one logical call; attempts share them."""
        fields: dict[str, str] = {}
        token = self._token_for(served)
        if token:
            fields["authorization"] = token
        if served is not None and served.trace is not None:
            trace = served.trace
            fields["traceparent"] = f"00-{trace.trace_id}-{trace.parent_id}-{trace.flags}"
            if trace.state:
                fields["tracestate"] = trace.state
        if key is not None:
            fields["idempotency-key"] = f'"{key}"'
        return Metadata.of_lower_case(fields)

    def _token_for(self, served: Invocation | None) -> str | None:
        if self._token is None:
            if served is None or not self._forward:
                return None
            return served.metadata.fields.get("authorization")
        if callable(self._token):
            token = self._token()
            return None if token is None else _credentials(token)
        return self._token


def _credentials(token: str) -> str:
    if not (isinstance(token, str) and token.isascii() and token.isprintable() and token.strip()):
        # Not shown: it is a secret.
        raise ConfigurationError("the token is no printable ASCII text")
    return token if " " in token else f"Bearer {token}"


class _Origin:
    """What keys are derived from: run again, the n-th call of an operation gets the same key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._made: Counter[str] = Counter()
        self._lock = Lock()

    def next(self, operation: str) -> str:
        with self._lock:
            self._made[operation] += 1
            number = self._made[operation]
        return hashlib.sha256(f"{self._key}\0{operation}\0{number}".encode()).hexdigest()[:40]


class _Served:
    """The origins of invocations with a key that are being served, by their ids."""

    _MOST = 10_000

    def __init__(self) -> None:
        self._origins: OrderedDict[str, _Origin] = OrderedDict()
        self._lock = Lock()

    def origin(self, invocation_id: str, key: str) -> _Origin:
        with self._lock:
            known = self._origins.get(invocation_id)
            if known is None:
                known = self._origins[invocation_id] = _Origin(key)
                if len(self._origins) > self._MOST:
                    self._origins.popitem(last=False)
            return known


_given: ContextVar[_Origin | None] = ContextVar("unimicro_idempotency_key", default=None)
_served = _Served()


@contextmanager
def idempotency_key(key: str) -> Iterator[None]:
    """Calls made inside carry keys derived from ``key``: run again, they are the same calls.

    >>> with idempotency_key("import-2026-11-21"):
    ...     orders.place("42")
    """
    token = _given.set(_Origin(key))
    try:
        yield
    finally:
        _given.reset(token)


def key_for(operation: str, served: Invocation | None) -> str:
    """The idempotency key of one logical call.

    Made up, unless the call is made under ``idempotency_key`` or while a call with a key is served.
    """
    origin = _given.get()
    if origin is None and served is not None and served.key is not None:
        origin = _served.origin(served.id, served.key)
    return os.urandom(16).hex() if origin is None else origin.next(operation)
