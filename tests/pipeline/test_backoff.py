"""How long a retry waits: every kind of interval."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.helpers import failure
from unimicro import App, Retry, Service, VirtualClock, entry
from unimicro.errors import DefinitionError, Unavailable
from unimicro.pipeline.policy import Bound


def waits(retry: Retry, drive: Any, *pushbacks: float | None) -> list[float]:
    """The waits of a call that always fails."""
    calls: list[int] = []

    class Failing(Service):
        @entry(no_auth=True, safe=True, retry=retry)
        def get(self):
            calls.append(1)
            wait = pushbacks[len(calls) - 1] if len(calls) <= len(pushbacks) else None
            raise Unavailable("busy", retry_after=wait)

    clock = VirtualClock()
    assert failure(drive(App(Failing(), clock=clock), "failing.get")).code == "unavailable"
    assert len(calls) == len(clock.waits) + 1
    return clock.waits


def test_constant_waits_the_same_each_time(drive):
    assert waits(Retry(attempts=4, base=0.5, backoff="constant"), drive) == [0.5, 0.5, 0.5]


def test_linear_grows_by_its_increment_up_to_its_maximum(drive):
    retry = Retry(attempts=6, backoff="linear", start=1, increment=0.5, max_wait=2.25)
    assert waits(retry, drive) == [1, 1.5, 2.0, 2.25, 2.25]


def test_linear_takes_base_and_cap_for_what_is_not_said(drive):
    assert waits(Retry(attempts=5, base=1, cap=2.5, backoff="linear"), drive) == [1, 2, 2.5, 2.5]


def test_exponential_doubles_up_to_the_cap(drive):
    retry = Retry(attempts=6, base=1, cap=5, backoff="exponential")
    assert waits(retry, drive) == [1, 2, 4, 5, 5]


def test_decorrelated_draws_between_base_and_three_times_the_wait_before(drive):
    for _ in range(50):
        before = 0.1
        for wait in waits(Retry(attempts=8, base=0.1, cap=2.0, backoff="decorrelated"), drive):
            assert 0.1 <= wait <= min(2.0, 3 * before)
            before = wait


def test_decorrelated_stays_spread_at_the_cap(drive):
    drawn = waits(Retry(attempts=30, base=0.1, cap=0.2, backoff="decorrelated", budget=None), drive)
    assert 0.2 not in drawn
    assert len(set(drawn)) == 29


def test_a_function_sees_the_attempt_that_failed_and_its_failure(drive):
    seen: list[tuple[int, str]] = []

    def backoff(attempt, failed):
        seen.append((attempt, failed.code))
        return attempt * 10.0

    assert waits(Retry(attempts=3, backoff=backoff), drive) == [10, 20]
    assert seen == [(1, "unavailable"), (2, "unavailable")]


@pytest.mark.parametrize("answer", [-1, float("nan"), float("inf"), "soon", None])
def test_a_function_that_gives_no_time_is_a_failure_of_the_stage(drive, answer):
    class Failing(Service):
        @entry(no_auth=True, safe=True, retry=Retry(backoff=lambda attempt, failed: answer))
        def get(self):
            raise Unavailable("busy")

    failed = failure(drive(App(Failing(), clock=VirtualClock()), "failing.get"))
    assert (failed.code, failed.layer) == ("internal", "retry")


@pytest.mark.parametrize("kind", ["constant", "linear", "exponential", "decorrelated", lambda *_: 9.0])
def test_pushback_comes_before_every_kind(drive, kind):
    assert waits(Retry(attempts=2, backoff=kind), drive, 7.0) == [7.0]


@pytest.mark.parametrize("kind", ["full_jitter", "constant", "linear", "exponential", "decorrelated"])
def test_the_worst_case_is_above_every_run(drive, kind):
    retry = Retry(attempts=7, base=0.3, cap=2.0, backoff=kind)
    bound = retry.worst_case(Bound(1.5, 2))
    assert bound.attempts == 14
    for _ in range(30):
        assert 7 * 1.5 + sum(waits(retry, drive)) <= bound.seconds <= 7 * 1.5 + 6 * 2.0


def test_a_misspelt_kind_is_refused_with_the_nearest_one():
    with pytest.raises(DefinitionError, match=r"Retry\.backoff: 'expontial'.*did you mean 'exponential'"):
        Retry(backoff="expontial")
    with pytest.raises(DefinitionError, match=r"Retry\.backoff: 3 .*full_jitter"):
        Retry(backoff=3)


@pytest.mark.parametrize("setting", ["start", "increment", "max_wait"])
def test_settings_of_linear_are_refused_elsewhere(setting):
    with pytest.raises(DefinitionError, match=rf"Retry\.{setting}.*linear"):
        Retry(**{setting: 1.0})
    with pytest.raises(DefinitionError, match=rf"Retry\.{setting} must be above 0"):
        Retry(backoff="linear", **{setting: -1})
