"""Stages that are watched: in shadow they decide and change nothing; enforced, their refusals are told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError
from unimicro.invocation import Invocation
from unimicro.operation import unexpected_failure
from unimicro.outcome import Either, Failure, Outcome, failure_of
from unimicro.pipeline.listeners import Rejection
from unimicro.pipeline.stages import Bracket, Pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.pipeline.listeners import Listeners
    from unimicro.pipeline.stages import Flow, Guard, Stage, Steps

    Report = Callable[[Invocation, Failure], None]

log = logging.getLogger("unimicro")


def shadowed(stage: Stage, operation: str, listeners: Listeners) -> Stage:
    """A stage that decides as ``stage`` does, is counted and logged, and leaves every outcome as it is.

    Raises:
        DefinitionError: ``stage`` is a layer: what it does cannot be told from outside.
    """
    if stage.kind == "layer":
        raise DefinitionError(f"a layer cannot look on: {stage.name} must give another stage in shadow mode")
    watch = _Shadow(stage, operation, listeners)
    run: Any = {
        "guard": watch.guard,
        "bracket": Bracket(watch.enter, watch.leave),
        "flow": watch.flow,
        "recovery": watch.recovery,
    }[stage.kind]
    return stage._replace(run=run, inline=None)


class _Shadow:
    """One stage in shadow mode, whatever its kind."""

    def __init__(self, stage: Stage, operation: str, listeners: Listeners) -> None:
        self._run: Any = stage.run
        self._name = stage.name
        self._operation = operation
        self._listeners = listeners

    def guard(self, invocation: Invocation) -> Invocation:
        try:
            checked = self._run(invocation)
            if isinstance(checked, Either) and not checked.monoid[1]:
                self._refused(invocation, failure_of(checked))
        except Exception as error:
            unexpected_failure(error, invocation, self._name)
        return invocation

    def enter(self, invocation: Invocation) -> Any:
        try:
            permit = self._run.enter(invocation)
        except Exception as error:
            unexpected_failure(error, invocation, self._name)
            return None
        if isinstance(permit, Failure):
            self._refused(invocation, permit)
            return None
        return (permit,)

    def leave(self, permit: Any, outcome: Outcome[Any] | None) -> None:
        if permit is not None:
            self._run.leave(permit[0], outcome)

    def flow(self, invocation: Invocation) -> Steps:
        return (yield from self._follow(self._run(invocation), invocation, None))

    def recovery(self, invocation: Invocation, outcome: Outcome[Any]) -> Steps:
        return (yield from self._follow(self._run(invocation, outcome), invocation, outcome))

    def _follow(self, steps: Steps, invocation: Invocation, outcome: Outcome[Any] | None) -> Steps:
        """Let ``steps`` have one call at most, its first, and no waiting; then answer with its outcome."""
        decided: Any = None
        called = outcome is not None
        try:
            step = next(steps)
            while not (called and isinstance(step, Invocation)):
                if isinstance(step, Invocation):
                    called = True
                    outcome = yield invocation
                    step = steps.send(outcome)
                elif type(step) is Pause:
                    step = steps.send(None)
                else:
                    try:
                        done = yield step
                    except Exception as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(done)
            self._differs(invocation, "called again")
        except StopIteration as stop:
            decided = stop.value
        except Exception as error:
            unexpected_failure(error, invocation, self._name)
        finally:
            _close(steps, invocation, self._name)
        if outcome is None:
            outcome = yield invocation
        if decided is not None and decided is not outcome:
            self._report(invocation, decided)
        return outcome

    def _report(self, invocation: Invocation, decided: Any) -> None:
        if isinstance(decided, Either) and not decided.monoid[1]:
            self._refused(invocation, failure_of(decided))
        else:
            self._differs(invocation, "answered itself")

    def _refused(self, invocation: Invocation, failure: Failure) -> None:
        self._listeners.would_reject(self._operation, self._name, invocation.id, failure)

    def _differs(self, invocation: Invocation, what: str) -> None:
        self._listeners.would_differ(self._operation, self._name, invocation.id, what)


def _close(steps: Steps, invocation: Invocation, name: str) -> None:
    try:
        steps.close()
    except Exception as error:
        unexpected_failure(error, invocation, name)


def heard(stage: Stage, operation: str, listeners: Listeners) -> Stage:
    """``stage``, with its refusals told to the listeners."""
    report = _reporter(stage.name, operation, listeners)
    if stage.kind == "guard":
        return stage._replace(run=_heard_guard(stage.run, report))
    if stage.kind == "bracket":
        return stage._replace(run=_heard_bracket(stage.run, report))  # type: ignore[arg-type]
    if stage.kind == "flow":
        inline = None if stage.inline is None else _heard_inline(stage.inline, report)
        own = stage.name if stage.policy is not None else ""
        return stage._replace(run=_heard_flow(stage.run, report, own), inline=inline)
    # A recovery refuses nothing: it begins when a call has failed already.
    return stage


def _reporter(layer: str, operation: str, listeners: Listeners) -> Report:
    def report(invocation: Invocation, failure: Failure) -> None:
        listeners.reject(Rejection(operation, invocation.id, layer, failure))

    return report


def _heard_guard(guard: Any, report: Report) -> Guard:
    def heard_guard(invocation: Invocation) -> Invocation | Outcome[Invocation]:
        checked = guard(invocation)
        if isinstance(checked, Either) and not checked.monoid[1]:
            report(invocation, failure_of(checked))
        return checked  # type: ignore[no-any-return]

    return heard_guard


def _heard_inline(inline: Guard | Bracket, report: Report) -> Guard | Bracket:
    return _heard_bracket(inline, report) if isinstance(inline, Bracket) else _heard_guard(inline, report)


def _heard_bracket(bracket: Bracket, report: Report) -> Bracket:
    def enter(invocation: Invocation) -> Any:
        permit = bracket.enter(invocation)
        if isinstance(permit, Failure):
            report(invocation, permit)
        return permit

    return Bracket(enter, bracket.leave)


def _heard_flow(flow: Any, report: Report, own: str) -> Flow:
    """``own`` is the layer of the stage's own failures; another's it only hands on, as a stored one."""

    def heard_flow(invocation: Invocation) -> Steps:
        called: list[Any] = []
        outcome = yield from _noting_calls(flow(invocation), called)
        if not called and isinstance(outcome, Either) and not outcome.monoid[1]:
            failure = failure_of(outcome)
            if not own or failure.layer == own:
                report(invocation, failure)
        return outcome

    return heard_flow


def _noting_calls(steps: Steps, called: list[Any]) -> Steps:
    """``yield from steps`` that remembers whether what lies below was called."""
    sent: Any = None
    thrown: Exception | None = None
    try:
        while True:
            try:
                step = steps.send(sent) if thrown is None else steps.throw(thrown)
            except StopIteration as stop:
                return stop.value
            if isinstance(step, Invocation):
                called.append(step)
            sent, thrown = None, None
            try:
                sent = yield step
            except Exception as error:
                thrown = error
    finally:
        steps.close()
