"""What an authorizer decides, how, and the stage that makes. Whatever goes wrong denies and is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import DefinitionError
from unimicro.invocation import Invocation, Principal
from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.stages import ORDER, Await, Do, Stage, Steps

if TYPE_CHECKING:
    from unimicro.pipeline.stages import Flow, Guard

__all__ = [
    "Decider",
    "DecidingSteps",
    "Verdict",
    "asked",
    "at_once",
    "authorizing_stage",
    "bearer",
    "challenge",
    "safe",
]

log = logging.getLogger("unimicro")

Verdict = Principal | Failure
DecidingSteps = Generator[Do | Await, Any, Verdict]


class Decider(NamedTuple):
    """How an authorizer decides on the callers of one operation.

    Attributes:
        plain: From invocation to verdict, without I/O.
        steps: The same as a generator that yields ``Do`` and ``Await``. Where both are given, ``plain`` may
            block and serves the sync driver.
    """

    plain: Callable[[Invocation], Verdict] | None = None
    steps: Callable[[Invocation], DecidingSteps] | None = None


Denied = Callable[[Exception], Failure]


def _denier(title: str, label: str) -> Denied:
    def denied(error: Exception) -> Failure:
        log.error("%s raised; denied", title, exc_info=error)
        return Failure("permission_denied", "the caller could not be authorized", policy=label)

    return denied


def authorizing_stage(
    decider: Decider, name: str, title: str, label: str, again: Decider | None = None
) -> Stage:
    """The stage of a decider.

    Args:
        decider: The policy's.
        name: Of the stage.
        title: What the log calls it: ``Token of orders.place``.
        label: What its failures give as ``policy``.
        again: Asked in its place of a caller who comes with a principal; plain where ``decider`` is.
    """
    denied, order = _denier(title, label), ORDER[name]
    rest = None if again is None else authorizing_stage(again, "activities", title, label)
    guard = None if decider.plain is None else _guard(name, decider.plain, denied, rest)
    if decider.steps is not None:
        return Stage(name, order, _flow(name, decider.steps, denied, rest), "flow", guard)
    if guard is None:
        raise DefinitionError(f"{title}: its decider must have a plain function or steps")
    return Stage(name, order, guard)


def _guard(name: str, plain: Callable[[Invocation], Verdict], denied: Denied, rest: Stage | None) -> Guard:
    """The stage of a plain decider. On the path of every call, so it tests the usual verdict first."""
    is_auth = name == "auth"
    again: Any = rest and (rest.inline or rest.run)

    def guard(invocation: Invocation) -> Invocation | Outcome[Any]:
        # Whoever comes with a principal was authorized before; what they may do is asked all the same.
        if is_auth and invocation.principal is not None:
            return invocation if again is None else again(invocation)
        try:
            verdict = plain(invocation)
            if type(verdict) is Principal:
                return invocation.with_principal(verdict)
            verdict = _verdict(verdict)
        except Exception as error:
            verdict = denied(error)
        return _concluded(name, invocation, verdict)

    return guard


def _flow(
    name: str, steps: Callable[[Invocation], DecidingSteps], denied: Denied, rest: Stage | None
) -> Flow:
    """The stage of a decider that waits."""
    decide = _safe_steps(steps, denied)
    again: Any = None if rest is None else rest.run
    waits = rest is not None and rest.kind == "flow"

    def flow(invocation: Invocation) -> Steps:
        if name == "auth" and invocation.principal is not None:
            if waits:
                return (yield from again(invocation))
            checked = invocation if again is None else again(invocation)
        else:
            checked = _concluded(name, invocation, (yield from decide(invocation)))
        return (yield checked) if isinstance(checked, Invocation) else checked

    return flow


def _concluded(name: str, invocation: Invocation, verdict: Verdict) -> Invocation | Outcome[Any]:
    if isinstance(verdict, Failure):
        verdict.layer = name
        return Left(verdict)
    return invocation.with_principal(verdict)


def safe(decider: Decider, title: str, label: str) -> Decider:
    """A decider that never raises, to be combined with others; arguments as of ``authorizing_stage``."""
    denied = _denier(title, label)
    plain, steps = decider
    return Decider(plain and _safe_plain(plain, denied), steps and _safe_steps(steps, denied))


def _safe_plain(plain: Callable[[Invocation], Verdict], denied: Denied) -> Callable[[Invocation], Verdict]:
    def decide(invocation: Invocation) -> Verdict:
        try:
            return _verdict(plain(invocation))
        except Exception as error:
            return denied(error)

    return decide


def _safe_steps(
    steps: Callable[[Invocation], DecidingSteps], denied: Denied
) -> Callable[[Invocation], DecidingSteps]:
    def decide(invocation: Invocation) -> DecidingSteps:
        try:
            return _verdict((yield from steps(invocation)))
        except Exception as error:
            return denied(error)

    return decide


def _verdict(answer: object) -> Verdict:
    if isinstance(answer, Principal | Failure):
        return answer
    raise TypeError(f"an authorizer must answer a Principal or a Failure, not a {type(answer).__name__}")


def asked(decider: Decider, invocation: Invocation) -> DecidingSteps:
    """Steps to the verdict: those of the plain function where there is one."""
    if decider.plain is not None:
        return decider.plain(invocation)
    return (yield from decider.steps(invocation))  # type: ignore[misc]


def at_once(steps: Callable[[Invocation], DecidingSteps]) -> Callable[[Invocation], Verdict]:
    """The plain function of steps that never wait."""

    def decide(invocation: Invocation) -> Verdict:
        try:
            next(steps(invocation))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        raise TypeError("an authorizer that waits has no plain function")

    return decide


def challenge(scheme: str, realm: str, **parameters: str) -> dict[str, str]:
    """The header of a challenge (RFC 9110 §11.6.1)."""
    pairs = {"realm": realm, **parameters}.items()
    return {"WWW-Authenticate": f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in pairs)}


def bearer(value: str | None) -> str:
    """The token of a header value: bare, or after ``Bearer`` in any case (RFC 9110 §11.1)."""
    token = value.strip() if value else ""
    if token[:6].lower() != "bearer":
        return token
    scheme, _, rest = token.partition(" ")
    return rest.strip() if len(scheme) == 6 else token  # not "bearertoken"
