"""Circuit breaker by count: closed, open, half open."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal

from unimicro.errors import DefinitionError
from unimicro.outcome import CODES, Failure, Left
from unimicro.pipeline.policy import Policy, require_above_zero
from unimicro.pipeline.stages import ORDER, Stage, Steps

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class Breaker(Policy):
    """Refuse calls while most of the recent ones failed.

    Opens when, of the last ``window`` outcomes, at least ``minimum_calls`` are known and a share of
    ``failure_rate`` failed (see ``CODES`` for what counts); after ``open_seconds`` one call probes.

    Args:
        circuit: Entries that name the same circuit share its state; the operation's own if empty.
        failure_rate: Above 0, at most 1.
        window: Outcomes remembered.
        minimum_calls: Outcomes needed before it may open.
        open_seconds: Seconds before the probe.
    """

    circuit: str = ""
    failure_rate: float = 0.5
    window: int = 20
    minimum_calls: int = 10
    open_seconds: float = 5.0
    name = "breaker"

    def __post_init__(self) -> None:
        require_above_zero(
            self,
            failure_rate=self.failure_rate,
            window=self.window,
            minimum_calls=self.minimum_calls,
            open_seconds=self.open_seconds,
        )
        if not isinstance(self.window, int):
            raise ValueError(f"Breaker.window must be a whole number, got {self.window!r}")
        if self.failure_rate > 1:
            raise ValueError(f"Breaker.failure_rate must be at most 1, got {self.failure_rate!r}")
        if self.minimum_calls > self.window:
            raise ValueError("Breaker.minimum_calls is above window: it could never open")

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        name = self.circuit or operation.name
        circuit = assembly.shared("circuit", name, lambda: Circuit(self, assembly.clock))
        if circuit.settings != self:
            raise DefinitionError(f"{operation.name}: circuit {name!r} has other settings elsewhere")

        def guarded(invocation: Invocation) -> Steps:
            generation = circuit.admit()
            if generation is None:
                return Left(
                    Failure(
                        "unavailable",
                        f"circuit {name!r} is open",
                        retry_after=circuit.retry_after(),
                        layer="breaker",
                    )
                )
            counted = "neutral"
            try:
                outcome = yield invocation
                counted = "success" if outcome.monoid[1] else CODES[outcome.monoid[0].code].breaker
                return outcome
            finally:
                # Also when the call is cancelled: the probe's permit must come back.
                circuit.record(generation, counted)

        return Stage(self.name, ORDER["breaker"], guarded, is_flow=True)


class Circuit:
    """State of one breaker. The lock guards the bookkeeping only, never the call."""

    def __init__(self, settings: Breaker, clock: Clock) -> None:
        self.state: State = "closed"
        self.settings = settings
        self._clock = clock
        self._outcomes: deque[bool] = deque(maxlen=settings.window)
        self._failures = 0
        self._generation = 0
        self._opened_at = 0.0
        self._probing = False
        self._lock = Lock()

    def admit(self) -> int | None:
        """The generation of an admitted call, or ``None``. An outcome of an older one is ignored."""
        # Generation first: read the other way round, a state that changes between would admit for the next.
        generation = self._generation
        if self.state == "closed":
            return generation
        with self._lock:
            if self.state == "open" and self.retry_after() <= 0:
                self._become("half_open")
            if self.state == "open" or (self.state == "half_open" and self._probing):
                return None
            self._probing = self.state == "half_open"
            return self._generation

    def retry_after(self) -> float:
        """Seconds until a probe is let through."""
        return max(0.0, self._opened_at + self.settings.open_seconds - self._clock.now())

    def record(self, generation: int, counted: str) -> None:
        """Take note of an outcome: ``success``, ``failure`` or ``neutral``."""
        healthy = self.state == "closed" and not self._failures
        if healthy and counted == "success" and generation == self._generation:
            # No lock: append is atomic, and a success that comes too late changes no decision.
            self._outcomes.append(False)
            return
        with self._lock:
            if generation != self._generation:
                return
            if self.state == "half_open":
                self._probing = False
                if counted != "neutral":
                    self._become("closed" if counted == "success" else "open")
            elif self.state == "closed" and counted != "neutral":
                self._count(counted == "failure")

    def _count(self, failed: bool) -> None:
        self._outcomes.append(failed)
        self._failures = self._outcomes.count(True)
        known = len(self._outcomes)
        if known >= self.settings.minimum_calls and self._failures >= self.settings.failure_rate * known:
            self._become("open")

    def _become(self, state: State) -> None:
        self.state = state
        self._generation += 1
        self._outcomes.clear()
        self._failures = 0
        self._probing = False
        if state == "open":
            self._opened_at = self._clock.now()
