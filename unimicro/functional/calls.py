"""Calls that a program makes by itself, with policies of the house around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from unimicro.invocation import Invocation, current_invocation
from unimicro.pipeline.bottom import async_perform, sync_perform
from unimicro.pipeline.policy import require_mode
from unimicro.pipeline.shadow import shadowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from unimicro.operation import Operation
    from unimicro.outcome import Outcome
    from unimicro.pipeline.policy import Assembly, Policy
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.stages import Stage

    Runner = Callable[[Invocation], Outcome[Any]]
    AsyncRunner = Callable[[Invocation], Awaitable[Outcome[Any]]]

__all__ = ["AsyncRunner", "Runner", "around", "around_async", "call_of", "stage_of"]


class _Target(NamedTuple):
    """What stands for the operation: of such a call policies use the name."""

    name: str


def call_of(name: str, **fields: Any) -> Invocation:
    """The invocation of a call with that name; one that is made while another is served has its id."""
    served = current_invocation()
    return Invocation(name, id="none" if served is None else served.id, **fields)


def stage_of(policy: Policy | None, name: str, assembly: Assembly) -> Stage | None:
    """The stage of ``policy`` for calls with that name; ``None`` where it leaves none.

    Raises:
        DefinitionError: Its mode is unknown.
    """
    if policy is None or policy.mode == "off":
        return None
    require_mode(policy)
    stage = policy.stage(cast("Operation", _Target(name)), assembly)
    if stage is None or policy.mode == "enforce":
        return stage
    return shadowed(stage, name, assembly.listeners)


def around(stage: Stage | None, below: Runner, clock: Clock) -> Runner:
    """``below`` with the stage around it."""
    from unimicro.pipeline import _sync

    return cast("Runner", _layer(stage, below, _sync, {"clock": clock, "perform": sync_perform(clock)}))


def around_async(stage: Stage | None, below: AsyncRunner, clock: Clock) -> AsyncRunner:
    """``around`` for the other colour."""
    from unimicro.pipeline import _async

    # No threads of an app: the loop's own.
    threads: Any = None
    flows = {"clock": clock, "perform": async_perform(threads, clock)}
    return cast("AsyncRunner", _layer(stage, below, _async, flows))


def _layer(stage: Stage | None, below: Any, driver: ModuleType, flows: dict[str, Any]) -> Any:
    if stage is None:
        return below
    if stage.kind == "bracket":
        layer = driver.run_bracket(stage.run, stage.name, below)
    elif stage.kind == "recovery":
        layer = driver.run_recovery(stage.run, stage.name, below, **flows)
    else:
        layer = driver.run_flow(stage.run, stage.name, below, **flows)
    return layer if stage.around is None else stage.around(layer)
