"""The token authorizer: asks ``Service.token_authorizer``. Deny by default."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from unimicro.invocation import Principal
from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.bottom import sync_perform
from unimicro.pipeline.policy import Policy
from unimicro.pipeline.stages import ORDER, Await, Do, Stage, Steps
from unimicro.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")

TOKEN_BEARER = Principal("token")


@dataclass(frozen=True)
class Token(Policy):
    """Protect an entry with ``Service.token_authorizer``. On every entry unless ``no_auth=True``.

    No credentials → ``unauthenticated``; credentials that the authorizer does not accept, or that it
    accepts for another stage, → ``permission_denied``. An exception in the authorizer denies and is logged.

    Args:
        header: Field that holds the token, bare or as ``Bearer x``; the service's ``token_header`` if
            ``None``.
        blocking: An overridden sync authorizer may block, so an async door runs it in a worker thread.
    """

    header: str | None = None
    blocking: bool = True
    name = "auth"

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        service = operation.service
        check = _Check(operation, (self.header or service.token_header).lower())
        overridden = type(service).token_authorizer is not Service.token_authorizer
        if inspect.iscoroutinefunction(service.token_authorizer):
            return Stage(self.name, ORDER["auth"], partial(check.flow, Await), "flow")
        if overridden and self.blocking:
            return Stage(self.name, ORDER["auth"], partial(check.flow, Do), "flow", check.guard)
        return Stage(self.name, ORDER["auth"], check.guard)


class _Check:
    """The authorizer of one operation, as a guard or as a flow."""

    def __init__(self, operation: Operation, header: str) -> None:
        self._operation = operation
        self._header = header
        self._authorize: Any = _authorizer(operation.service)
        self._challenge = {"WWW-Authenticate": f'Bearer realm="{operation.service.name}"'}

    def guard(self, invocation: Invocation) -> Invocation | Outcome[Any]:
        if invocation.principal is not None:
            return invocation
        token = bearer(invocation.metadata.fields.get(self._header))
        if not token:
            return self._missing()
        try:
            answer = self._authorize(token)
        except Exception as error:
            return self._broken(error)
        if answer is not True and not _allows(answer, invocation.stage):
            return Left(_denied())
        return invocation.with_principal(TOKEN_BEARER)

    def flow(self, step: type[Await | Do], invocation: Invocation) -> Steps:
        if invocation.principal is not None:
            return (yield invocation)
        token = bearer(invocation.metadata.get(self._header))
        if not token:
            return self._missing()
        try:
            answer = yield step(self._authorize, token)
        except Exception as error:
            return self._broken(error)
        if not _allows(answer, invocation.stage):
            return Left(_denied())
        return (yield invocation.with_principal(TOKEN_BEARER))

    def _missing(self) -> Outcome[Any]:
        text = f"no token in {self._header!r}"
        return Left(Failure("unauthenticated", text, layer="auth", headers=self._challenge))

    def _broken(self, error: Exception) -> Outcome[Any]:
        _log_broken(self._operation.service, error)
        return Left(_denied())


def _authorizer(service: Service) -> Any:
    """The service's authorizer; its default directly, without the method between."""
    if type(service).token_authorizer is not Service.token_authorizer:
        return service.token_authorizer
    from unimicro.environment_token import is_environment_token

    return is_environment_token


def accepts_token(service: Service) -> Callable[[str, str], bool]:
    """A check of (token, stage) for a door that authorizes without an invocation, in this thread.

    An empty token is not accepted; an exception in the authorizer denies and is logged.
    """
    authorize: Any = service.token_authorizer
    step = Await if inspect.iscoroutinefunction(authorize) else Do

    def accepts(token: str, stage: str) -> bool:
        if not token:
            return False
        try:
            return _allows(sync_perform(step(authorize, token)), stage)
        except Exception as error:
            _log_broken(service, error)
            return False

    return accepts


def _log_broken(service: Service, error: Exception) -> None:
    log.error("the token authorizer of %s raised; denied", service.name, exc_info=error)


def _allows(answer: object, stage: str) -> bool:
    """Exactly ``True`` or the stage's name: a truthy accident must not open a door."""
    return answer is True or (isinstance(answer, str) and bool(answer) and answer == stage)


def _denied() -> Failure:
    return Failure("permission_denied", "the token is not accepted here", layer="auth")


def bearer(value: str | None) -> str:
    """The token of a header value: bare, or after ``Bearer`` in any case (RFC 9110 §11.1)."""
    token = value.strip() if value else ""
    if token[:6].lower() != "bearer":
        return token
    scheme, _, rest = token.partition(" ")
    return rest.strip() if len(scheme) == 6 else token  # not "bearertoken"
