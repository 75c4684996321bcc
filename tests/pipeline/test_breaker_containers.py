"""Hundreds of containers and one dependency that goes down: a simulation on the virtual clock."""

from __future__ import annotations

import heapq
from itertools import count, pairwise
from random import Random
from typing import Any

import pytest

from tests.pipeline.test_breaker_fleet import Process, Store, perform
from unimicro import VirtualClock
from unimicro.invocation import IN_PROCESS, Invocation
from unimicro.outcome import Failure, Left, Right

CONTAINERS = 500
DOWN_FROM, DOWN_UNTIL, END = 20.0, 140.0, 240.0
PERIOD = 2.0  # seconds between two calls of a container
REFRESH = 4.0  # longer, so that many ask for a lease without having read that another has it
TAKES = 0.3  # seconds of a call
WORKED, FAILED = Right(None), Left(Failure("unavailable"))


class Simulation:
    """Calls that overlap: the stage of each breaker is stepped through by a queue of events.

    Attributes:
        reached: When calls reached the dependency.
        probes: When those among them that were probes did.
        most_probes: The most of them at a time, over all containers.
        healthy: Writes to the store, done and refused, before it went down.
    """

    def __init__(self, seed: int, *, shared: bool = True, containers: int = CONTAINERS) -> None:
        self.random = Random(seed)
        self.clock = VirtualClock(start=0.0)
        self.store = Store()
        self.containers = [self._container(shared) for _ in range(containers)]
        self.events: list[tuple[float, int, Any]] = []
        self.numbers = count()
        self.reached: list[float] = []
        self.probes: list[float] = []
        self.probing = self.most_probes = 0

    def _container(self, shared: bool) -> Process:
        store = self.store if shared else Store()
        return Process(store, self.clock, jitter=0.2, max_open_seconds=80, refresh=REFRESH)

    def at(self, time: float, what: Any) -> None:
        heapq.heappush(self.events, (time, next(self.numbers), what))

    def run(self) -> None:
        for container in self.containers:
            stage = next(s for s in container.app.stages_of("worker.get") if s.name == "breaker")
            invocation = Invocation("worker.get", principal=IN_PROCESS, id="test")
            self._call_later(container, lambda stage=stage, inv=invocation: stage.run(inv), PERIOD)
        while self.events and self.events[0][0] < END:
            time, _, what = heapq.heappop(self.events)
            self.clock.advance(time - self.clock.now())
            what()

    def note_what_was_healthy(self) -> None:
        self.healthy = (self.store.writes, self.store.refused_writes)

    def _call_later(self, container: Process, steps: Any, within: float) -> None:
        wait = self.random.uniform(0.5, 1.5) * within
        self.at(self.clock.now() + wait, lambda: self._call(container, steps))

    def _call(self, container: Process, make: Any) -> None:
        self._call_later(container, make, PERIOD)
        now, steps = self.clock.now(), make()
        try:
            assert isinstance(perform(steps, next(steps)), Invocation)
        except StopIteration:
            return
        self.reached.append(now)
        probe = container.circuit.state == "half_open"
        if probe:
            self.probes.append(now)
            self.probing += 1
            self.most_probes = max(self.most_probes, self.probing)
        outcome = FAILED if DOWN_FROM <= now < DOWN_UNTIL else WORKED
        self.at(now + TAKES, lambda: self._end(steps, outcome, probe))

    def _end(self, steps: Any, outcome: Any, probe: bool) -> None:
        self.probing -= probe
        with pytest.raises(StopIteration):
            perform(steps, steps.send(outcome))

    def reached_between(self, begin: float, end: float) -> int:
        return sum(begin <= time < end for time in self.reached)


@pytest.fixture(scope="module")
def fleet():
    simulation = Simulation(seed=1)
    simulation.at(DOWN_FROM, simulation.note_what_was_healthy)
    simulation.run()
    return simulation


def test_nothing_is_written_before_it_goes_down(fleet):
    assert fleet.healthy == (0, 0)
    assert fleet.reached_between(0, DOWN_FROM) > 4000


def test_one_of_them_probes_at_a_time(fleet):
    assert fleet.most_probes == 1


def test_they_back_off_together(fleet):
    failing = [time for time in fleet.probes if time < DOWN_UNTIL]
    # 10, 20, 40, 80 seconds, each shortened by at most a fifth: for all of them together.
    assert 3 <= len(failing) <= 5
    gaps = [later - earlier for earlier, later in pairwise(failing)]
    assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps))
    # Once all know, the probes are all that the dependency sees.
    known = failing[0]
    assert fleet.reached_between(known, DOWN_UNTIL) == len(failing)


def test_alone_each_of_them_would_have_probed(fleet):
    alone = Simulation(seed=1, shared=False, containers=50)
    alone.run()
    assert len([time for time in alone.probes if time < DOWN_UNTIL]) > 50


def test_they_are_all_back_once_one_of_them_got_through(fleet):
    closed = fleet.probes[-1] + TAKES
    assert DOWN_UNTIL <= fleet.probes[-1] < DOWN_UNTIL + 80
    assert {container.circuit.state for container in fleet.containers} == {"closed"}
    # Each asks the store at its next call after the refresh interval, and lets that call pass.
    settled = closed + REFRESH + 1.5 * PERIOD
    assert fleet.reached_between(settled, END) > 0.9 * CONTAINERS * (END - settled - PERIOD) / PERIOD


def test_the_store_has_seen_transitions_only(fleet):
    # One opening, then for each probe: half open, and open again or closed.
    assert fleet.store.writes == fleet.store.record.version == 1 + 2 * len(fleet.probes)
    assert fleet.store.reads < 2 * CONTAINERS * END / REFRESH
