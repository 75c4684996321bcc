"""``pipeline``, ``apipeline`` and ``lift``: the laws, the short cut, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functional.conftest import COLOURS
from unimicro import App, Failure, Left, Right, Service, entry
from unimicro.errors import DefinitionError
from unimicro.functional import apipeline, lift, pipeline


def arrow(plus: int, refused: int):
    """An arrow that adds, and refuses every so manyth number."""

    def step(value: int) -> Any:
        if value % refused == 0:
            return Left(Failure("out_of_range", f"{value} of {refused}"))
        return Right(value + plus)

    return step


def composed(of, *steps, **options):
    """The pipeline of one colour."""
    return (pipeline if of.__name__ == "Sync" else apipeline)(*steps, **options)


ARROWS = st.builds(arrow, st.integers(-9, 9), st.integers(2, 5))
NUMBERS = st.integers(-99, 99)
COLOUR = st.sampled_from(COLOURS)
LAW = settings(max_examples=60, deadline=None)


@LAW
@given(ARROWS, NUMBERS, COLOUR)
def test_right_is_the_identity_on_both_sides(f, x, of):
    coloured, unit = of.colour(f), of.colour(Right)
    assert of.run(composed(of, unit, coloured)(x)) == f(x)
    assert of.run(composed(of, coloured, unit)(x)) == f(x)
    assert of.run(composed(of, coloured)(x)) == f(x)


@LAW
@given(ARROWS, ARROWS, ARROWS, NUMBERS, COLOUR)
def test_it_makes_no_difference_how_steps_are_grouped(f, g, h, x, of):
    f_, g_, h_ = map(of.colour, (f, g, h))
    flat = of.run(composed(of, f_, g_, h_)(x))
    assert flat == f(x).then(g).then(h)
    assert flat == of.run(composed(of, composed(of, f_, g_), h_)(x))
    assert flat == of.run(composed(of, f_, composed(of, g_, h_))(x))


@LAW
@given(st.lists(st.tuples(ARROWS, COLOUR), min_size=1, max_size=6), NUMBERS)
def test_an_async_pipeline_takes_steps_of_both_colours(steps, x):
    mixed = apipeline(*(of.colour(step) for step, of in steps))
    assert COLOURS[1].run(mixed(x)) == pipeline(*(step for step, _ in steps))(x)


@LAW
@given(st.integers(0, 5), NUMBERS, COLOUR)
def test_after_the_first_left_nothing_is_called(failing, x, of):
    called = []

    def step(number):
        def run(value):
            called.append(number)
            return Left(Failure("aborted", str(number))) if number == failing else Right(value)

        return of.colour(run)

    assert of.run(composed(of, *map(step, range(6)))(x)) == Left(Failure("aborted", str(failing)))
    assert called == list(range(failing + 1))


def test_the_responder_gets_either(of):
    respond = of.colour(lambda outcome: outcome.either(lambda failure: failure.status, lambda value: value))
    answer = composed(of, of.colour(arrow(1, 5)), lift(float), respond=respond)
    assert of.run(answer(1)) == 2.0
    assert of.run(answer(5)) == 400


def test_a_sync_responder_answers_for_async_steps():
    async def step(value):
        return Right(value)

    assert asyncio.run(apipeline(step, respond=repr)(1)) == "Right 1"


def test_a_lifted_function_is_a_step(of):
    double = lift(of.colour(lambda value: value * 2))
    assert of.run(composed(of, double, double)(3)) == Right(12)
    assert of.run(lift(of.colour(lambda: Right(1)))()) == Right(1)


def test_what_a_step_raises_propagates(of):
    def broken(_):
        raise LookupError("gone")

    with pytest.raises(LookupError):
        of.run(composed(of, lift(of.colour(broken)))(1))
    with pytest.raises(LookupError):
        of.run(composed(of, of.colour(broken), respond=lambda _: 1)(1))


def test_a_step_that_returns_no_outcome_is_named(of):
    def forgetful(value):
        return value

    with pytest.raises(TypeError, match=r"forgetful must return Right\(value\) or Left\(failure\), not 1"):
        of.run(composed(of, of.colour(forgetful), of.colour(Right))(1))


def test_a_step_that_hides_a_coroutine_is_named(of):
    async def later(value):
        return Right(value)

    def hiding(value):
        return later(value)

    with pytest.raises(TypeError, match="hiding returned a coroutine"):
        of.run(composed(of, hiding, of.colour(Right))(1))


def test_results_go_on_as_pymonad_has_it():
    assert pipeline(arrow(1, 5))(1).then(lambda value: value * 10) == Right(20)


def test_a_composed_pipeline_says_what_it_is_made_of():
    def first(value):
        return Right(value)

    name = pipeline(first, arrow(1, 2)).__name__
    assert name.startswith("pipeline(test_a_composed_pipeline")
    assert "arrow.<locals>.step" in name


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        ((), {}),
        ((Right, 3), {}),
        ((Right, lambda _: (yield)), {}),
        ((Right,), {"respond": 3}),
    ],
    ids=["none", "number", "generator", "respond"],
)
def test_what_cannot_be_a_pipeline_is_refused(steps, options):
    for kind in (pipeline, apipeline):
        with pytest.raises(DefinitionError):
            kind(*steps, **options)


async def slow(inv):
    return Right(inv)


def test_an_async_step_of_a_sync_pipeline_is_refused():
    with pytest.raises(DefinitionError, match="slow is async"):
        pipeline(Right, slow)
    with pytest.raises(DefinitionError, match="slow is async"):
        pipeline(Right, respond=slow)


def few(inv):
    return Right(inv) if inv.arguments["x"] < 5 else Left(Failure("out_of_range", "few"))


def even(inv):
    return Left(Failure("out_of_range", "even")) if inv.arguments["x"] % 2 else Right(inv)


class Counted(Service):
    @entry(no_auth=True, stages=[pipeline(few, even)])
    def get(self, x: int) -> int:
        return x


def test_guards_of_an_app_compose_to_a_guard():
    app = App(Counted())
    assert app.call("counted.get", 2) == Right(2)
    assert app.call("counted.get", 3).monoid[0].message == "even"
    assert app.call("counted.get", 6).monoid[0].message == "few"


def test_an_async_pipeline_is_no_guard():
    class Waiting(Service):
        @entry(no_auth=True, stages=[apipeline(few, slow)])
        def get(self, x: int) -> int:
            return x

    with pytest.raises(DefinitionError, match="async"):
        App(Waiting())
