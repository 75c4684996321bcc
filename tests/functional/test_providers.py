"""The state of a circuit outside of it: what is written when, and what a provider's faults do."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.functional.test_circuit import SMALL, Dependency, ends
from unimicro import Right, VirtualClock
from unimicro.functional import CircuitState, MemoryProvider, circuit
from unimicro.stores.memory import MemoryBreakerStore


@pytest.fixture
def clock():
    return VirtualClock(epoch=1_700_000_000.0)


class Watched(MemoryProvider):
    """Remembers what it was told, and may be out."""

    def __init__(self) -> None:
        super().__init__()
        self.out = False
        self.reads = 0
        self.updates: list[CircuitState] = []
        self.threads: set[int] = set()

    def read(self, name, /):
        self.reads += 1
        self.threads.add(threading.get_ident())
        if self.out:
            raise ConnectionError("no provider")
        return super().read(name)

    def update(self, state, /):
        if self.out:
            raise ConnectionError("no provider")
        self.updates.append(state)
        super().update(state)


class Process:
    """A circuit of its own, as another process has it."""

    def __init__(self, of: Any, clock: VirtualClock, **settings: Any) -> None:
        self.dependency = Dependency()
        self.guarding = circuit("stock", clock=clock, **{**SMALL, **settings})
        self.load = self.guarding(of.colour(self.dependency.load))
        self.of = of

    def ends(self, count: int) -> list[str]:
        return ends(self.of, self.load, count)

    def open(self) -> None:
        self.dependency.down = True
        self.ends(4)
        self.dependency.down = False
        assert self.guarding.circuit.state == "open"


def test_it_is_told_of_each_change_and_of_nothing_else(of, clock):
    provider = Watched()
    process = Process(of, clock, provider=provider)
    process.ends(20)
    assert provider.updates == []
    process.open()
    opened = round(clock.time(), 3)
    clock.advance(10)
    assert process.ends(3) == ["right"] * 3
    closed = round(clock.time(), 3)
    assert provider.updates == [
        CircuitState("stock", "open", 2, opened),
        CircuitState("stock", "half_open", 2, closed),
        CircuitState("stock", "closed", 0, closed),
    ]


def test_it_is_asked_seldom(of, clock):
    provider = Watched()
    process = Process(of, clock, provider=provider)
    process.ends(50)
    assert provider.reads == 1
    clock.advance(1)
    process.ends(50)
    assert provider.reads == 2


def test_a_process_that_begins_learns_that_the_circuit_is_open(of, clock):
    provider = Watched()
    Process(of, clock, provider=provider).open()
    other = Process(of, clock, provider=provider)
    assert other.ends(1) == ["breaker"]
    assert other.dependency.calls == 0
    clock.advance(10)
    assert other.ends(2) == ["right", "right"]
    assert provider.read("stock").state == "closed"


def test_a_process_hears_of_an_opening_elsewhere(of, clock):
    provider = Watched()
    first, second = Process(of, clock, provider=provider), Process(of, clock, provider=provider)
    assert second.ends(1) == ["right"]
    first.open()
    clock.advance(1)
    assert second.ends(1) == ["breaker"]


def test_a_process_hears_of_a_closing_elsewhere(of, clock):
    provider = Watched()
    Process(of, clock, provider=provider).open()
    process = Process(of, clock, provider=provider)
    assert process.ends(1) == ["breaker"]
    provider.update(CircuitState("stock", "closed", 0, clock.time()))
    clock.advance(1)
    assert process.ends(1) == ["right"]


def test_of_two_that_open_one_is_kept(of, clock):
    provider = Watched()
    first, second = Process(of, clock, provider=provider), Process(of, clock, provider=provider)
    first.ends(1), second.ends(1)
    first.open()
    second.open()
    assert [state.state for state in provider.updates] == ["open"]
    clock.advance(10)
    assert first.ends(1) + second.ends(1) == ["right", "right"]


def test_while_one_process_probes_the_others_wait(of, clock):
    provider = Watched()
    provider.update(CircuitState("stock", "half_open", 4, clock.time()))
    process = Process(of, clock, provider=provider)
    assert process.ends(2) == ["breaker", "breaker"]
    clock.advance(31)
    # Nothing came of that probe: the circuit opens again, and then somebody else may try.
    assert process.ends(1) == ["breaker"]
    clock.advance(60)
    assert process.ends(1) == ["right"]


def test_a_provider_that_is_out_changes_no_outcome(of, clock, caplog):
    provider = Watched()
    provider.out = True
    process = Process(of, clock, provider=provider)
    assert process.ends(3) == ["right"] * 3
    process.open()
    assert process.ends(1) == ["breaker"]
    provider.out = False
    clock.advance(10)
    assert process.ends(2) == ["right", "right"]
    assert len([record for record in caplog.records if "goes on alone" in record.getMessage()]) == 1


def test_an_unknown_state_changes_no_outcome(of, clock, caplog):
    provider = Watched()
    provider.update(CircuitState("stock", "ajar", 0, clock.time()))
    assert Process(of, clock, provider=provider).ends(2) == ["right", "right"]


def test_one_that_may_block_is_asked_in_a_thread_of_its_own(of, clock):
    class Slow(Watched):
        blocking = True

    provider = Slow()
    Process(of, clock, provider=provider).open()
    assert [state.state for state in provider.updates] == ["open"]
    assert threading.get_ident() not in provider.threads


def test_one_that_hangs_is_not_waited_for(of, clock):
    hanging = threading.Event()

    class Hanging(Watched):
        blocking = True

        def read(self, name, /):
            hanging.wait(10)

    process = Process(of, clock, provider=Hanging(), store_timeout=0.05)
    assert process.of.run(process.load()) == Right(1)
    assert not hanging.is_set()
    hanging.set()


def test_a_store_of_the_house_does_as_well(of, clock):
    store = MemoryBreakerStore()
    Process(of, clock, store=store).open()
    assert Process(of, clock, store=store).ends(1) == ["breaker"]
