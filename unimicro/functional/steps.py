"""Functions from a value to an ``Outcome`` (Kleisli arrows), put one after another.

The laws, for arrows ``f``, ``g``, ``h``: ``pipeline(Right, f)`` and ``pipeline(f, Right)`` are ``f``;
``pipeline(pipeline(f, g), h)`` is ``pipeline(f, pipeline(g, h))``; after a ``Left`` nothing is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, overload

from unimicro.errors import DefinitionError
from unimicro.functional.arrows import Lifting, as_outcome, is_async, name_of, require_function
from unimicro.outcome import Either, Outcome

__all__ = ["apipeline", "lift", "pipeline"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
R = TypeVar("R")

Step = Callable[[A], Outcome[B]]
AnyStep = Callable[[A], Outcome[B] | Awaitable[Outcome[B]]]
AsyncStep = Callable[[A], Coroutine[Any, Any, Outcome[B]]]
Respond = Callable[[Outcome[A]], R]
AnyRespond = Callable[[Outcome[A]], R | Awaitable[R]]
AsyncAnswer = Callable[[A], Coroutine[Any, Any, R]]


class Lift(Lifting):
    """See ``lift``."""

    called = "lift"

    def _lift(self, function: Callable[..., Any]) -> Callable[..., Outcome[Any]]:
        return lambda *args, **kwargs: as_outcome(function(*args, **kwargs))

    def _lift_async(self, function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Outcome[Any]]]:
        async def lifted(*args: Any, **kwargs: Any) -> Outcome[Any]:
            return as_outcome(await function(*args, **kwargs))

        return lifted


lift = Lift()
"""``lift(function)`` answers ``Right`` of what the function returns; what it raises propagates."""


@overload
def pipeline(a: Step[A, B], /) -> Step[A, B]: ...
@overload
def pipeline(a: Step[A, B], /, *, respond: Respond[B, R]) -> Callable[[A], R]: ...
@overload
def pipeline(a: Step[A, B], b: Step[B, C], /) -> Step[A, C]: ...
@overload
def pipeline(a: Step[A, B], b: Step[B, C], /, *, respond: Respond[C, R]) -> Callable[[A], R]: ...
@overload
def pipeline(a: Step[A, B], b: Step[B, C], c: Step[C, D], /) -> Step[A, D]: ...
@overload
def pipeline(
    a: Step[A, B], b: Step[B, C], c: Step[C, D], /, *, respond: Respond[D, R]
) -> Callable[[A], R]: ...
@overload
def pipeline(a: Step[A, B], b: Step[B, C], c: Step[C, D], d: Step[D, E], /) -> Step[A, E]: ...
@overload
def pipeline(
    a: Step[A, B], b: Step[B, C], c: Step[C, D], d: Step[D, E], /, *, respond: Respond[E, R]
) -> Callable[[A], R]: ...
@overload
def pipeline(a: Step[A, B], b: Step[B, C], c: Step[C, D], d: Step[D, E], e: Step[E, F], /) -> Step[A, F]: ...
@overload
def pipeline(
    a: Step[A, B], b: Step[B, C], c: Step[C, D], d: Step[D, E], e: Step[E, F], /, *, respond: Respond[F, R]
) -> Callable[[A], R]: ...
@overload
def pipeline(
    a: Callable[[A], Any],
    b: Callable[..., Any],
    c: Callable[..., Any],
    d: Callable[..., Any],
    e: Callable[..., Any],
    f: Callable[..., Any],
    /,
    *more: Callable[..., Any],
    respond: Callable[..., Any] | None = None,
) -> Callable[[A], Any]: ...
def pipeline(*steps: Callable[..., Any], respond: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """One function that calls ``steps`` in turn, each with the value of the one before.

    The first ``Left`` is the result. What a step raises propagates: see ``tried``.

    Args:
        steps: From a value to an ``Outcome``; guards are some.
        respond: Gets the outcome, ``Right`` or ``Left``; what it returns is the result instead.

    Raises:
        DefinitionError: There is no step, or one cannot be called, or it is async: see ``apipeline``.
        TypeError: When the pipeline runs: a step did not return an ``Outcome``; the text names it.
    """
    functions = _checked("pipeline", steps, respond)
    for function in functions:
        if is_async(function):
            raise DefinitionError(f"pipeline: {name_of(function)} is async; make it an apipeline")

    def run(value: Any) -> Any:
        for step in steps:
            outcome = step(value)
            if not isinstance(outcome, Either):
                raise _no_outcome(step, outcome)
            if not outcome.monoid[1]:
                break
            value = outcome.value
        return outcome if respond is None else respond(outcome)

    return _named(run, "pipeline", functions)


@overload
def apipeline(a: AnyStep[A, B], /) -> AsyncStep[A, B]: ...
@overload
def apipeline(a: AnyStep[A, B], /, *, respond: AnyRespond[B, R]) -> AsyncAnswer[A, R]: ...
@overload
def apipeline(a: AnyStep[A, B], b: AnyStep[B, C], /) -> AsyncStep[A, C]: ...
@overload
def apipeline(a: AnyStep[A, B], b: AnyStep[B, C], /, *, respond: AnyRespond[C, R]) -> AsyncAnswer[A, R]: ...
@overload
def apipeline(a: AnyStep[A, B], b: AnyStep[B, C], c: AnyStep[C, D], /) -> AsyncStep[A, D]: ...
@overload
def apipeline(
    a: AnyStep[A, B], b: AnyStep[B, C], c: AnyStep[C, D], /, *, respond: AnyRespond[D, R]
) -> AsyncAnswer[A, R]: ...
@overload
def apipeline(
    a: AnyStep[A, B], b: AnyStep[B, C], c: AnyStep[C, D], d: AnyStep[D, E], /
) -> AsyncStep[A, E]: ...
@overload
def apipeline(
    a: AnyStep[A, B], b: AnyStep[B, C], c: AnyStep[C, D], d: AnyStep[D, E], /, *, respond: AnyRespond[E, R]
) -> AsyncAnswer[A, R]: ...
@overload
def apipeline(
    a: AnyStep[A, B], b: AnyStep[B, C], c: AnyStep[C, D], d: AnyStep[D, E], e: AnyStep[E, F], /
) -> AsyncStep[A, F]: ...
@overload
def apipeline(
    a: AnyStep[A, B],
    b: AnyStep[B, C],
    c: AnyStep[C, D],
    d: AnyStep[D, E],
    e: AnyStep[E, F],
    /,
    *,
    respond: AnyRespond[F, R],
) -> AsyncAnswer[A, R]: ...
@overload
def apipeline(
    a: Callable[[A], Any],
    b: Callable[..., Any],
    c: Callable[..., Any],
    d: Callable[..., Any],
    e: Callable[..., Any],
    f: Callable[..., Any],
    /,
    *more: Callable[..., Any],
    respond: Callable[..., Any] | None = None,
) -> AsyncAnswer[A, Any]: ...
def apipeline(
    *steps: Callable[..., Any], respond: Callable[..., Any] | None = None
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """``pipeline`` of async functions; sync ones may stand among them. The result is async.

    Raises:
        DefinitionError, TypeError: As ``pipeline``, but for the colour.
    """
    functions = _checked("apipeline", steps, respond)
    coloured = [(step, is_async(step)) for step in steps]
    respond_waits = respond is not None and is_async(respond)

    async def run(value: Any) -> Any:
        for step, waits in coloured:
            outcome = await step(value) if waits else step(value)
            if not isinstance(outcome, Either):
                raise _no_outcome(step, outcome)
            if not outcome.monoid[1]:
                break
            value = outcome.value
        if respond is None:
            return outcome
        return await respond(outcome) if respond_waits else respond(outcome)

    return _named(run, "apipeline", functions)


def _checked(
    wanted_by: str, steps: tuple[Callable[..., Any], ...], respond: Callable[..., Any] | None
) -> tuple[Callable[..., Any], ...]:
    """Everything that is called."""
    if not steps:
        raise DefinitionError(f"{wanted_by} needs at least one step")
    functions = steps if respond is None else (*steps, respond)
    for function in functions:
        require_function(function, wanted_by)
    return functions


def _named(
    run: Callable[..., Any], kind: str, functions: tuple[Callable[..., Any], ...]
) -> Callable[..., Any]:
    run.__name__ = run.__qualname__ = f"{kind}({', '.join(map(name_of, functions))})"
    return run


def _no_outcome(step: Callable[..., Any], returned: Any) -> TypeError:
    if inspect.iscoroutine(returned):
        returned.close()
        return TypeError(f"step {name_of(step)} returned a coroutine: define it with async def")
    return TypeError(f"step {name_of(step)} must return Right(value) or Left(failure), not {returned!r:.80}")
