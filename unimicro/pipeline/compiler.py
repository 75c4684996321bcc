"""From policies to stages to a runner. Everything that can be decided is decided here, once."""

from __future__ import annotations

import inspect
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError
from unimicro.outcome import Either, Outcome, Right
from unimicro.pipeline.bottom import async_invoke, async_perform, sync_invoke, sync_perform
from unimicro.pipeline.policy import require_mode
from unimicro.pipeline.stages import ORDER, Bracket, Layer, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor
    from types import ModuleType

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly, Policy
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.stages import AsyncRunner, Guard, Runner

__all__ = [
    "compile_async",
    "compile_authorization",
    "compile_sync",
    "stage_of",
    "stages_of",
    "user_stage",
    "wrap_async",
    "wrap_sync",
]


def stages_of(
    operation: Operation, policies: Iterable[Policy], extra: Iterable[Stage], assembly: Assembly
) -> tuple[Stage, ...]:
    """The stages of ``operation`` in running order; a policy that is off leaves none."""
    stages = [Stage("arguments", ORDER["arguments"], operation.binder.guard), *extra]
    for policy in policies:
        stage = stage_of(policy, operation, assembly)
        if stage is not None:
            stages.append(stage)
    if assembly.listeners.hear_rejections:
        from unimicro.pipeline.shadow import heard

        stages = [
            stage if _is_shadow(stage) else heard(stage, operation.name, assembly.listeners)
            for stage in stages
        ]
    # One in shadow first: behind an enforced one of its kind it would see only what that lets pass.
    return tuple(sorted(stages, key=lambda stage: (stage.order, not _is_shadow(stage))))


def stage_of(policy: Policy, operation: Operation, assembly: Assembly) -> Stage | None:
    """The stage of a policy in its mode; ``None`` for one that is off, or leaves none.

    Raises:
        DefinitionError: The policy cannot stand on ``operation``.
    """
    if policy.mode == "off":
        return None
    try:
        require_mode(policy)
        stage = policy.stage(operation, assembly)
    except DefinitionError as error:
        raise DefinitionError(f"{operation.name}: {error}") from error
    if stage is None:
        return None
    stage = stage._replace(policy=policy)
    if policy.mode == "shadow":
        from unimicro.pipeline.shadow import shadowed

        stage = shadowed(stage, operation.name, assembly.listeners)
    return stage


def _is_shadow(stage: Stage) -> bool:
    return stage.policy is not None and stage.policy.mode == "shadow"


def user_stage(function: Callable[..., Any], where: str) -> Stage:
    """A stage of a user's guard or flow, told apart by being a generator function.

    Raises:
        DefinitionError: ``function`` can be neither.
    """
    if not callable(function):
        raise DefinitionError(f"{where}: a stage is a guard or a flow, not {function!r}")
    name = getattr(function, "__name__", type(function).__name__)
    # Of an instance that is called, its method tells the kind.
    is_object = not hasattr(function, "__name__") and not isinstance(function, partial)
    called = type(function).__call__ if is_object else function
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise DefinitionError(
            f"{where}: stage {name} is async; a guard is a plain function, and a flow (a generator)"
            " yields Await(function, ...) for I/O"
        )
    _check_takes_one(function, f"{where}: stage {name}")
    if inspect.isgeneratorfunction(called):
        return Stage(name, ORDER["user"], function, "flow")
    return Stage(name, ORDER["user"], _strict(function))


def _strict(guard: Guard) -> Guard:
    """A user's guard says ``Right`` when it lets a call pass; only this package's own may leave it out."""

    def strict(invocation: Invocation) -> Outcome[Invocation]:
        checked = guard(invocation)
        if isinstance(checked, Either):
            return checked
        raise TypeError("a guard must return Right(invocation) or Left(Failure)")

    return strict


def _check_takes_one(function: Callable[..., Any], label: str) -> None:
    try:
        inspect.signature(function).bind(None)
    except ValueError:
        return  # a builtin without a signature
    except TypeError as error:
        raise DefinitionError(f"{label} must take one argument, the invocation: {error}") from error


def _wrap(stages: Sequence[Stage], runner: Any, driver: ModuleType, flows: dict[str, Any]) -> Any:
    """Put the layers around the bottom, last stage first; neighbouring guards share a layer."""
    for kind, group in groupby(reversed(stages), key=lambda stage: stage.kind):
        members = list(group)
        if kind == "guard":
            runner = driver.run_guards(tuple((stage.name, stage.run) for stage in reversed(members)), runner)
            continue
        for stage in members:
            if kind == "bracket":
                runner = driver.run_bracket(stage.run, stage.name, runner)
            elif kind == "recovery":
                runner = driver.run_recovery(stage.run, stage.name, runner, **flows)
            elif kind == "layer":
                runner = stage.run(runner)
            else:
                runner = driver.run_flow(stage.run, stage.name, runner, **flows)
            if stage.around is not None:
                runner = stage.around(runner)
    return runner


def wrap_sync(stages: Iterable[Stage], bottom: Runner, clock: Clock) -> Runner:
    """``bottom`` with the stages around it, on the sync driver."""
    from unimicro.pipeline import _sync

    flows = {"clock": clock, "perform": sync_perform(clock)}
    runner: Runner = _wrap([_for_sync(stage) for stage in stages], bottom, _sync, flows)
    return runner


def wrap_async(
    stages: Iterable[Stage], bottom: AsyncRunner, clock: Clock, threads: Executor | None
) -> AsyncRunner:
    """``bottom`` with the stages around it, on the async driver.

    Args:
        stages: Outermost first.
        bottom: What lies below them.
        clock: Source of time.
        threads: For what may block; the event loop's own if ``None``.
    """
    from unimicro.pipeline import _async

    flows = {"clock": clock, "perform": async_perform(threads, clock)}
    runner: AsyncRunner = _wrap([_for_async(stage) for stage in stages], bottom, _async, flows)
    return runner


def compile_sync(operation: Operation, stages: Iterable[Stage], clock: Clock) -> Runner:
    """The runner of Lambda, WSGI and in-process sync calls."""
    from unimicro.pipeline import _sync

    return wrap_sync(stages, _sync.run_method(operation, sync_invoke(operation, clock), clock), clock)


def compile_async(
    operation: Operation, stages: Iterable[Stage], clock: Clock, threads: Executor
) -> AsyncRunner:
    """The runner of ASGI and in-process async calls."""
    from unimicro.pipeline import _async

    bottom = _async.run_method(operation, async_invoke(operation, clock, threads), clock)
    return wrap_async(stages, bottom, clock, threads)


def compile_authorization(stages: Iterable[Stage], clock: Clock) -> Runner:
    """A runner that asks the authorizers among ``stages`` and answers with the principal."""
    asked = [stage for stage in stages if ORDER["auth"] <= stage.order < ORDER["rate_limit"]]
    return wrap_sync(asked, lambda invocation: Right(invocation.principal), clock)


def _for_sync(stage: Stage) -> Stage:
    if isinstance(stage.run, Layer):
        return stage._replace(run=stage.run.sync)  # type: ignore[arg-type]  # for _wrap alone
    if stage.inline is None:
        return stage
    return stage._replace(run=stage.inline, kind="bracket" if isinstance(stage.inline, Bracket) else "guard")


def _for_async(stage: Stage) -> Stage:
    if isinstance(stage.run, Layer):
        return stage._replace(run=stage.run.async_)  # type: ignore[arg-type]  # as above
    return stage
