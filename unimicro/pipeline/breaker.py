"""Circuit breaker by count: closed, open, half open."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from unimicro.errors import DefinitionError
from unimicro.outcome import CODES, Failure, Outcome, failure_of
from unimicro.pipeline.policy import Policy, require_above_zero
from unimicro.pipeline.stages import ORDER, Bracket, Stage

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
            raise DefinitionError(f"Breaker.window must be a whole number, got {self.window!r}")
        if self.failure_rate > 1:
            raise DefinitionError(f"Breaker.failure_rate must be at most 1, got {self.failure_rate!r}")
        if self.minimum_calls > self.window:
            raise DefinitionError("Breaker.minimum_calls is above window: it could never open")

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        name = self.circuit or operation.name
        circuit = assembly.shared("circuit", name, lambda: Circuit(name, self, assembly.clock))
        if circuit.settings != self:
            raise DefinitionError(f"{operation.name}: circuit {name!r} has other settings elsewhere")
        return Stage(self.name, ORDER["breaker"], Bracket(circuit.admit, circuit.record), "bracket")


class Circuit:
    """State of one breaker. The lock guards the bookkeeping only, never the call."""

    def __init__(self, name: str, settings: Breaker, clock: Clock) -> None:
        self.name = name
        self.state: State = "closed"
        self.settings = settings
        self._clock = clock
        self._outcomes: deque[bool] = deque(maxlen=settings.window)
        self._failures = 0
        self._generation = 0
        self._opened_at = 0.0
        self._probing = False
        self._lock = Lock()

    def admit(self, _: Invocation | None = None) -> int | Failure:
        """The generation of an admitted call; an outcome of an older one is ignored."""
        # Generation first: read the other way round, a state that changes between would admit for the next.
        generation = self._generation
        if self.state == "closed":
            return generation
        with self._lock:
            if self.state == "open" and self.retry_after() <= 0:
                self._become("half_open")
            if self.state == "open" or (self.state == "half_open" and self._probing):
                return self._rejection()
            self._probing = self.state == "half_open"
            return self._generation

    def _rejection(self) -> Failure:
        wait = self.retry_after()
        return Failure("unavailable", f"circuit {self.name!r} is open", retry_after=wait, layer="breaker")

    def retry_after(self) -> float:
        """Seconds until a probe is let through."""
        return max(0.0, self._opened_at + self.settings.open_seconds - self._clock.now())

    def record(self, generation: int, outcome: Outcome[Any] | None) -> None:
        """Take note of how an admitted call ended; ``None`` when it was cut off."""
        if outcome is not None and outcome.monoid[1]:
            if self.state == "closed" and not self._failures and generation == self._generation:
                # No lock: append is atomic, and a success that comes too late changes no decision.
                self._outcomes.append(False)
                return
            counted = "success"
        else:
            counted = "neutral" if outcome is None else CODES[failure_of(outcome).code].breaker
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
