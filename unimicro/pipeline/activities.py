"""Activities: what a principal may do, decided by its grants (a policy decision point).

An activity is a name of segments, ``orders:create``. Wildcards stand in grants only: ``*`` matches one
segment, ``**`` as the last one the rest, which is never empty. ``orders:*`` grants ``orders:create`` but
neither ``orders`` nor ``orders:create:bulk``; a longer grant never passes for a shorter activity.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from unimicro.errors import DefinitionError, PermissionDenied
from unimicro.invocation import IN_PROCESS, current_invocation
from unimicro.options import listed
from unimicro.outcome import Failure
from unimicro.pipeline.authorizer import DECIDES, Authorizer
from unimicro.pipeline.decider import Decider, Verdict
from unimicro.pipeline.policy import require_text

if TYPE_CHECKING:
    from unimicro.invocation import Invocation, Principal
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.policy import Assembly

__all__ = ["Activities", "activities", "authorized", "caller_token", "requires"]

F = TypeVar("F", bound=Callable[..., Any])

Segments = tuple[str, ...]


@dataclass(frozen=True)
class Activities(Authorizer):
    """Let pass whose grants cover every activity of ``required``; made by ``activities``.

    It stands beside the authorizer in force, or in ``&`` and ``|`` with others. A caller without subject or
    without grants is denied. Code of this process, which needs no token, needs no grants either.

    Args:
        required: Names of activities, such as ``orders:create``.
        namespace: Put before each as its first segment, which a grant must then name exactly: no wildcard
            stands for it.

    Raises:
        DefinitionError: Nothing is required, or a name has a wildcard or an empty segment.
    """

    required: Sequence[str] = ()
    namespace: str = ""
    name = "activities"
    label = "activities"

    def __post_init__(self) -> None:
        require_text(self, 0, namespace=self.namespace)
        object.__setattr__(self, "required", listed("Activities.required", self.required))
        if not self.required:
            raise DefinitionError("Activities.required must name an activity")
        _wanted(self.required, self.namespace)

    def rank(self) -> int:
        return DECIDES

    def check(self, options: EntryOptions) -> None:
        if options.no_auth:
            raise DefinitionError("activities need a caller, and no_auth=True asks nobody who it is")

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:
        wanted, exact = _wanted(self.required, self.namespace), bool(self.namespace)

        def decide(invocation: Invocation) -> Verdict:
            principal = invocation.principal
            if principal is not None and _covers(principal, wanted, exact):
                return principal
            names = [":".join(segments) for segments in wanted]
            return Failure(
                "permission_denied",
                f"the caller may not {', '.join(names)}",
                policy=self.label,
                details={"required": names},
            )

        return Decider(decide)


def activities(*required: str, namespace: str = "") -> Activities:
    """A policy that lets pass whose grants cover all of ``required``; see ``Activities``.

    Example:
        >>> @entry(policies=[activities("orders:create")])
    """
    return Activities(required, namespace)


def authorized(principal: Principal | None, *required: str, namespace: str = "") -> bool:
    """Whether the grants of ``principal`` cover every activity of ``required``.

    Nobody, or a principal without subject, may do nothing; code of this process everything.

    Raises:
        DefinitionError: As for ``Activities``.
    """
    settings = Activities(required, namespace)
    wanted = _wanted(settings.required, namespace)
    return principal is not None and _covers(principal, wanted, bool(namespace))


def requires(*required: str, namespace: str = "") -> Callable[[F], F]:
    """Decorate a function, sync or async, that only callers with these activities may run.

    The caller is that of ``current_invocation()``; outside of an invocation there is none, and it is denied.

    Raises:
        DefinitionError: When decorating, as for ``Activities``.
        PermissionDenied: When called.
    """
    settings = Activities(required, namespace)

    def ask() -> None:
        invocation = current_invocation()
        principal = invocation and invocation.principal
        if not authorized(principal, *settings.required, namespace=namespace):
            raise PermissionDenied(f"the caller may not {', '.join(settings.required)}")

    def decorate(function: F) -> F:
        @wraps(function)
        def asking(*args: Any, **kwargs: Any) -> Any:
            ask()
            return function(*args, **kwargs)

        @wraps(function)
        async def asking_first(*args: Any, **kwargs: Any) -> Any:
            ask()
            return await function(*args, **kwargs)

        return asking_first if inspect.iscoroutinefunction(function) else asking  # type: ignore[return-value]

    return decorate


def caller_token(header: str = "authorization") -> str | None:
    """The credential that the caller of the current invocation sent, to be forwarded to nested calls.

    Returns:
        The header's value as it came, with its scheme; ``None`` outside of an invocation, or without one.
    """
    invocation = current_invocation()
    return None if invocation is None else invocation.metadata.get(header)


def _wanted(required: Iterable[str], namespace: str) -> list[Segments]:
    """The activities as segments, the namespace first.

    Raises:
        DefinitionError: One is no plain name.
    """
    prefix = (_plain(namespace, "namespace"),) if namespace else ()
    return [prefix + _plain_segments(name) for name in required]


def _plain_segments(name: object) -> Segments:
    if not isinstance(name, str):
        raise DefinitionError(f"Activities.required takes names such as 'orders:create', not {name!r}")
    return tuple(_plain(segment, "required") for segment in name.split(":"))


def _plain(segment: object, setting: str) -> str:
    if not isinstance(segment, str) or not segment or "*" in segment or ":" in segment:
        raise DefinitionError(
            f"Activities.{setting}: {segment!r} is no segment of an activity; wildcards belong to the grants"
        )
    return segment


def _covers(principal: Principal, wanted: Iterable[Segments], exact: bool) -> bool:
    if principal is IN_PROCESS:
        return True
    if not principal.subject:
        return False
    grants = [grant.split(":") for grant in _granted(principal.activities)]
    return all(any(_matches(grant, activity, exact) for grant in grants) for activity in wanted)


def _granted(activities: object) -> Iterator[str]:
    """The names among what an authorizer of a user may have put there; a text is one name."""
    several = (activities,) if isinstance(activities, str) else activities
    if isinstance(several, tuple | list | set | frozenset):
        yield from (name for name in several if isinstance(name, str))


def _matches(grant: list[str], activity: Segments, exact: bool) -> bool:
    """Whether a grant covers an activity; ``exact``: its first segment is a namespace."""
    if exact and grant[0] != activity[0]:
        return False
    if grant[-1] == "**":
        head = grant[:-1]
        return len(activity) > len(head) and _equal(head, activity)
    return len(grant) == len(activity) and _equal(grant, activity)


def _equal(grant: list[str], activity: Segments) -> bool:
    """Segment by segment, as far as the grant goes; ``**`` is no wildcard but at the end."""
    return all(own in ("*", wanted) for own, wanted in zip(grant, activity, strict=False))
