"""The one request shape: every door decodes into an ``Invocation``, nothing else goes below it."""

from __future__ import annotations

import base64
import itertools
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from unimicro.metadata import NO_METADATA, Metadata, TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from unimicro.outcome import Failure

__all__ = [
    "CallPayload",
    "EncodedCall",
    "HttpPayload",
    "Invocation",
    "Principal",
    "current_invocation",
    "new_id",
]


class Principal(NamedTuple):
    """Who calls. Set by an authorizer, or by code in this process that is trusted anyway."""

    subject: str
    scopes: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    claims: Mapping[str, Any] = {}


IN_PROCESS = Principal("in-process")
"""Code that holds the app could call the service itself: it is trusted, by identity, without a token."""


class HttpPayload(NamedTuple):
    """Arguments as an HTTP request carries them, not yet parsed."""

    path: tuple[str, ...] = ()
    """Values of the path parameters, in template order, percent-decoded."""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = ""


class CallPayload(NamedTuple):
    """Arguments as a dispatch wire, a message or a program gives them."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


class EncodedCall(NamedTuple):
    """The same, not yet parsed: nothing of it is read before the caller is known."""

    args: bytes = b""
    """An array; no octets where there is none."""
    kwargs: bytes = b""
    """An object; no octets where there is none."""
    format: Literal["json", "msgpack"] = "json"


NO_ARGUMENTS: Mapping[str, Any] = {}


_PAYLOADS = {kind.__name__: kind for kind in (HttpPayload, CallPayload, EncodedCall)}
_OCTETS: dict[Any, tuple[str, ...]] = {HttpPayload: ("body",), EncodedCall: ("args", "kwargs")}


class _Fields(NamedTuple):
    operation: str
    payload: HttpPayload | CallPayload | EncodedCall = CallPayload()
    arguments: Mapping[str, Any] = NO_ARGUMENTS
    metadata: Metadata = NO_METADATA
    principal: Principal | None = None
    deadline: float | None = None
    trace: TraceContext | None = None
    key: str | None = None
    attempt: int = 1
    last_failure: Failure | None = None
    door: str = ""
    stage: str = ""
    id: str = ""
    native: Any = None


_ARGUMENTS = _Fields._fields.index("arguments")
_PRINCIPAL = _Fields._fields.index("principal")
_DEADLINE = _Fields._fields.index("deadline")
_NATIVE = _Fields._fields.index("native")
_new = tuple.__new__


class Invocation(_Fields):
    """One call of one operation, whatever door it came through. Immutable.

    Attributes:
        operation: Qualified name, ``orders.place``.
        payload: The arguments as they arrived.
        arguments: Name to value, validated; empty until the pipeline has bound them.
        metadata: Header fields.
        principal: Who calls, once authorized.
        deadline: On the app's monotonic clock, in seconds; ``None`` for no limit.
        trace: W3C trace context of the caller.
        key: Idempotency key of the caller.
        attempt: 1 for the first try.
        last_failure: What the attempt before this one came back with.
        door: Name of the door that decoded it.
        stage: Deployment stage it was addressed to.
        id: For logs only; never used to tell duplicates.
        native: The request as the door got it; not compared, not serialised.
    """

    __slots__ = ()

    def with_arguments(self, arguments: Mapping[str, Any]) -> Invocation:
        """A copy with the validated arguments."""
        fields: list[Any] = [*self]
        fields[_ARGUMENTS] = arguments
        return _new(Invocation, fields)

    def with_principal(self, principal: Principal) -> Invocation:
        """A copy made on behalf of ``principal``."""
        fields: list[Any] = [*self]
        fields[_PRINCIPAL] = principal
        return _new(Invocation, fields)

    def with_deadline(self, deadline: float) -> Invocation:
        """A copy that must be answered by ``deadline`` (monotonic seconds)."""
        fields: list[Any] = [*self]
        fields[_DEADLINE] = deadline
        return _new(Invocation, fields)

    def next_attempt(self, failure: Failure) -> Invocation:
        """A copy for the try that follows ``failure``."""
        return self._replace(attempt=self.attempt + 1, last_failure=failure)

    def to_dict(self, now: float) -> dict[str, Any]:
        """JSON-able data for a log, a queue or a replay.

        The deadline becomes seconds from ``now``, the octets of a payload base64 text. Arguments of a
        ``CallPayload`` stay as they are: a caller in this process may have given any object.
        """
        payload = self.payload._asdict()
        for name in _OCTETS.get(type(self.payload), ()):
            payload[name] = base64.b64encode(payload[name]).decode("ascii")
        fields = self._asdict()
        del fields["native"], fields["last_failure"], fields["deadline"], fields["arguments"]
        return fields | {
            "payload": {"kind": type(self.payload).__name__, **payload},
            "metadata": self.metadata.pairs(),
            "principal": self.principal and self.principal._asdict(),
            "trace": self.trace and self.trace._asdict(),
            "timeout": None if self.deadline is None else self.deadline - now,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], now: float) -> Invocation:
        """The inverse of ``to_dict``; the arguments are bound anew by the pipeline.

        Raises:
            KeyError, TypeError: ``data`` was not made by ``to_dict``.
        """
        fields = dict(data)
        payload = dict(fields.pop("payload"))
        kind = _PAYLOADS[payload.pop("kind")]
        timeout = fields.pop("timeout")
        principal, trace = fields.pop("principal"), fields.pop("trace")
        for name in _OCTETS.get(kind, ()):
            payload[name] = base64.b64decode(payload[name])
        for name in ("path", "args"):
            if isinstance(payload.get(name), list):
                payload[name] = tuple(payload[name])
        if "query" in payload:
            payload["query"] = tuple((name, value) for name, value in payload["query"])
        return cls(
            payload=kind(**payload),
            metadata=Metadata((name, value) for name, value in fields.pop("metadata")),
            principal=None if principal is None else _principal(**principal),
            trace=None if trace is None else TraceContext(**trace),
            deadline=None if timeout is None else now + timeout,
            **fields,
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is Invocation and self[:_NATIVE] == other[:_NATIVE]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.operation, self.id))

    def __repr__(self) -> str:
        # Arguments and header values may be secret.
        return f"<Invocation {self.operation} {self.id} door={self.door} attempt={self.attempt}>"


def _principal(
    subject: str, scopes: Iterable[str], activities: Iterable[str], claims: Mapping[str, Any]
) -> Principal:
    """JSON knows no tuples."""
    return Principal(subject, tuple(scopes), tuple(activities), claims)


current: ContextVar[Invocation | None] = ContextVar("unimicro_invocation", default=None)


calls_made: ContextVar[dict[str, Iterator[int]] | None] = ContextVar("unimicro_calls_made", default=None)
"""While a call with a key is served: operation to the numbers of its next calls, anew for each attempt."""


def current_invocation() -> Invocation | None:
    """The invocation that the calling code serves; ``None`` outside of one."""
    return current.get()


class _Ids:
    """Process-unique prefix plus counter: an id per request without a system call."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.prefix = os.urandom(6).hex()
        self.counter = itertools.count(1)


_ids = _Ids()


def new_id() -> str:
    """An id for logs, unique over processes with overwhelming probability."""
    return f"{_ids.prefix}-{next(_ids.counter):x}"
