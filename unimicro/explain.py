"""What a pipeline is made of: its stages, who said so, the most a call may take, and what looks wrong."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import ConfigurationError, nearest
from unimicro.pipeline.policy import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from unimicro.app import App
    from unimicro.assembly import Sourced
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.stages import Stage

__all__ = ["Explanation", "StageNote", "explain"]


class StageNote(NamedTuple):
    """One stage of a pipeline, or a policy that leaves none.

    Attributes:
        name: Of the stage.
        kind: ``guard``, ``flow``, ``bracket``, ``recovery``, ``layer``, or ``off`` for one without a stage.
        settings: The policy with the settings that are not its defaults; empty for other stages.
        origin: Who said so; ``code`` for guards and flows of users and plugins.
        mode: Of the policy.
    """

    name: str
    kind: str
    settings: str
    origin: str
    mode: str


class Explanation(NamedTuple):
    """The composed pipeline of one operation.

    Attributes:
        operation: The operation itself.
        stages: Outermost first; the method lies below them.
        off: Policies that leave no stage.
        worst_case: The most seconds and attempts of a call.
        lints: What looks wrong, in sentences.
    """

    operation: Operation
    stages: tuple[StageNote, ...]
    off: tuple[StageNote, ...]
    worst_case: Bound
    lints: tuple[str, ...]


def explain(app: App, operation: str) -> Explanation:
    """Explain the pipeline of an operation.

    Raises:
        ConfigurationError: There is no such operation; the text names the nearest one.
    """
    if operation not in app.operations:
        raise ConfigurationError(f"there is no operation {operation!r}{nearest(operation, app.operations)}")
    compiled = app.operations[operation]
    stages = app.stages_of(operation)
    origins = {id(said.policy): said.origin for said in app.sources_of(compiled).values()}
    enforced = app.policies_of(compiled)
    staged = {id(stage.policy) for stage in stages}
    off = [
        StageNote(said.policy.name, "off", settings_of(said.policy), said.origin, said.policy.mode)
        for said in app.sources_of(compiled).values()
        if id(said.policy) not in staged
    ]
    return Explanation(
        compiled,
        tuple(_note(stage, origins) for stage in stages),
        tuple(off),
        worst_case(stages),
        tuple(_lints(compiled, enforced, app.sources_of(compiled))),
    )


def _note(stage: Stage, origins: Mapping[int, str]) -> StageNote:
    if stage.policy is None:
        origin = "always" if stage.name == "arguments" else "code"
        return StageNote(stage.name, stage.kind, "", origin, "enforce")
    origin = origins.get(id(stage.policy), "code")
    return StageNote(stage.name, stage.kind, settings_of(stage.policy), origin, stage.policy.mode)


def settings_of(policy: Policy) -> str:
    """``Retry(attempts=5)``: a policy with what differs from its defaults, without what ``repr`` hides."""
    shown = [
        f"{field.name}={getattr(policy, field.name)!r}"
        for field in fields(policy)
        if field.repr and field.name != "mode" and getattr(policy, field.name) != field.default
    ]
    return f"{type(policy).__name__}({', '.join(shown)})"


def worst_case(stages: Sequence[Stage]) -> Bound:
    """The most that a call may take: each enforced policy's bound around what lies below it."""
    bound = Bound(math.inf, 1)
    for stage in reversed(stages):
        if stage.policy is not None and stage.policy.mode == "enforce":
            bound = stage.policy.worst_case(bound)
    return bound


def _lints(
    operation: Operation, policies: Mapping[str, Policy], sources: Mapping[str, Sourced]
) -> Iterator[str]:
    settings = {name: _settings(policy) for name, policy in policies.items()}
    deadline = settings.get("deadline", {}).get("timeout")
    yield from _time_lints(operation, settings, deadline)
    if operation.http is not None and "auth" not in policies and not operation.options.no_auth:
        yield f"no authorizer is in force ({_origin(sources, 'auth')}): everyone may call it"
    for name, said in sources.items():
        if said.policy.mode == "shadow":
            yield f"{name.removesuffix(' in shadow')} is in shadow ({said.origin}): it refuses nothing"


def _time_lints(
    operation: Operation, settings: Mapping[str, Mapping[str, Any]], deadline: float | None
) -> Iterator[str]:
    attempts = settings.get("retry", {}).get("attempts", 1)
    timeout = settings.get("timeout", {}).get("seconds")
    lease = settings.get("idempotency", {}).get("lease")
    if deadline is None:
        yield "no deadline: only a caller that sends one limits how long a call may take"
    elif timeout is not None and attempts * timeout > deadline:
        yield (
            f"{attempts} attempts of {timeout:g} s do not fit into the deadline of {deadline:g} s:"
            " the last ones may never be made"
        )
    if attempts > 1 and timeout is None:
        yield "a retry without a timeout: one slow attempt may use up all the time"
    if lease is not None and (deadline is None or lease < deadline):
        yield f"the idempotency lease of {lease:g} s may end while the call runs: give it a shorter deadline"
    if not operation.is_async and deadline is not None:
        yield "a sync method cannot be cut off: on a sync door a call takes as long as the method does"


def _settings(policy: Policy) -> dict[str, Any]:
    return {field.name: getattr(policy, field.name) for field in fields(policy)}


def _origin(sources: Mapping[str, Sourced], name: str) -> str:
    return sources[name].origin if name in sources else "none was given"
