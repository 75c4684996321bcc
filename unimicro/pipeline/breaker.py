"""The circuit breaker policy: its settings, and the circuits of an app."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from unimicro.errors import ConfigurationError, DefinitionError, nearest
from unimicro.pipeline.circuit import Circuit
from unimicro.pipeline.machine import InitialState
from unimicro.pipeline.policy import (
    Bound,
    Policy,
    require_above_zero,
    require_seconds,
    require_text,
    require_whole,
)
from unimicro.pipeline.stages import ORDER, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.operation import Operation
    from unimicro.outcome import Counts, Failure
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import BreakerStore

__all__ = ["Breaker", "find_circuit"]

MOST_REMEMBERED = 1_000_000
"""Outcomes, or seconds, of a window: it takes its memory at once."""


@dataclass(frozen=True)
class Breaker(Policy):
    """Refuse calls while most of the recent ones failed or were slow.

    Opens when at least ``minimum_calls`` of the window are known and a share of ``failure_rate`` of them
    failed (see ``CODES`` for what counts) or a share of ``slow_call_rate`` was slow. The wait then is
    ``open_seconds``, doubled with each opening in a row up to ``max_open_seconds`` and shortened by jitter;
    after it calls probe, and their rates close or open it.

    Args:
        circuit: Entries that name the same circuit share its state; the operation's own if empty.
        failure_rate: Above 0, at most 1.
        window: Outcomes remembered, unless ``window_seconds`` is set.
        minimum_calls: Outcomes needed before it may open.
        open_seconds: Longest first wait, in seconds.
        window_seconds: Whole seconds remembered, instead of a number of outcomes.
        slow_call_seconds: A call that takes as long or longer is slow; ``None``: none is.
        slow_call_rate: Above 0, at most 1.
        max_open_seconds: Seconds; no wait is longer.
        jitter: From 0 to below 1: a wait is drawn from its last such share.
        permitted_probes: Probes that decide.
        max_concurrent_probes: Probes at a time.
        half_open_timeout: Seconds after which probes that did not come back count as failed.
        initial: ``closed``, or ``disabled``, ``metrics_only``, ``forced_open``: see ``Machine``.
        counts: Instead of the table: from a failure to ``success``, ``failure`` or ``neutral``.
        store: Name of a store or a ``BreakerStore``, to share transitions with other processes; empty for
            none.
        refresh: Seconds between readings of the store.
        store_timeout: Most seconds that a call waits for the store.

    Raises:
        DefinitionError: A setting is impossible.
    """

    circuit: str = ""
    failure_rate: float = 0.5
    window: int = 20
    minimum_calls: int = 10
    open_seconds: float = 5.0
    window_seconds: int | None = None
    slow_call_seconds: float | None = None
    slow_call_rate: float = 0.5
    max_open_seconds: float = 60.0
    jitter: float = 0.2
    permitted_probes: int = 1
    max_concurrent_probes: int = 1
    half_open_timeout: float = 30.0
    initial: InitialState = "closed"
    counts: Callable[[Failure], Counts] | None = None
    store: BreakerStore | str = ""
    refresh: float = 0.5
    store_timeout: float = 1.0
    name = "breaker"

    def __post_init__(self) -> None:
        self._check_numbers()
        for setting in ("failure_rate", "slow_call_rate"):
            if getattr(self, setting) > 1:
                raise DefinitionError(f"Breaker.{setting} must be at most 1, got {getattr(self, setting)!r}")
        if type(self.jitter) not in (int, float) or not 0 <= self.jitter < 1:
            raise DefinitionError(f"Breaker.jitter must be from 0 to below 1, got {self.jitter!r}")
        if self.window_seconds is None and self.minimum_calls > self.window:
            raise DefinitionError("Breaker.minimum_calls is above window: it could never open")
        if self.max_open_seconds < self.open_seconds:
            raise DefinitionError(
                f"Breaker.max_open_seconds ({self.max_open_seconds!r}) is below open_seconds"
                f" ({self.open_seconds!r})"
            )
        if self.max_concurrent_probes > self.permitted_probes:
            raise DefinitionError("Breaker.max_concurrent_probes is above permitted_probes")
        self._check_choices()

    def _check_numbers(self) -> None:
        require_whole(
            self,
            window=self.window,
            minimum_calls=self.minimum_calls,
            permitted_probes=self.permitted_probes,
            max_concurrent_probes=self.max_concurrent_probes,
        )
        if self.window_seconds is not None:
            require_whole(self, window_seconds=self.window_seconds)
        for setting in ("window", "window_seconds"):
            if (getattr(self, setting) or 0) > MOST_REMEMBERED:
                raise DefinitionError(f"Breaker.{setting} must be at most {MOST_REMEMBERED}")
        require_above_zero(self, failure_rate=self.failure_rate, slow_call_rate=self.slow_call_rate)
        require_seconds(
            self,
            open_seconds=self.open_seconds,
            max_open_seconds=self.max_open_seconds,
            half_open_timeout=self.half_open_timeout,
            refresh=self.refresh,
            store_timeout=self.store_timeout,
        )
        if self.slow_call_seconds is not None:
            require_seconds(self, slow_call_seconds=self.slow_call_seconds)

    def _check_choices(self) -> None:
        require_text(self, least=0, circuit=self.circuit)
        if self.initial not in get_args(InitialState):
            known = ", ".join(get_args(InitialState))
            raise DefinitionError(f"Breaker.initial must be one of {known}, got {self.initial!r}")
        if self.initial != "closed" and self._is_shared:
            raise DefinitionError(
                f"Breaker.initial={self.initial!r} shares nothing with other processes: leave out the store"
            )
        if self.counts is not None and not callable(self.counts):
            raise DefinitionError(f"Breaker.counts must be a function of a failure, got {self.counts!r}")

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        name = self.circuit or operation.name
        settings = replace(self, circuit=name)
        circuit = _circuits(assembly).get(name)
        if circuit is None:
            circuit = Circuit(name, settings, assembly.clock, assembly.listeners)
            _circuits(assembly)[name] = circuit
        elif circuit.settings != settings:
            raise DefinitionError(f"circuit {name!r} has other settings elsewhere")
        # In shadow mode a circuit is its process's own: what it decides must not reach those who enforce.
        if not self._is_shared or self.mode == "shadow":
            return Stage(self.name, ORDER["breaker"], circuit.bracket, "bracket")
        from unimicro.pipeline.fleet import Fleet

        store = assembly.store("breaker", self.store, f"Breaker.store of {operation.name}")
        fleet = assembly.shared("fleet", name, lambda: Fleet(circuit, store, assembly.clock))
        return Stage(self.name, ORDER["breaker"], fleet.flow, "flow")

    @property
    def _is_shared(self) -> bool:
        # Not by its truth: a store may have a length.
        return not (isinstance(self.store, str) and not self.store)

    def worst_case(self, below: Bound) -> Bound:
        if not self._is_shared:
            return below
        from unimicro.pipeline.fleet import MOST_STORE_CALLS

        return Bound(below.seconds + MOST_STORE_CALLS * self.store_timeout, below.attempts)


def _circuits(assembly: Assembly) -> dict[str, Circuit]:
    """All circuits of an app."""
    return assembly.shared("circuits", "", dict)


def find_circuit(assembly: Assembly, name: str) -> Circuit:
    """The circuit of that name: as ``Breaker.circuit`` says, or that of the operation.

    Raises:
        ConfigurationError: There is none; the text suggests the nearest.
    """
    circuits = _circuits(assembly)
    if name not in circuits:
        raise ConfigurationError(f"there is no circuit {name!r}{nearest(name, circuits)}")
    return circuits[name]
