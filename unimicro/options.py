"""What an entry may say about itself, and the reading of it from a decorator's keywords."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError, declared_code, nearest

if TYPE_CHECKING:
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.stages import Flow, Guard

__all__ = ["Cors", "EntryOptions", "collect_options", "listed", "require_policy"]


@dataclass(frozen=True)
class Cors:
    """Cross-origin rule of an entry (https://fetch.spec.whatwg.org/#http-cors-protocol).

    Args:
        origins: Allowed origins; ``"*"`` allows all.
        headers: Request headers that a preflight may ask for; ``"*"`` allows those asked for.
        expose: Response headers that a script may read.
        credentials: Cookies and authorization may be sent; never together with ``"*"``.
        max_age: Seconds a browser may keep the answer of a preflight.
    """

    origins: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ("authorization", "content-type")
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 600

    def __post_init__(self) -> None:
        for name in ("origins", "headers", "expose"):
            if isinstance(getattr(self, name), str):
                raise DefinitionError(f"Cors: {name} takes a tuple of strings, not one string")
        if self.credentials and "*" in self.origins:
            raise DefinitionError("Cors: credentials=True needs named origins, not '*'")


@dataclass(frozen=True)
class EntryOptions:
    """Everything an entry may say about itself, HTTP or not.

    Attributes:
        no_auth: Open to everyone. All other entries are protected.
        stage: The entry exists in this deployment stage only.
        content_type: Content type of the answer.
        binary: The answer is binary whatever its content type.
        cors: Cross-origin rule; none means no cross-origin access.
        blocking: A sync method may block, so an async door runs it in a worker thread.
        safe: Changes nothing, so it may be repeated.
        idempotent: Repeating it has the effect of calling it once.
        key: Name of the parameter that identifies a repeated call.
        errors: Exception classes that travel to the caller as they are.
        sensitive: Names of parameters that no log, record or replay may show.
        policies: Policy objects; a later one of the same name replaces an earlier one.
        stages: Guards and flows of the user, run in this order once arguments are bound.
    """

    no_auth: bool = False
    stage: str | None = None
    content_type: str | None = None
    binary: bool = False
    cors: Cors | None = None
    blocking: bool = True
    safe: bool = False
    idempotent: bool = False
    key: str | None = None
    errors: tuple[type[Exception], ...] = ()
    sensitive: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    stages: tuple[Guard | Flow, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.stage, str | None):
            raise DefinitionError("stage= names a deployment stage; guards and flows go into stages=[...]")
        for error in self.errors:
            declared_code(error)
        for policy in self.policies:
            require_policy(policy)
            if policy.mode == "off":
                continue
            policy.check(self)
            if self.no_auth and policy.name == "auth" and policy.mode == "enforce":
                raise DefinitionError("no_auth=True and an authorizer contradict each other")

    @property
    def repeatable(self) -> bool:
        """Whether a retry is allowed: the call was declared safe, idempotent or keyed."""
        return self.safe or self.idempotent or bool(self.key)


def listed(option: str, given: object) -> tuple[Any, ...]:
    """The members of an option that takes several.

    Raises:
        DefinitionError: ``given`` is one thing, or one string, whose letters nobody means.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DefinitionError(f"{option} takes a list, not {given!r}")
    return tuple(given)


def require_policy(given: object) -> None:
    """Check that it is a policy, told by its method: ``Policy`` itself lies above this module.

    Raises:
        DefinitionError: It is a class, or a bare value such as ``retry=3``.
    """
    if isinstance(given, type) or not callable(getattr(given, "check", None)):
        raise DefinitionError(
            f"{given!r} is no policy; a policy is an object such as Retry(attempts=3), and"
            " Retry(mode='off') switches one off"
        )


_NAMED_POLICIES = (
    "deadline",
    "auth",
    "activities",
    "rate_limit",
    "idempotency",
    "cache",
    "fallback",
    "retry",
    "hedge",
    "timeout",
    "breaker",
    "bulkhead",
)
_SEVERAL = ("errors", "sensitive", "policies", "stages")


def collect_options(decorator: str, /, **given: Any) -> EntryOptions:
    """The options of a decorator, those that are policies by name gathered in ``policies``."""
    known = [*_NAMED_POLICIES, *(option.name for option in fields(EntryOptions))]
    for name in given:
        if name not in known:
            raise DefinitionError(f"{decorator}: there is no option {name!r}{nearest(name, known)}")
    named = [given.pop(name, None) for name in _NAMED_POLICIES]
    several: dict[str, Any] = {name: listed(name, given.pop(name, ())) for name in _SEVERAL}
    several["policies"] += tuple(policy for policy in named if policy is not None)
    return EntryOptions(**several, **given)
