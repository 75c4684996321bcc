"""The breaker against another one, interlock-cb, call by call: the same decisions where the two models agree.

Both run on one clock and get the same calls with the same ends. Compared after each step are the decision,
the state, the time until the next probe and, while closed, the window. Where the models differ on purpose,
settings and steps stay clear of it (*avoided*), the comparison leaves it out (*left out*), or a test of its
own shows it (*shown*):

1. Our wait is shortened by jitter; interlock-cb's is exact, and grows only if told to (avoided: ``jitter=0``
   here, growth by 2 there).
2. Half-open probes that do not come back open ours again after ``half_open_timeout``; interlock-cb refuses
   calls for ever (avoided in the steps, shown).
3. Every refusal of ours says when to come back; interlock-cb's only while open (left out, shown).
4. An outcome of ours can be neutral by its code: not counted, in any state. To interlock-cb it is a success
   or a failure, or, of a probe, inconclusive, and enough of those open it (avoided, shown).
5. ``metrics_only`` begins with an empty window here and keeps the old one there (left out: windows are
   compared while closed).
"""

from __future__ import annotations

from types import coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from interlock import CircuitBreaker, CircuitOpenError, Config, WindowType

from unimicro import Breaker, VirtualClock
from unimicro.outcome import Failure, Left, Right
from unimicro.pipeline.circuit import Circuit

NEVER = 1e9
ENDS = {"worked": Right(None), "failed": Left(Failure("unavailable")), "cut off": None}

SETTINGS = st.fixed_dictionaries(
    {
        "failure_rate": st.sampled_from([0.01, 0.25, 0.5, 2 / 3, 1.0]),
        "minimum_calls": st.integers(1, 8),
        "open_seconds": st.sampled_from([0.5, 3.0]),
        "max_open_seconds": st.sampled_from([3.0, 20.0]),
        "slow_call_seconds": st.sampled_from([None, 1.0]),
        "slow_call_rate": st.sampled_from([0.3, 1.0]),
        "permitted_probes": st.integers(1, 4),
        "max_concurrent_probes": st.integers(1, 4),
    }
)


class TheirClock:
    def __init__(self, clock: VirtualClock) -> None:
        self.monotonic = clock.now


class TheirCall:
    """A call through interlock-cb that stays inside until it is told how to end."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._running = breaker.call_async(self._inside)
        self._running.send(None)

    async def _inside(self) -> None:
        await told()

    def end(self, how: str) -> None:
        if how == "cut off":
            self._running.close()
        elif how == "failed":
            with pytest.raises(ConnectionError):
                self._running.throw(ConnectionError())
        else:
            with pytest.raises(StopIteration):
                self._running.send(None)


@coroutine
def told():
    yield


def both(
    clock: VirtualClock, size: int, by_time: bool, given: dict[str, Any]
) -> tuple[Circuit, CircuitBreaker]:
    """The two, set alike."""
    given = {**given, "max_concurrent_probes": min(given["max_concurrent_probes"], given["permitted_probes"])}
    if not by_time:
        given["minimum_calls"] = min(given["minimum_calls"], size)
    window = {"window_seconds": size} if by_time else {"window": size}
    ours = Breaker("c", **given, **window, jitter=0, half_open_timeout=NEVER)
    theirs = Config(
        failure_rate_threshold=ours.failure_rate,
        minimum_number_of_calls=ours.minimum_calls,
        slow_call_duration_threshold=ours.slow_call_seconds or NEVER,
        slow_call_rate_threshold=ours.slow_call_rate,
        permitted_calls_in_half_open=ours.permitted_probes,
        max_concurrent_probes=ours.max_concurrent_probes,
        wait_duration_in_open=ours.open_seconds,
        wait_duration_backoff_multiplier=2.0,
        wait_duration_in_open_max=ours.max_open_seconds,
        window_type=WindowType.TIME_BASED if by_time else WindowType.COUNT_BASED,
        window_size=size,
    )
    return Circuit("c", ours, clock), CircuitBreaker(name="c", config=theirs, clock=TheirClock(clock))


class SameCalls(RuleBasedStateMachine):
    """Every step is taken by both."""

    steps = 0

    @initialize(given=SETTINGS, size=st.integers(1, 8), by_time=st.booleans())
    def begin(self, given, size, by_time):
        self.clock = VirtualClock()
        self.ours, self.theirs = both(self.clock, size, by_time, given)
        self.running: list[tuple[Any, TheirCall]] = []

    @rule()
    def a_call_comes(self):
        SameCalls.steps += 1
        permit = self.ours.bracket.enter(None)
        if not isinstance(permit, Failure):
            self.running.append((permit, TheirCall(self.theirs)))
            return
        with pytest.raises(CircuitOpenError) as refused:
            TheirCall(self.theirs)
        if refused.value.retry_after is not None:
            assert permit.retry_after == pytest.approx(refused.value.retry_after)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["worked", "failed", "failed", "cut off"]))
    def a_call_ends(self, data, how):
        SameCalls.steps += 1
        self._end(data.draw(st.integers(0, len(self.running) - 1)), how)

    @rule(how=st.sampled_from(["worked", "failed"]), times=st.integers(1, 4))
    def short_calls(self, how, times):
        for _ in range(times):
            before = len(self.running)
            self.a_call_comes()
            if len(self.running) > before:
                self._end(-1, how)

    @rule(seconds=st.sampled_from([0.01, 0.5, 0.99, 1.0, 3.0, 7.5, 20.0]))
    def time_passes(self, seconds):
        SameCalls.steps += 1
        self.clock.advance(seconds)

    @rule(what=st.sampled_from(["reset", "reset", "force_open", "disable", "metrics_only"]))
    def somebody_forces_it(self, what):
        SameCalls.steps += 1
        getattr(self.ours, what)()
        getattr(self.theirs, what)()

    def _end(self, number: int, how: str) -> None:
        permit, call = self.running.pop(number)
        self.ours.bracket.leave(permit, ENDS[how])
        call.end(how)

    @invariant()
    def they_agree(self):
        assert self.ours.state == self.theirs.state.value
        if self.ours.state == "closed":
            theirs = self.theirs.snapshot()
            assert self.ours.tally() == (theirs.total_calls, theirs.failed_calls, theirs.slow_calls)

    def teardown(self):
        for _, call in self.running:
            call.end("cut off")


TestSameCalls = SameCalls.TestCase
TestSameCalls.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.soak
def test_for_ten_thousand_steps_and_more():
    SameCalls.steps = 0
    long = settings(
        max_examples=400,
        stateful_step_count=100,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(SameCalls, settings=long)
    assert SameCalls.steps > 10_000


# -- intended differences ----------------------------------------------------------------------

PLAIN = {
    "failure_rate": 0.5,
    "minimum_calls": 2,
    "open_seconds": 3.0,
    "max_open_seconds": 20.0,
    "slow_call_seconds": None,
    "slow_call_rate": 1.0,
    "permitted_probes": 1,
    "max_concurrent_probes": 1,
}


def half_open() -> tuple[VirtualClock, Circuit, CircuitBreaker]:
    clock = VirtualClock()
    ours, theirs = both(clock, 2, False, PLAIN)
    ours.settings = Breaker("c", **PLAIN, window=2, jitter=0, half_open_timeout=30)
    for _ in range(2):
        ours.record(ours.admit(), ENDS["failed"])
        TheirCall(theirs).end("failed")
    clock.advance(3)
    return clock, ours, theirs


def test_difference_2_a_probe_that_is_stuck():
    clock, ours, theirs = half_open()
    stuck = ours.admit(), TheirCall(theirs)
    clock.advance(30)
    assert isinstance(ours.admit(), Failure)
    with pytest.raises(CircuitOpenError):
        TheirCall(theirs)
    assert (ours.state, theirs.state) == ("open", "half_open")
    clock.advance(10_000)
    assert ours.admit()
    with pytest.raises(CircuitOpenError):
        TheirCall(theirs)
    stuck[1].end("cut off")


def test_difference_3_when_to_come_back():
    _, ours, theirs = half_open()
    probes = ours.admit(), TheirCall(theirs)
    assert ours.admit().retry_after == 3.0
    with pytest.raises(CircuitOpenError) as refused:
        TheirCall(theirs)
    assert refused.value.retry_after is None
    probes[1].end("cut off")


def test_difference_4_a_neutral_outcome():
    _, ours, theirs = half_open()
    ours.record(ours.admit(), Left(Failure("resource_exhausted")))
    TheirCall(theirs).end("failed")
    assert (ours.state, theirs.state) == ("half_open", "open")
