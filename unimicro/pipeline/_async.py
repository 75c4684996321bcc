"""The async driver. Its twin is ``_sync.py``; a test keeps the two alike but for their colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unimicro.invocation import Invocation, calls_made, current
from unimicro.operation import unexpected_failure
from unimicro.outcome import SUCCESS, Either, Failure, Left, Outcome
from unimicro.pipeline.deadline import PastDeadline, expired, late
from unimicro.pipeline.stages import Await, Do, Pause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from unimicro.operation import Operation
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.stages import Bracket, Flow, Guard, Recovery, Steps

    Runner = Callable[[Invocation], Awaitable[Outcome[Any]]]
    Doer = Callable[[Any, float | None], Awaitable[Any]]


def run_guards(guards: tuple[tuple[str, Guard], ...], below: Runner) -> Runner:
    """A layer that asks each guard in turn before it calls what lies below."""
    names: dict[Any, str] = {guard: name for name, guard in guards}
    functions = tuple(guard for _, guard in guards)

    async def layer(invocation: Invocation) -> Outcome[Any]:
        asked = None
        try:
            for asked in functions:
                checked = asked(invocation)
                if isinstance(checked, Invocation):
                    invocation = checked
                    continue
                if not checked.monoid[1] and isinstance(checked.monoid[0], Failure):
                    return checked
                if type(checked.value) is not Invocation:
                    raise TypeError("a guard must return Right(invocation) or Left(Failure)")
                invocation = checked.value
        except Exception as error:
            return Left(unexpected_failure(error, invocation, names.get(asked, "")))
        return await below(invocation)

    return layer


def run_bracket(bracket: Bracket, name: str, below: Runner) -> Runner:
    """A layer that asks for a permit before the call and gives it back after it."""
    enter, leave = bracket

    async def layer(invocation: Invocation) -> Outcome[Any]:
        try:
            permit = enter(invocation)
        except Exception as error:
            return Left(unexpected_failure(error, invocation, name))
        if isinstance(permit, Failure):
            return Left(permit)
        outcome = None
        try:
            outcome = await below(invocation)
            return outcome
        finally:
            # Also on BaseException: a permit always comes back.
            try:
                leave(permit, outcome)
            except Exception as error:
                unexpected_failure(error, invocation, name)

    return layer


def run_recovery(recovery: Recovery, name: str, below: Runner, clock: Clock, perform: Doer) -> Runner:
    """A layer that starts its flow when the first call has failed."""
    drive = driver(name, below, clock, perform)

    async def layer(invocation: Invocation) -> Outcome[Any]:
        outcome = await below(invocation)
        if outcome.monoid[1]:
            return outcome
        return await drive(recovery(invocation, outcome), invocation, invocation.deadline)

    return layer


def run_flow(flow: Flow, name: str, below: Runner, clock: Clock, perform: Doer) -> Runner:
    """A layer that is a flow from beginning to end."""
    drive = driver(name, below, clock, perform)

    async def layer(invocation: Invocation) -> Outcome[Any]:
        return await drive(flow(invocation), invocation, invocation.deadline)

    return layer


def driver(  # noqa: C901 - one branch for each thing a flow may yield
    name: str, below: Runner, clock: Clock, perform: Doer
) -> Callable[[Steps, Invocation, float | None], Awaitable[Outcome[Any]]]:
    """What steps through a generator and does what it yields.

    What the generator asks for before its first call is cut off at the deadline it was given.
    """

    async def drive(  # noqa: C901, PLR0912 - as above
        steps: Steps, invocation: Invocation, limit: float | None
    ) -> Outcome[Any]:
        try:
            step = next(steps)
            while True:
                if type(step) is Invocation:
                    # What comes after the call may have to store its outcome: it is not cut off.
                    limit = None
                    step = steps.send(await below(step))
                elif type(step) is Pause:
                    await clock.asleep(step.seconds)
                    step = next(steps)
                elif type(step) is Do or type(step) is Await:
                    try:
                        done = await perform(step, limit)
                    except PastDeadline:
                        return Left(expired())
                    except Exception as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(done)
                else:
                    raise TypeError(f"a flow may yield no {type(step).__name__}")
        except StopIteration as stop:
            outcome = stop.value
            if isinstance(outcome, Either) and (outcome.monoid[1] or isinstance(outcome.monoid[0], Failure)):
                return outcome
            wrong = TypeError(
                f"a flow must return Right(value) or Left(Failure), not a {type(outcome).__name__}"
            )
            return Left(unexpected_failure(wrong, invocation, name))
        except Exception as error:
            return Left(unexpected_failure(error, invocation, name))
        finally:
            # Also on BaseException: the flow's own finally blocks give permits back.
            try:
                steps.close()
            except Exception as error:
                unexpected_failure(error, invocation, name)

    return drive


def run_method(operation: Operation, invoke: Callable[[Invocation], Awaitable[Any]], clock: Clock) -> Runner:
    """The bottom layer: the method itself. No exception but ``BaseException`` passes it."""
    now = clock.now
    outcome_of = operation.outcome if operation.may_respond else None

    async def layer(invocation: Invocation) -> Outcome[Any]:
        deadline = invocation.deadline
        if deadline is not None and now() >= deadline:
            return Left(expired("not started: "))
        token = current.set(invocation)
        counting = None if invocation.key is None else calls_made.set({})
        try:
            value = await invoke(invocation)
            outcome = Either(value, SUCCESS) if outcome_of is None else outcome_of(value)
        except Exception as error:
            if deadline is not None and now() >= deadline:
                return late(invocation, error)
            return Left(operation.failure(error, invocation))
        finally:
            current.reset(token)
            if counting is not None:
                calls_made.reset(counting)
        if deadline is not None and now() >= deadline:
            return late(invocation, dropped=outcome)
        return outcome

    return layer
