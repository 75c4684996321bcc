"""What a door is."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from unimicro.invocation import NO_ARGUMENTS, Invocation, new_id
from unimicro.metadata import Metadata, parse_idempotency_key, parse_traceparent
from unimicro.operation import unexpected_failure
from unimicro.outcome import SUCCESS, Either, Failure, Left, Outcome, Response, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.app import App
    from unimicro.invocation import CallPayload, EncodedCall, HttpPayload
    from unimicro.operation import Operation

log = logging.getLogger("unimicro")

Native = TypeVar("Native")
Answer = TypeVar("Answer")
Encoded = TypeVar("Encoded")

_new = tuple.__new__


class FrontEnd(ABC, Generic[Native, Answer]):
    """A door: decodes native requests into invocations and outcomes into native answers.

    ``decode`` and ``encode`` are pure: they start nothing, wait for nothing and raise nothing. That is
    what lets the conformance kit prove a door without its server.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]] = ()
    """By which clients can call through it, where a server stands behind it."""

    def __init__(self, app: App) -> None:
        self.app = app

    @abstractmethod
    def decode(self, native: Native) -> Outcome[Invocation]:
        """One native request as an invocation, or why it is none."""

    @abstractmethod
    def encode(self, native: Native, invocation: Invocation | None, outcome: Outcome[Any]) -> Answer:
        """The native answer; ``invocation`` is ``None`` when the request could not be decoded."""

    # A door whose decode or encode breaks its promise and raises must not take its server down: an
    # exception that reaches uvicorn, say, resets other requests of the connection.

    def handle(self, native: Native) -> Answer:
        """Decode, run, encode, in this thread."""
        invocation = None
        try:
            outcome = self.decode(native)
        except Exception as error:
            outcome = self._broken("decode", error)
        if outcome.monoid[1]:
            invocation = outcome.value
            outcome = self.app.run(invocation)
        try:
            return self.encode(native, invocation, outcome)
        except Exception as error:
            return self.encode(native, None, self._broken("encode", error))

    async def ahandle(self, native: Native) -> Answer:
        """``handle`` on the running event loop."""
        invocation = None
        try:
            outcome = self.decode(native)
        except Exception as error:
            outcome = self._broken("decode", error)
        if outcome.monoid[1]:
            invocation = outcome.value
            outcome = await self.app.arun(invocation)
        try:
            return self.encode(native, invocation, outcome)
        except Exception as error:
            return self.encode(native, None, self._broken("encode", error))

    def _broken(self, what: str, error: Exception) -> Outcome[Any]:
        log.error("door %r: %s raised", self.name, what, exc_info=error)
        return Left(Failure("internal", "internal error", layer=self.name))

    def invocation(
        self,
        operation: str,
        payload: HttpPayload | CallPayload | EncodedCall,
        metadata: Metadata,
        native: Any = None,
        stage: str = "",
        deadline: float | None = None,
        request_id: str = "",
        door: str = "",
    ) -> Outcome[Invocation]:
        """An invocation with what its metadata say of deadline, trace and idempotency key.

        Args:
            operation: Qualified name.
            payload: The arguments as they arrived.
            metadata: Header fields; ``x-timeout-ms`` is the time the caller still has.
            native: The request itself.
            stage: Stage it was addressed to; the app's if empty.
            deadline: Limit of the transport, in monotonic seconds.
            request_id: The transport's id of the request; made up if empty.
            door: Another name than the door's own.
        """
        fields = metadata.fields
        if "idempotency-key" in fields and len(metadata.getall("idempotency-key")) > 1:
            return Left(Failure("invalid_argument", "Idempotency-Key was given more than once"))
        timeout = fields.get("x-timeout-ms")
        if timeout is not None:
            timeout = timeout.strip()
            if not (timeout.isascii() and timeout.isdigit() and len(timeout) < 16):
                return Left(
                    Failure("invalid_argument", "x-timeout-ms: expected a whole number of milliseconds")
                )
            limit = self.app.clock.now() + int(timeout) / 1000
            deadline = limit if deadline is None else min(deadline, limit)
        return Either(
            # Half the price of the constructor: what is made for each request is made so.
            _new(
                Invocation,
                (
                    operation,
                    payload,
                    NO_ARGUMENTS,
                    metadata,
                    None,
                    deadline,
                    parse_traceparent(metadata) if "traceparent" in fields else None,
                    parse_idempotency_key(metadata) if "idempotency-key" in fields else None,
                    1,
                    None,
                    door or self.name,
                    stage or self.app.settings.stage,
                    request_id or new_id(),
                    native,
                ),
            ),
            SUCCESS,
        )

    def call_invocation(
        self, operation: object, payload: CallPayload | EncodedCall, metadata: Metadata, **context: Any
    ) -> Outcome[Invocation]:
        """``invocation`` for doors that address an operation by name.

        Entries only: an event handler or a timer has no authorizer and is not called by name.
        """
        compiled = self.app.operations.get(operation) if isinstance(operation, str) else None
        if compiled is None or compiled.http is None:
            return Left(Failure("unimplemented", f"there is no operation {operation!r}"))
        return self.invocation(compiled.name, payload, metadata, **context)

    def result_of(
        self,
        invocation: Invocation | None,
        outcome: Outcome[Any],
        encode: Callable[[Operation, Any], Encoded],
    ) -> Encoded | Failure:
        """What ``encode`` makes of the result, for doors that carry no status; else the failure.

        A result that has no wire form is logged and ``internal``.
        """
        if invocation is None or not outcome.monoid[1]:
            return failure_of(outcome)
        value = outcome.value
        operation = self.app.operations[invocation.operation]
        try:
            return encode(operation, value.body if type(value) is Response else value)
        except Exception as error:
            return unexpected_failure(error, invocation, "result")

    def setup(self) -> None:
        """Prepare; called once, when the app makes the door."""

    def start(self) -> None:
        """Begin to serve. A door that a server calls (WSGI, ASGI, Lambda) has nothing to do."""

    def stop(self) -> None:
        """Stop accepting, finish what is in flight."""

    def kill(self) -> None:
        """Stop at once."""


def operation_name(method: object) -> str | None:
    """``component:service:method`` → ``service.method``; the component only groups services."""
    if not isinstance(method, str) or method.count(":") != 2:
        return None
    _, service, name = method.split(":")
    return f"{service}.{name}"
