"""What travels with a call beside its arguments: token, deadline, trace, idempotency key."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from unimicro.errors import ConfigurationError
from unimicro.invocation import calls_made
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
        if inspect.iscoroutinefunction(token):
            raise ConfigurationError("token is an async function: give a plain one, or a TokenSource")
        self._token = token if token is None or callable(token) else _credentials(token)
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
            # One that no header can carry must not keep the call from being made.
            if trace.state.isascii() and trace.state.isprintable() and trace.state:
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


def _credentials(token: object) -> str:
    if not (isinstance(token, str) and token.isascii() and token.isprintable() and token.strip()):
        # Not shown: it is a secret.
        raise ConfigurationError("the token is no printable ASCII text")
    return token if " " in token else f"Bearer {token}"


class _Origin:
    """What keys are derived from: run again, the n-th call of an operation gets the same key.

    Args:
        words: All that they depend on.
        numbers: Operation to the numbers of its calls.
    """

    def __init__(self, words: tuple[str, ...], numbers: dict[str, Iterator[int]]) -> None:
        self._words = words
        self._numbers = numbers

    def next(self, operation: str) -> str:
        number = next(self._numbers.setdefault(operation, itertools.count(1)))
        # As a literal, so that no two are one text.
        return hashlib.sha256(repr((*self._words, operation, number)).encode()).hexdigest()[:40]


_given: ContextVar[_Origin | None] = ContextVar("unimicro_idempotency_key", default=None)


@contextmanager
def idempotency_key(key: str) -> Iterator[None]:
    """Calls made inside carry keys derived from ``key``: run again, they are the same calls.

    The n-th call of an operation is the same call each time, so calls made at once, from several threads
    or tasks, are told apart only if each has a key of its own.

    >>> with idempotency_key("import-2026-11-21"):
    ...     orders.place("42")

    Raises:
        ValueError: ``key`` is no text, or empty.
    """
    if not isinstance(key, str) or not key.strip():
        raise ValueError(f"an idempotency key is text that is not empty, not {key!r}")
    token = _given.set(_Origin((key,), {}))
    try:
        yield
    finally:
        _given.reset(token)


def key_for(operation: str, served: Invocation | None) -> str:
    """The idempotency key of one logical call.

    Made up, unless the call is made under ``idempotency_key`` or while a call with a key is served: then it
    depends on what that key counts for as well, which is one principal and one operation.
    """
    origin = _given.get()
    numbers = calls_made.get()
    if origin is None and served is not None and served.key is not None and numbers is not None:
        subject = "" if served.principal is None else served.principal.subject
        origin = _Origin((subject, served.operation, served.key), numbers)
    return os.urandom(16).hex() if origin is None else origin.next(operation)
