"""The token authorizer: asks ``Service.token_authorizer``. Deny by default."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from unimicro.invocation import Principal
from unimicro.outcome import Failure
from unimicro.pipeline.authorizer import Authorizer
from unimicro.pipeline.decider import Decider, DecidingSteps, Verdict, bearer, challenge
from unimicro.pipeline.policy import require_flag, require_text
from unimicro.pipeline.stages import Await, Do
from unimicro.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")

TOKEN_BEARER = Principal("token")


@dataclass(frozen=True)
class Token(Authorizer):
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
    label = "token"

    def __post_init__(self) -> None:
        if self.header is not None:
            require_text(self, header=self.header)
        require_flag(self, blocking=self.blocking)

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        service = operation.service
        plain, steps = _checks(service, (self.header or service.token_header).lower())
        overridden = type(service).token_authorizer is not Service.token_authorizer
        if inspect.iscoroutinefunction(service.token_authorizer):
            return Decider(None, partial(steps, Await))
        if overridden and self.blocking:
            return Decider(plain, partial(steps, Do))
        return Decider(plain)


def _checks(service: Service, header: str) -> tuple[Callable[..., Verdict], Callable[..., DecidingSteps]]:
    """The check of a token as a plain function, and as steps that ask by ``Do`` or ``Await``."""
    authorize = _authorizer(service)

    def missing() -> Failure:
        headers = challenge("Bearer", service.name)
        return Failure("unauthenticated", f"no token in {header!r}", policy=Token.label, headers=headers)

    def plain(invocation: Invocation) -> Verdict:
        token = bearer(invocation.metadata.fields.get(header))
        if not token:
            return missing()
        answer = authorize(token)
        return TOKEN_BEARER if answer is True or _allows(answer, invocation.stage) else _denied()

    def steps(step: type[Await | Do], invocation: Invocation) -> DecidingSteps:
        token = bearer(invocation.metadata.fields.get(header))
        if not token:
            return missing()
        answer = yield step(authorize, token)
        return TOKEN_BEARER if _allows(answer, invocation.stage) else _denied()

    return plain, steps


def _authorizer(service: Service) -> Any:
    """The service's authorizer; its default directly, without the method between."""
    if type(service).token_authorizer is not Service.token_authorizer:
        return service.token_authorizer
    from unimicro.environment_token import is_environment_token

    return is_environment_token


def _allows(answer: object, stage: str) -> bool:
    """Exactly ``True`` or the stage's name: a truthy accident must not open a door."""
    return answer is True or (isinstance(answer, str) and bool(answer) and answer == stage)


def _denied() -> Failure:
    text, reason = "the token is not accepted here", {"reason": "invalid"}
    return Failure("permission_denied", text, policy=Token.label, details=reason)
