"""One circuit, for threads and tasks alike: what a breaker asks before a call and tells after it."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.outcome import CODES, Failure, failure_of
from unimicro.pipeline.listeners import Listeners
from unimicro.pipeline.machine import Machine
from unimicro.pipeline.stages import Bracket

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.outcome import Counts, Outcome
    from unimicro.pipeline.breaker import Breaker
    from unimicro.pipeline.machine import State
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.windows import Tally

__all__ = ["Circuit", "CircuitOpen", "View"]

log = logging.getLogger("unimicro")

_COUNTED = ("success", "failure", "neutral")


class CircuitOpen(Exception):
    """The ``cause`` of a refusal by a circuit of this process, which no failure from a wire can have."""


_OPEN = CircuitOpen()


class View(NamedTuple):
    """A circuit at one moment.

    Attributes:
        generation: One more with each transition.
        state: See ``Machine``.
        retry_at: Monotonic seconds from when a probe is let through, while open.
        openings: Openings without a closing between them.
        forced: It became so at somebody's word.
    """

    generation: int
    state: State
    retry_at: float
    openings: int
    forced: bool


class Circuit(Machine):
    """A circuit. Its lock guards the bookkeeping only: never a call, a listener or a predicate.

    Args:
        name: Named by refusals and transitions.
        settings: The policy.
        clock: Source of time.
        listeners: Told of transitions.
    """

    def __init__(
        self, name: str, settings: Breaker, clock: Clock, listeners: Listeners | None = None
    ) -> None:
        super().__init__(name, settings, clock)
        self._slow_seconds = settings.slow_call_seconds
        self._listeners = listeners or Listeners()
        self._telling = False
        self._lock = Lock()

    # -- around a call -------------------------------------------------------------------------

    @property
    def bracket(self) -> Bracket:
        """The stage. The clock is read only if slow calls are told from others."""
        if self._slow_seconds is None:
            return Bracket(self.admit, self.record)
        return Bracket(self._admit_timed, self._record_timed)

    def admit(self, _: Invocation | None = None) -> int | Failure:
        """The generation that lets a call pass, or the failure that refuses it."""
        # One reading: an outcome is counted for the state that let its call pass, or not at all.
        return self._passing or self._ask()

    def record(self, permit: int, outcome: Outcome[Any] | None) -> None:
        """Take note of how an admitted call ended; ``None`` when it was cut off."""
        if self._saturated and outcome is not None and outcome.monoid[1]:
            return
        self._record(permit, outcome, slow=False)

    def finish(self, permit: int, outcome: Outcome[Any] | None, seconds: float) -> None:
        """``record`` of a call that took so many seconds."""
        if self._slow_seconds is not None and seconds >= self._slow_seconds:
            self._record(permit, outcome, slow=True)
        else:
            self.record(permit, outcome)

    def _admit_timed(self, _: Invocation) -> tuple[int, float] | Failure:
        permit = self._passing or self._ask()
        return permit if isinstance(permit, Failure) else (permit, self._now())

    def _record_timed(self, timed: tuple[int, float], outcome: Outcome[Any] | None) -> None:
        permit, started = timed
        self.finish(permit, outcome, self._now() - started)

    def _ask(self) -> int | Failure:
        with self._lock:
            answer = self._passing or self._probe() or self.refusal()
        if self._untold:
            self._tell()
        return answer

    def _record(self, permit: int, outcome: Outcome[Any] | None, *, slow: bool) -> None:
        if permit != self.generation:
            return
        counted = self._counted(outcome)
        with self._lock:
            if permit == self.generation:
                self._count(counted, slow)
        if self._untold:
            self._tell()

    def _counted(self, outcome: Outcome[Any] | None) -> Counts:
        if outcome is None:
            return "neutral"
        if outcome.monoid[1]:
            return "success"
        failure = failure_of(outcome)
        if self.settings.counts is not None:
            try:
                counted = self.settings.counts(failure)
                if counted in _COUNTED:
                    return counted
                log.error("circuit %s: counts must return one of %s", self.name, ", ".join(_COUNTED))
            except Exception:
                log.exception("circuit %s: counts raised", self.name)
        return CODES[failure.code].breaker

    # -- what is known of it -------------------------------------------------------------------

    def tally(self) -> Tally:
        """The calls in the window; those that opened it, while it is open or half open."""
        with self._lock:
            return self._window.tally(self._now())

    def view(self) -> View:
        """State and generation, read together."""
        with self._lock:
            return View(self.generation, self.state, self._retry_at, self._openings, self._forced)

    def refusal(self) -> Failure:
        """What a call gets that may not pass."""
        return Failure(
            "unavailable",
            f"circuit {self.name!r} is {self.state.replace('_', ' ')}",
            retry_after=self.retry_after(),
            layer="breaker",
            policy=self.name,
            cause=_OPEN,
        )

    # -- at somebody's word --------------------------------------------------------------------

    def reset(self) -> None:
        """Close it, with an empty window."""
        self._force("closed", "reset")

    def force_open(self) -> None:
        """Refuse all calls until ``reset``."""
        self._force("forced_open", "forced")

    def disable(self) -> None:
        """Let all calls pass and count none, until ``reset``."""
        self._force("disabled", "forced")

    def metrics_only(self) -> None:
        """Let all calls pass, count them and never open, until ``reset``."""
        self._force("metrics_only", "forced")

    def _force(self, state: State, reason: str) -> None:
        with self._lock:
            self._become(state, reason, forced=True)
        self._tell()

    def follow(self, state: State, retry_at: float, openings: int) -> int:
        """Take over what another process found out; a circuit disabled or watched here stays so.

        Args:
            state: ``closed``, ``open``, ``half_open`` or ``forced_open``.
            retry_at: Monotonic seconds: end of the wait if open, of the other's lease if half open.
            openings: Openings without a closing between them.

        Returns:
            The generation from now on.
        """
        with self._lock:
            news = not state == self.state == "closed"
            if news and self.state not in ("disabled", "metrics_only"):
                self._retry_at = self._stuck_at = retry_at
                self._openings = openings
                self._become(state, "another process says so")
                self._admitted = self.settings.permitted_probes  # all probes are the other's
            generation = self.generation
        self._tell()
        return generation

    # -- listeners, outside the lock -----------------------------------------------------------

    def _tell(self) -> None:
        """Tell of transitions in their order: one thread at a time, the others leave theirs to it."""
        while True:
            with self._lock:
                if self._telling or not self._untold:
                    return
                self._telling = True
                transition = self._untold.popleft()
            try:
                self._listeners.transition(transition)
            finally:
                self._telling = False
