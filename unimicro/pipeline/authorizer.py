"""Authorizers: policies that say who calls, or refuse. Deny by default.

One decides by a plain function, or by steps where it waits; ``&`` and ``|`` combine several into one.
Whatever raises, or answers neither a principal nor a failure, denies and is logged.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from unimicro.errors import DefinitionError
from unimicro.invocation import Principal
from unimicro.outcome import Failure
from unimicro.pipeline.decider import Decider, DecidingSteps, asked, at_once, authorizing_stage, safe
from unimicro.pipeline.policy import Bound, Policy, require_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.stages import Await, Do, Stage

__all__ = ["AllOf", "AnyOf", "Authorizer"]

ESTABLISHES, ENRICHES, DECIDES = range(3)
"""What an authorizer is for: who calls, more about them, whether they may. ``&`` asks in this order."""


@dataclass(frozen=True)
class Authorizer(Policy):
    """Base of authorizers. A subclass says in ``decider`` how it decides.

    ``a & b`` accepts whom both accept, as one principal with the first subject and the scopes, activities
    and claims of both. ``a | b`` accepts whom one of them accepts; if none does, a ``permission_denied`` is
    what the caller gets, else ``unauthenticated`` with the challenges of all. A member in shadow mode is
    asked of calls that the others let pass: its refusal is counted and logged.
    """

    name = "auth"
    label: ClassVar[str] = "authorizer"
    """What its failures give as ``policy``."""

    @abstractmethod
    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        """How to decide on callers of ``operation``; the invocation holds what is known of them so far."""

    def rank(self) -> int:
        """``ESTABLISHES``, ``ENRICHES`` or ``DECIDES``; the last two need a principal to begin with."""
        return ESTABLISHES

    def remaining(self) -> Authorizer | None:
        """What is asked of a caller all the same who comes with a principal; ``None`` for nothing."""
        return self if self.rank() == DECIDES else None

    def __and__(self, other: Authorizer) -> Authorizer:
        return AllOf((*_members(AllOf, self), *_members(AllOf, other)))

    def __or__(self, other: Authorizer) -> Authorizer:
        return AnyOf((*_members(AnyOf, self), *_members(AnyOf, other)))

    def stage(self, operation: Operation, assembly: Assembly) -> Stage | None:
        rank = self.rank()
        if rank == ENRICHES or (rank == DECIDES and self.name == "auth"):
            raise DefinitionError(f"{_titles(self)} cannot tell who calls: write Jwt(...) & ..., or the like")
        title = f"{_titles(self)} of {operation.name}"
        rest = self.remaining() if self.name == "auth" else None
        again = None if rest is None else rest.decider(operation, assembly)
        return authorizing_stage(self.decider(operation, assembly), self.name, title, self.label, again)


@dataclass(frozen=True)
class _Combined(Authorizer):
    """Several authorizers as one; made by ``&`` and ``|``.

    Raises:
        DefinitionError: A member is no authorizer, or none is enforced.
    """

    members: tuple[Authorizer, ...] = ()

    def __post_init__(self) -> None:
        for member in self.members:
            if not isinstance(member, Authorizer):
                raise DefinitionError(f"& and | combine authorizers, not {member!r}")
            require_mode(member)
        if not self._enforced():
            raise DefinitionError("of authorizers combined by & or | at least one must be enforced")
        if all(member.name == "activities" for member in self._enforced()):
            # It stands beside the authorizer in force, as a lone one does.
            object.__setattr__(self, "name", "activities")

    def _enforced(self) -> list[Authorizer]:
        return [member for member in self.members if member.mode == "enforce"]

    def _asked(self) -> list[Authorizer]:
        return [member for member in self.members if member.mode != "off"]

    def check(self, options: EntryOptions) -> None:
        for member in self._asked():
            member.check(options)

    def worst_case(self, below: Bound) -> Bound:
        for member in self._asked():
            below = member.worst_case(below)
        return below

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        enforced = sorted(self._enforced(), key=lambda member: member.rank())
        looking_on = [member for member in self.members if member.mode == "shadow"]
        parts = [_safe(member, operation, assembly) for member in enforced]
        onlookers = _Onlookers(
            [_safe(member, operation, assembly) for member in looking_on], self.name, operation, assembly
        )
        everyone = [*parts, *onlookers.deciders]

        def steps_of(choose: Callable[[Decider], Decider], invocation: Invocation) -> DecidingSteps:
            verdict = yield from self._combine(map(choose, parts), invocation)
            if onlookers.deciders and isinstance(verdict, Principal):
                yield from onlookers.ask(choose, invocation.with_principal(verdict))
            return verdict

        return Decider(
            at_once(partial(steps_of, _plainly)) if all(part.plain for part in everyone) else None,
            partial(steps_of, _waiting) if any(part.steps for part in everyone) else None,
        )

    @abstractmethod
    def _combine(self, parts: Iterable[Decider], invocation: Invocation) -> DecidingSteps:
        """One verdict of all."""


@dataclass(frozen=True)
class AllOf(_Combined):
    """Accepts whom every member accepts: ``a & b``."""

    def rank(self) -> int:
        return min(member.rank() for member in self._enforced())

    def remaining(self) -> Authorizer | None:
        rests = [member.remaining() for member in self._enforced()]
        asked = tuple(rest for rest in rests if rest is not None)
        return AllOf(asked) if asked else None

    def _combine(self, parts: Iterable[Decider], invocation: Invocation) -> DecidingSteps:
        known = invocation.principal
        for part in parts:
            verdict = yield from asked(part, invocation)
            if isinstance(verdict, Failure):
                return verdict
            known = verdict if known is None else _merged(known, verdict)
            invocation = invocation.with_principal(known)
        return known  # type: ignore[return-value] # there is a member, and it answered


@dataclass(frozen=True)
class AnyOf(_Combined):
    """Accepts whom one member accepts, asked in turn: ``a | b``."""

    def rank(self) -> int:
        return max(member.rank() for member in self._enforced())

    def remaining(self) -> Authorizer | None:
        rests = [member.remaining() for member in self._enforced()]
        asked = tuple(rest for rest in rests if rest is not None)
        # Who could come in by a member that only asks who calls need not be asked by another.
        return AnyOf(asked) if len(asked) == len(rests) else None

    def _combine(self, parts: Iterable[Decider], invocation: Invocation) -> DecidingSteps:
        failures = []
        for part in parts:
            verdict = yield from asked(part, invocation)
            if isinstance(verdict, Principal):
                return verdict
            failures.append(verdict)
        return _reported(failures)


class _Onlookers:
    """Members in shadow mode: their refusals are told as those of a stage in shadow mode."""

    def __init__(self, deciders: list[Decider], stage: str, operation: Operation, assembly: Assembly) -> None:
        self.deciders = deciders
        self._stage = stage
        self._operation = operation.name
        self._listeners = assembly.listeners

    def ask(
        self, choose: Callable[[Decider], Decider], invocation: Invocation
    ) -> Generator[Do | Await, Any, None]:
        for decider in self.deciders:
            verdict = yield from asked(choose(decider), invocation)
            if isinstance(verdict, Failure):
                self._tell(invocation, verdict)

    def _tell(self, invocation: Invocation, failure: Failure) -> None:
        failure.layer = self._stage
        self._listeners.would_reject(self._operation, self._stage, invocation.id, failure)


def _safe(member: Authorizer, operation: Operation, assembly: Assembly) -> Decider:
    title = f"{_titles(member)} of {operation.name}"
    return safe(member.decider(operation, assembly), title, member.label)


def _plainly(decider: Decider) -> Decider:
    return decider._replace(steps=None)


def _waiting(decider: Decider) -> Decider:
    return decider if decider.steps is None else decider._replace(plain=None)


def _members(kind: type[_Combined], policy: Authorizer) -> tuple[Authorizer, ...]:
    """Those of ``a & b`` when ``& c`` follows; one whose mode was changed stays one."""
    return policy.members if isinstance(policy, kind) and policy.mode == "enforce" else (policy,)


def _titles(policy: Authorizer) -> str:
    if isinstance(policy, _Combined):
        return ", ".join(map(_titles, policy.members))
    return type(policy).__name__


def _merged(first: Principal, second: Principal) -> Principal:
    if first is second:
        return first
    return Principal(
        first.subject or second.subject,
        tuple(dict.fromkeys((*first.scopes, *second.scopes))),
        tuple(dict.fromkeys((*first.activities, *second.activities))),
        {**second.claims, **first.claims},
    )


def _reported(failures: list[Failure]) -> Failure:
    """What a caller gets whom no member of ``|`` accepted."""
    for failure in failures:
        if failure.code == "permission_denied":
            return failure
    for failure in failures:
        if failure.code != "unauthenticated":
            return failure
    challenges = [(failure.headers or {}).get("WWW-Authenticate", "") for failure in failures]
    return Failure(
        "unauthenticated",
        ", ".join(failure.message for failure in failures),
        policy="|".join(failure.policy for failure in failures),
        headers={"WWW-Authenticate": ", ".join(filter(None, challenges))},
    )
