"""What can be set on a breaker, and what it does then."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from unimicro import App, Breaker, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, DefinitionError, NotFound, Unavailable
from unimicro.outcome import Failure, Left
from unimicro.pipeline.circuit import Circuit
from unimicro.pipeline.listeners import Listeners, Transition
from unimicro.pipeline.policy import Bound


class Dial(Service):
    """Each call takes ``seconds`` and raises ``error``."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 0.0
        self.error: Exception | None = None
        self.calls = 0

    @entry(no_auth=True)
    def get(self):
        self.calls += 1
        self.clock.advance(self.seconds)
        if self.error is not None:
            raise self.error


class Rig:
    """An app with one entry behind one breaker."""

    def __init__(self, drive: Any, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.dial = Dial(self.clock)
        self.told: list[Transition] = []
        self.hear = self.told.append
        settings = {"window": 4, "minimum_calls": 4, "open_seconds": 10, "jitter": 0, **settings}
        self.app = App(self.dial, clock=self.clock, policies=[Breaker("dial", **settings)], listeners=[self])
        self.circuit = self.app.circuit("dial")
        self._drive = drive

    def on_transition(self, transition):
        self.hear(transition)

    def calls(self, count: int = 1, *, seconds: float = 0.0, error: Exception | None = None) -> str:
        """Make calls; ``.`` for one that reached the service, ``-`` for a refused one."""
        self.dial.seconds, self.dial.error = seconds, error
        marks = ""
        for _ in range(count):
            before = self.dial.calls
            self._drive(self.app, "dial.get")
            marks += "." if self.dial.calls > before else "-"
        return marks


DOWN = Unavailable("down")


@pytest.mark.parametrize(("rate", "failures"), [(0.07, 7), (0.29, 29), (1.0, 100)])
def test_exactly_the_rate_opens_it(drive, rate, failures):
    rig = Rig(drive, window=100, minimum_calls=100, failure_rate=rate)
    rig.calls(100 - failures)
    assert rig.calls(failures - 1, error=DOWN) == "." * (failures - 1)
    assert rig.circuit.state == "closed"
    rig.calls(1, error=DOWN)
    assert rig.circuit.state == "open"


class TestSlowCalls:
    def test_enough_of_them_open_it_though_they_succeed(self, drive):
        rig = Rig(drive, slow_call_seconds=2, slow_call_rate=0.75)
        assert rig.calls(2, seconds=2) == ".."
        assert rig.calls(1, seconds=1.9) == "."
        assert rig.calls(2, seconds=3) == ".-"
        assert rig.told[-1].reason == "3 of 4 calls were slow"

    def test_fewer_do_not(self, drive):
        rig = Rig(drive, slow_call_seconds=2, slow_call_rate=0.75)
        assert rig.calls(2, seconds=2) + rig.calls(2) + rig.calls(2, seconds=2) == "......"

    def test_without_the_setting_none_is_slow(self, drive):
        assert Rig(drive).calls(9, seconds=1000) == "." * 9

    def test_a_slow_probe_opens_it_again(self, drive):
        rig = Rig(drive, slow_call_seconds=2)
        rig.calls(4, seconds=5)
        rig.clock.advance(10)
        assert rig.calls(2, seconds=5) == ".-"
        rig.clock.advance(20)
        assert rig.calls(2) == ".."

    def test_a_healthy_circuit_notices_when_calls_become_slow(self, drive):
        rig = Rig(drive, slow_call_seconds=2)
        rig.calls(20)
        assert rig.calls(3, seconds=2) == "..-"


class TestTimeWindow:
    def test_what_is_older_is_forgotten(self, drive):
        rig = Rig(drive, window_seconds=10, minimum_calls=4)
        rig.calls(3, error=DOWN)
        rig.clock.advance(10)
        assert rig.calls(4, error=DOWN) == "...."
        assert rig.calls() == "-"

    def test_it_holds_any_number_of_calls(self, drive):
        rig = Rig(drive, window_seconds=10, minimum_calls=60)
        rig.calls(59)
        assert rig.calls(59, error=DOWN) == "." * 59
        assert rig.circuit.state == "open"

    def test_successes_that_leave_it_make_the_rate_worse(self, drive):
        rig = Rig(drive, window_seconds=10, minimum_calls=4)
        rig.calls(5)
        rig.clock.advance(9)
        rig.calls(4, error=DOWN)
        assert rig.circuit.state == "closed"
        rig.clock.advance(1)
        rig.calls()
        assert rig.circuit.state == "open"


def test_jitter_shortens_the_wait_at_most_by_its_share(drive):
    waits = set()
    for _ in range(20):
        rig = Rig(drive, jitter=0.25)
        rig.calls(4, error=DOWN)
        waits.add(rig.circuit.retry_after())
        assert 7.5 <= rig.circuit.retry_after() <= 10
    assert len(waits) > 10


def test_the_wait_stays_a_number_after_very_many_openings(drive):
    rig = Rig(drive, max_open_seconds=40)
    rig.calls(4, error=DOWN)
    for _ in range(1100):
        rig.clock.advance(40)
        assert rig.calls(1, error=DOWN) == "."
    assert rig.circuit.retry_after() == 40


class TestClassification:
    def test_counts_overrides_the_table(self, drive):
        kinds = {"not_found": "failure", "unavailable": "neutral", "internal": "success"}
        rig = Rig(drive, counts=lambda failure: kinds[failure.code])
        assert rig.calls(9, error=DOWN) == "." * 9
        assert rig.circuit.tally() == (0, 0, 0)
        assert rig.calls(2, error=RuntimeError()) == ".."
        assert rig.calls(3, error=NotFound("no")) == "..-"

    @pytest.mark.parametrize("wrong", [lambda failure: 1 / 0, lambda failure: True])
    def test_one_that_is_wrong_is_logged_and_the_table_holds(self, drive, wrong, caplog):
        rig = Rig(drive, counts=wrong)
        with caplog.at_level(logging.ERROR, "unimicro"):
            assert rig.calls(5, error=DOWN) == "....-"
        assert "circuit dial: counts" in caplog.text

    def test_one_that_forces_the_circuit_makes_its_own_outcome_old(self, drive):
        def counts(failed):
            rig.circuit.reset()
            return "failure"

        rig = Rig(drive, window=1, minimum_calls=1, counts=counts)
        assert rig.calls(3, error=DOWN) == "..."

    def test_a_probe_comes_back_though_it_is_wrong(self, drive):
        rig = Rig(drive, counts=lambda failure: 1 / 0)
        rig.calls(4, error=DOWN)
        rig.clock.advance(10)
        assert rig.calls(2, error=DOWN) == ".-"


class TestForced:
    def test_a_disabled_circuit_lets_all_pass_and_counts_nothing(self, drive):
        rig = Rig(drive, initial="disabled")
        assert rig.calls(9, error=DOWN) == "." * 9
        assert rig.circuit.tally() == (0, 0, 0)

    def test_metrics_only_counts_and_never_opens(self, drive):
        rig = Rig(drive, initial="metrics_only")
        assert rig.calls(9, error=DOWN) == "." * 9
        assert rig.circuit.tally() == (4, 4, 0)

    def test_forced_open_refuses_all_until_reset(self, drive):
        rig = Rig(drive, initial="forced_open")
        rig.clock.advance(1e6)
        assert rig.calls(3) == "---"
        rig.circuit.reset()
        assert rig.calls(3) == "..."

    def test_each_can_be_said_while_it_runs(self, drive):
        rig = Rig(drive)
        rig.calls(4, error=DOWN)
        rig.circuit.disable()
        assert rig.calls(2) == ".."
        rig.circuit.force_open()
        assert rig.calls(2) == "--"
        rig.circuit.metrics_only()
        assert rig.calls(2) == ".."
        rig.circuit.reset()
        assert rig.calls(5, error=DOWN) == "....-"

    def test_a_reset_forgets_how_often_it_opened(self, drive):
        rig = Rig(drive)
        rig.calls(4, error=DOWN)
        rig.clock.advance(10)
        rig.calls(1, error=DOWN)
        rig.circuit.reset()
        rig.calls(4, error=DOWN)
        assert rig.circuit.retry_after() == 10

    def test_an_unknown_circuit_is_refused_with_the_nearest(self, drive):
        rig = Rig(drive)
        with pytest.raises(ConfigurationError, match="no circuit 'diel'; did you mean 'dial'"):
            rig.app.circuit("diel")


class TestListeners:
    def test_they_hear_of_every_transition(self, drive):
        rig = Rig(drive)
        rig.calls(4, error=DOWN)
        rig.clock.advance(10)
        rig.calls(1)
        rig.circuit.force_open()
        assert rig.told == [
            Transition("dial", "closed", "open", "4 of 4 calls failed", 10.0),
            Transition("dial", "open", "half_open", "the wait is over"),
            Transition("dial", "half_open", "closed", "0 of 1 probes failed"),
            Transition("dial", "closed", "forced_open", "forced"),
        ]

    def test_one_may_ask_and_force_the_circuit(self, drive):
        """A lock that were held meanwhile would never be got."""
        rig = Rig(drive)
        heard = []

        def hear(transition):
            heard.append((transition.after, rig.circuit.tally().calls))
            if transition.after == "open":
                rig.circuit.reset()
                assert rig.circuit.admit()

        rig.hear = hear
        rig.calls(4, error=DOWN)
        assert heard == [("open", 4), ("closed", 0)]

    def test_all_hear_in_the_order_of_the_transitions(self):
        heard = []

        class Resetting:
            def on_transition(self, transition):
                if transition.after == "open":
                    circuit.reset()

        class Hearing:
            def on_transition(self, transition):
                heard.append(transition.after)

        settings = Breaker("c", window=1, minimum_calls=1)
        circuit = Circuit("c", settings, VirtualClock(), Listeners([Resetting(), Hearing()]))
        circuit.record(circuit.admit(), Left(Failure("internal")))
        assert heard == ["open", "closed"]

    def test_a_transition_to_the_same_state_is_none(self, drive):
        rig = Rig(drive)
        rig.circuit.reset()
        rig.circuit.force_open()
        rig.circuit.force_open()
        assert [transition.after for transition in rig.told] == ["forced_open"]


def test_in_shadow_mode_it_decides_and_lets_all_pass(drive):
    rig = Rig(drive, mode="shadow")
    assert rig.calls(9, error=DOWN) == "." * 9
    assert rig.circuit.state == "open"
    assert rig.app.listeners.shadowed["dial.get", "breaker"] == 5


WRONG = [
    ("failure_rate", {"failure_rate": -0.1}),
    ("failure_rate", {"failure_rate": 1.01}),
    ("failure_rate", {"failure_rate": float("nan")}),
    ("slow_call_rate", {"slow_call_rate": 2}),
    ("slow_call_seconds", {"slow_call_seconds": 0}),
    ("window", {"window": 0}),
    ("window_seconds", {"window_seconds": 1.5}),
    ("window_seconds", {"window_seconds": 0}),
    ("minimum_calls", {"minimum_calls": 21}),
    ("minimum_calls", {"minimum_calls": True}),
    ("open_seconds", {"open_seconds": -1}),
    ("open_seconds", {"open_seconds": float("inf"), "max_open_seconds": float("inf")}),
    ("max_open_seconds", {"open_seconds": 61}),
    ("jitter", {"jitter": 1}),
    ("jitter", {"jitter": -0.1}),
    ("jitter", {"jitter": "0.1"}),
    ("jitter", {"jitter": False}),
    ("circuit", {"circuit": 5}),
    ("circuit", {"circuit": None}),
    ("window", {"window": 10**13}),
    ("window_seconds", {"window_seconds": 10**13}),
    ("open_seconds", {"open_seconds": 10**400}),
    ("max_open_seconds", {"max_open_seconds": 1e300}),
    ("half_open_timeout", {"half_open_timeout": 10**400}),
    ("slow_call_seconds", {"slow_call_seconds": float("inf")}),
    ("failure_rate", {"failure_rate": 10**400}),
    ("store_timeout", {"store_timeout": 1e300}),
    ("permitted_probes", {"permitted_probes": 0}),
    ("max_concurrent_probes", {"max_concurrent_probes": 2}),
    ("half_open_timeout", {"half_open_timeout": 0}),
    ("initial", {"initial": "open"}),
    ("initial", {"initial": "metrics_only", "store": "memory"}),
    ("counts", {"counts": "failure"}),
    ("refresh", {"refresh": 0}),
    ("store_timeout", {"store_timeout": -1}),
]


@pytest.mark.parametrize(("setting", "given"), WRONG, ids=str)
def test_an_impossible_setting_is_refused_by_name(setting, given):
    with pytest.raises(DefinitionError, match=rf"^Breaker\.{setting}\b"):
        Breaker(**given)


def test_a_time_window_may_ask_for_more_calls_than_the_other_window_holds():
    assert Breaker(window_seconds=60, minimum_calls=500).window == 20


@pytest.mark.parametrize("store", ["nowhere", object(), None, 0, {}])
def test_a_store_that_is_none_is_refused_with_its_place(store):
    with pytest.raises(ConfigurationError, match=r"Breaker\.store of .*dial"):
        App(Dial(VirtualClock()), policies=[Breaker("dial", store=store)])


def test_a_circuit_with_other_settings_elsewhere_is_refused():
    class Two(Service):
        @entry(no_auth=True, breaker=Breaker("same"))
        def get(self): ...

        @entry(no_auth=True, breaker=Breaker("same", store="memory"))
        def get_other(self): ...

    with pytest.raises(DefinitionError, match=r"two\.get_other: circuit 'same' has other settings"):
        App(Two())


def test_a_circuit_named_as_the_operation_is_the_same_circuit():
    class Named(Service):
        @entry(no_auth=True, breaker=Breaker())
        def get(self): ...

        @entry(no_auth=True, breaker=Breaker("named.get"))
        def get_other(self): ...

    assert App(Named()).circuit("named.get").settings.circuit == "named.get"


def test_only_a_store_adds_to_the_worst_case():
    below = Bound(2.0, 3)
    assert Breaker().worst_case(below) == below
    assert Breaker(store="memory", store_timeout=0.5).worst_case(below) == Bound(5.5, 3)
