"""Every state of a circuit, and what becomes of it by everything that can happen."""

from __future__ import annotations

import pytest

from unimicro import Breaker, VirtualClock
from unimicro.outcome import Failure, Left, Right
from unimicro.pipeline.circuit import Circuit
from unimicro.pipeline.listeners import Listeners
from unimicro.pipeline.machine import State

WORKED = Right(None)
FAILED = Left(Failure("unavailable"))
BUSY = Left(Failure("resource_exhausted"))
SETTINGS = Breaker(
    "c", window=2, minimum_calls=2, open_seconds=10, jitter=0, half_open_timeout=30, slow_call_seconds=5
)


class Rig:
    """A circuit brought into a state, and what can happen to it."""

    def __init__(self, state: str, settings: Breaker = SETTINGS) -> None:
        self.clock = VirtualClock()
        self.told = []
        self.circuit = Circuit("c", settings, self.clock, Listeners([self]))
        getattr(self, f"bring_to_{state}")()
        assert self.circuit.state == state
        self.told.clear()

    def on_transition(self, transition):
        self.told.append((transition.before, transition.after))

    def bring_to_closed(self):
        pass

    def bring_to_open(self):
        for _ in range(2):
            self.circuit.record(self.circuit.admit(), FAILED)

    def bring_to_half_open(self):
        self.bring_to_open()
        self.clock.advance(10)
        self.permit = self.circuit.admit()

    def bring_to_disabled(self):
        self.circuit.disable()

    def bring_to_metrics_only(self):
        self.circuit.metrics_only()

    def bring_to_forced_open(self):
        self.circuit.force_open()

    # -- what can happen

    def passes(self) -> bool:
        return not isinstance(self.circuit.admit(), Failure)

    def passes_after_the_wait(self) -> bool:
        self.clock.advance(10)
        return self.passes()

    def passes_after_the_timeout(self) -> bool:
        self.clock.advance(30)
        return self.passes()

    def ends(self, outcome, seconds=0.0) -> None:
        """Calls that were let in now, or the probe that is out, end like that."""
        for _ in range(2):
            permit = getattr(self, "permit", None) or self.circuit.admit()
            if not isinstance(permit, Failure):
                self.circuit.finish(permit, outcome, seconds)

    def happens(self, event: str) -> None:
        circuit, later = self.circuit, self.clock.now() + 7
        {
            "success": lambda: self.ends(WORKED),
            "failure": lambda: self.ends(FAILED),
            "neutral": lambda: self.ends(BUSY),
            "cut off": lambda: self.ends(None),
            "slow": lambda: self.ends(WORKED, 5.0),
            "call": self.passes,
            "call after the wait": self.passes_after_the_wait,
            "call after the timeout": self.passes_after_the_timeout,
            "reset": circuit.reset,
            "force_open": circuit.force_open,
            "disable": circuit.disable,
            "metrics_only": circuit.metrics_only,
            "others closed it": lambda: circuit.follow("closed", 0.0, 0),
            "others opened it": lambda: circuit.follow("open", later, 1),
            "others probe": lambda: circuit.follow("half_open", later, 1),
            "others forced it": lambda: circuit.follow("forced_open", 0.0, 0),
        }[event]()


# One row an event; for each state the one that it leads to, in the order of the head.
STATES = ("closed", "open", "half_open", "disabled", "metrics_only", "forced_open")
TABLE = {
    "success": ("closed", "open", "closed", "disabled", "metrics_only", "forced_open"),
    "failure": ("open", "open", "open", "disabled", "metrics_only", "forced_open"),
    "neutral": ("closed", "open", "half_open", "disabled", "metrics_only", "forced_open"),
    "cut off": ("closed", "open", "half_open", "disabled", "metrics_only", "forced_open"),
    "slow": ("open", "open", "open", "disabled", "metrics_only", "forced_open"),
    "call": ("closed", "open", "half_open", "disabled", "metrics_only", "forced_open"),
    "call after the wait": ("closed", "half_open", "half_open", "disabled", "metrics_only", "forced_open"),
    "call after the timeout": ("closed", "half_open", "open", "disabled", "metrics_only", "forced_open"),
    "reset": ("closed",) * 6,
    "force_open": ("forced_open",) * 6,
    "disable": ("disabled",) * 6,
    "metrics_only": ("metrics_only",) * 6,
    "others closed it": ("closed", "closed", "closed", "disabled", "metrics_only", "closed"),
    "others opened it": ("open", "open", "open", "disabled", "metrics_only", "open"),
    "others probe": ("half_open", "half_open", "half_open", "disabled", "metrics_only", "half_open"),
    "others forced it": (
        "forced_open",
        "forced_open",
        "forced_open",
        "disabled",
        "metrics_only",
        "forced_open",
    ),
}
CELLS = [(state, event, row[number]) for event, row in TABLE.items() for number, state in enumerate(STATES)]


@pytest.mark.parametrize(("state", "event", "after"), CELLS, ids=lambda cell: cell.replace(" ", "_"))
def test_the_table_of_states(state, event, after):
    rig = Rig(state)
    rig.happens(event)
    assert rig.circuit.state == after
    assert rig.told == ([] if state == after else [(state, after)])


def test_the_table_has_all_states():
    assert set(STATES) == set(State.__args__)


@pytest.mark.parametrize(
    ("state", "now", "after_the_wait"),
    [
        ("closed", True, True),
        ("open", False, True),
        ("half_open", False, False),
        ("disabled", True, True),
        ("metrics_only", True, True),
        ("forced_open", False, False),
    ],
)
def test_who_lets_calls_pass(state, now, after_the_wait):
    assert Rig(state).passes() == now
    assert Rig(state).passes_after_the_wait() == after_the_wait


@pytest.mark.parametrize(("state", "wait"), [("open", 10), ("half_open", 10), ("forced_open", 10)])
def test_every_refusal_says_when_to_come_back(state, wait):
    refusal = Rig(state).circuit.admit()
    assert (refusal.code, refusal.layer, refusal.policy) == ("unavailable", "breaker", "c")
    assert refusal.retry_after == wait


def test_a_half_open_circuit_says_the_end_of_its_patience_when_that_comes_first():
    rig = Rig("half_open")
    rig.clock.advance(24)
    assert rig.circuit.admit().retry_after == 6


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("outcome", [WORKED, FAILED, BUSY, None])
def test_an_outcome_of_an_older_state_is_ignored(state, outcome):
    rig = Rig("closed")
    old = rig.circuit.admit()
    getattr(rig, f"bring_to_{state}")() if state != "closed" else rig.circuit.reset()
    before = (rig.circuit.view(), rig.circuit.tally())
    for _ in range(3):
        rig.circuit.record(old, outcome)
    assert (rig.circuit.view(), rig.circuit.tally()) == before


@pytest.mark.parametrize(("state", "counted"), [("disabled", (0, 0, 0)), ("metrics_only", (2, 2, 0))])
def test_what_is_counted_while_it_never_opens(state, counted):
    rig = Rig(state)
    rig.ends(FAILED)
    assert rig.circuit.tally() == counted


def test_a_late_outcome_of_a_stuck_probe_is_ignored():
    rig = Rig("half_open")
    assert not rig.passes_after_the_timeout()
    rig.circuit.record(rig.permit, WORKED)
    assert rig.circuit.state == "open"


def test_a_stuck_probe_doubles_the_wait():
    rig = Rig("half_open")
    assert not rig.passes_after_the_timeout()
    assert rig.circuit.retry_after() == 20


def test_half_open_is_not_stuck_while_a_place_is_free():
    rig = Rig("half_open")
    rig.circuit.record(rig.permit, None)
    assert rig.passes_after_the_timeout()
    assert rig.circuit.state == "half_open"


MANY = Breaker(
    "c",
    window=2,
    minimum_calls=2,
    open_seconds=10,
    jitter=0,
    failure_rate=0.5,
    permitted_probes=4,
    max_concurrent_probes=2,
)


def test_as_many_probes_as_permitted_and_only_so_many_at_a_time():
    rig = Rig("half_open", MANY)
    second = rig.circuit.admit()
    assert not rig.passes()
    rig.circuit.record(rig.permit, WORKED)
    third = rig.circuit.admit()
    assert not rig.passes()
    rig.circuit.record(second, WORKED)
    fourth = rig.circuit.admit()
    rig.circuit.record(third, WORKED)
    # A place is free, but all four are out.
    assert not rig.passes()
    assert rig.circuit.state == "half_open"
    rig.circuit.record(fourth, FAILED)
    assert rig.circuit.state == "closed"


@pytest.mark.parametrize(("failures", "after"), [(1, "closed"), (2, "open"), (4, "open")])
def test_the_rate_of_the_probes_decides_when_all_are_recorded(failures, after):
    rig = Rig("half_open", MANY)
    for number in range(4):
        assert rig.circuit.state == "half_open"
        rig.circuit.record(rig.permit, FAILED if number < failures else WORKED)
        rig.permit = rig.circuit.admit()
    assert rig.circuit.state == after
