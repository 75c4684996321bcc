"""What travels with a call beside its arguments: token, deadline, trace, idempotency key."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING

from unimicro.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unimicro.invocation import Invocation

__all__ = ["Outgoing", "idempotency_key"]

_given: ContextVar[str | None] = ContextVar("unimicro_idempotency_key", default=None)


@contextmanager
def idempotency_key(key: str) -> Iterator[None]:
    """Calls made inside carry a key derived from ``key``: run again, they are the same calls.

    >>> with idempotency_key("import-2026-11-21"):
    ...     orders.place("42")
    """
    token = _given.set(key)
    try:
        yield
    finally:
        _given.reset(token)


class Outgoing:
    """Makes the metadata of outgoing calls.

    Args:
        token: Sent as the header ``authorization``; a function is asked for each call. ``None`` forwards the
            token of the caller that is being served.
        forward: Whether the caller's token is forwarded where ``token`` is ``None``.
    """

    def __init__(self, token: str | Callable[[], str | None] | None, *, forward: bool = True) -> None:
        self._token = token
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
        return self._token() if callable(self._token) else self._token


class _Nested:
    """How many keyed calls an invocation has made of an operation: the number is part of their keys."""

    _MOST = 10_000

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._lock = Lock()

    def next(self, caller: str, key: str, operation: str) -> int:
        with self._lock:
            place = (caller, key, operation)
            number = self._made.pop(place, 0) + 1
            self._made[place] = number
            if len(self._made) > self._MOST:
                self._made.popitem(last=False)
            return number


_nested = _Nested()


def key_for(operation: str, served: Invocation | None) -> str:
    """The idempotency key of one logical call.

    Made up, unless the call is made under ``idempotency_key`` or while a call with a key is served: then the
    same call gets the same key when all of that is run again. The n-th call of an operation gets a key of
    its own.
    """
    given = _given.get()
    caller = "" if served is None else served.id
    if given is None and served is not None:
        given = served.key
    if given is None:
        return os.urandom(16).hex()
    number = _nested.next(caller, given, operation)
    return hashlib.sha256(f"{given}\0{operation}\0{number}".encode()).hexdigest()[:40]
