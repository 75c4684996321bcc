"""Whatever happens to processes that share a circuit, in whatever order: what always holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.pipeline.test_breaker_fleet import Process, Store, perform
from unimicro import VirtualClock
from unimicro.invocation import IN_PROCESS, Invocation
from unimicro.outcome import Failure, Left, Right

PROCESSES = st.integers(0, 2)
WORKED, FAILED, BUSY = Right(None), Left(Failure("internal")), Left(Failure("resource_exhausted"))
LEASE = 30.0


def end(steps: Any, outcome: Any) -> None:
    """The call comes back with that outcome, and so does the stage."""
    with pytest.raises(StopIteration) as stopped:
        perform(steps, steps.send(outcome))
    assert stopped.value.value is outcome


class Sharing(RuleBasedStateMachine):
    """Three processes and a store that always answers."""

    permitted_probes = 1

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.store = Store()
        self.processes = [
            Process(self.store, self.clock, permitted_probes=self.permitted_probes) for _ in range(3)
        ]
        self.calls: list[tuple[Any, bool, float]] = []  # steps, is it a probe, since when

    @rule(number=PROCESSES)
    def a_call_begins(self, number):
        process = self.processes[number]
        stage = next(stage for stage in process.app.stages_of("worker.get") if stage.name == "breaker")
        steps = stage.run(Invocation("worker.get", principal=IN_PROCESS, id="test"))
        try:
            assert isinstance(perform(steps, next(steps)), Invocation)
        except StopIteration as stop:
            refusal = stop.value.monoid[0]
            assert (refusal.code, refusal.layer) == ("unavailable", "breaker")
            assert refusal.retry_after is not None
            assert process.circuit.state != "closed"
            return
        self.calls.append((steps, process.circuit.state == "half_open", self.clock.now()))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), outcome=st.sampled_from([WORKED, WORKED, FAILED, FAILED, FAILED, BUSY, None]))
    def a_call_ends(self, data, outcome):
        steps, _, _ = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        if outcome is None:
            steps.close()
        else:
            end(steps, outcome)

    @rule(number=PROCESSES, outcome=st.sampled_from([WORKED, FAILED]))
    def several_calls_end_alike(self, number, outcome):
        for _ in range(4):
            before = len(self.calls)
            self.a_call_begins(number)
            if len(self.calls) > before:
                end(self.calls.pop()[0], outcome)

    @rule(number=PROCESSES, first=PROCESSES, second=PROCESSES)
    def it_opens_and_two_come_when_the_wait_is_over(self, number, first, second):
        self.several_calls_end_alike(number, FAILED)
        self.clock.advance(max(0.5, self.processes[number].circuit.retry_after() - 0.5))
        for knowing in (first, second):
            self.several_calls_end_alike(knowing, FAILED)
        self.clock.advance(0.5)  # less than the refresh interval: they do not read before they ask
        self.a_call_begins(first)
        self.a_call_begins(second)

    @rule(seconds=st.sampled_from([0.1, 1.0, 1.0, 5.0, 10.0, 31.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def versions_count_the_writes(self):
        record = self.store.record
        assert self.store.writes == (0 if record is None else record.version)

    @invariant()
    def only_one_probes_within_its_lease(self):
        young = [since for _, probe, since in self.calls if probe and self.clock.now() - since < LEASE / 2]
        assert len(young) <= 1

    def teardown(self):
        """Left alone for a while, all agree."""
        self.store.out = False
        for steps, _, _ in self.calls:
            steps.close()
        for _ in range(4):
            self.clock.advance(6)
            for number in range(3):
                self.several_calls_end_alike(number, WORKED)
        self.clock.advance(200)
        for _ in range(2):
            for number in range(3):
                self.several_calls_end_alike(number, WORKED)
            self.clock.advance(6)
        assert {process.circuit.state for process in self.processes} == {"closed"}
        assert self.store.record is None or self.store.record.state == "closed"


class SharingByRounds(Sharing):
    """With several probes in a row."""

    permitted_probes = 3


class Outages(Sharing):
    """The store can be out, lose answers, and be emptied."""

    @rule(out=st.booleans())
    def the_store_goes_or_comes(self, out):
        self.store.out = out

    @rule(loses=st.booleans())
    def its_answers_are_lost_or_not(self, loses):
        self.store.loses_answers = loses

    @rule()
    def it_is_emptied(self):
        self.store._records.clear()
        self.store.writes = 0

    @rule(number=PROCESSES, force=st.sampled_from(["force_open", "disable", "metrics_only", "reset"]))
    def somebody_forces_it(self, number, force):
        getattr(self.processes[number].circuit, force)()

    @invariant()
    def only_one_probes_within_its_lease(self):
        """Not without a store that answers."""

    def teardown(self):
        self.store.loses_answers = False
        for process in self.processes:
            process.circuit.reset()
        super().teardown()


STEPS = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSharing = Sharing.TestCase
TestSharing.settings = STEPS
TestSharingByRounds = SharingByRounds.TestCase
TestSharingByRounds.settings = STEPS
TestOutages = Outages.TestCase
TestOutages.settings = STEPS
