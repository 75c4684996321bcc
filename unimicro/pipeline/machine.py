"""The states of a circuit breaker, and what leads from one to another.

=============  ==================================================================================
closed         All calls pass; the window counts them. Bad enough, it opens.
open           No call passes until the wait is over; the next one then finds it half open.
half_open      A few calls probe. When enough of them are recorded, it closes or opens again.
disabled       All calls pass, nothing is counted.
metrics_only   All calls pass and are counted; it never opens.
forced_open    No call passes.
=============  ==================================================================================

The last three are left only as they are entered: by somebody's word.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Literal

from unimicro.pipeline.listeners import Transition
from unimicro.pipeline.windows import CountWindow, TimeWindow

if TYPE_CHECKING:
    from unimicro.outcome import Counts
    from unimicro.pipeline.breaker import Breaker
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.windows import Window

__all__ = ["InitialState", "Machine", "State"]

State = Literal["closed", "open", "half_open", "disabled", "metrics_only", "forced_open"]
InitialState = Literal["closed", "disabled", "metrics_only", "forced_open"]

_COUNTING = ("closed", "metrics_only")
_UNCOUNTED = -1
"""The permit of a disabled circuit: of no generation."""
_MOST_DOUBLINGS = 60
"""2.0**1024 is no float."""


class Machine:
    """States and counts. ``Circuit`` puts a lock around all of it but ``_passing`` and ``_saturated``.

    Attributes:
        name: Of the circuit.
        settings: The policy.
        state: One of ``State``.
        generation: One more with each transition.
    """

    def __init__(self, name: str, settings: Breaker, clock: Clock) -> None:
        self.name = name
        self.settings = settings
        self.state: State = settings.initial
        self.generation = 0
        self._now = clock.now
        self._untold: deque[Transition] = deque()
        self._retry_at = self._stuck_at = 0.0
        self._openings = 0
        self._forced = False
        self._probing = self._admitted = 0
        self._window = self._empty_window()
        self._enter(settings.initial)

    def retry_after(self) -> float:
        """Seconds until a call may pass, as far as that is known."""
        now = self._now()
        if self.state == "open":
            return max(0.0, self._retry_at - now)
        if self.state == "half_open":
            return max(0.0, min(self.settings.open_seconds, self._stuck_at - now))
        return self.settings.open_seconds if self.state == "forced_open" else 0.0

    @property
    def refuses(self) -> bool:
        """Whether a call would be refused now. Read without the lock: a moment later it may be otherwise."""
        if self._passing:
            return False
        if self.state == "open":
            return self._now() < self._retry_at
        settings = self.settings
        all_out = (
            self._probing >= settings.max_concurrent_probes or self._admitted >= settings.permitted_probes
        )
        # Past that moment somebody has to ask: only then is it found that the probes are lost.
        return self.state == "forced_open" or (all_out and self._now() < self._stuck_at)

    def _probe(self) -> int:
        """A permit to probe; 0 if there is none."""
        now, settings = self._now(), self.settings
        if self.state == "open" and now >= self._retry_at:
            self._become("half_open", "the wait is over")
        if self.state != "half_open":
            return 0
        if self._probing < settings.max_concurrent_probes and self._admitted < settings.permitted_probes:
            self._probing += 1
            self._admitted += 1
            self._stuck_at = now + settings.half_open_timeout
            return self.generation
        if now >= self._stuck_at:
            self._open("a probe did not come back")
        return 0

    def _count(self, counted: Counts, slow: bool) -> None:
        """Take note of a call of this generation."""
        if self.state == "half_open":
            self._probing -= 1
            if counted == "neutral":
                self._admitted -= 1
            else:
                self._count_probe(counted == "failure", slow)
        elif counted != "neutral":
            window = self._window
            window.add(counted == "failure", slow, self._now())
            self._saturated = window.saturated
            if self.state == "closed" and window.calls >= self.settings.minimum_calls:
                reason = self._fault(window.calls, window.failed, window.slow, "calls")
                if reason:
                    self._open(reason)

    def _count_probe(self, failed: bool, slow: bool) -> None:
        self._probed += 1
        self._probes_failed += failed
        self._probes_slow += slow
        if self._probed < self.settings.permitted_probes:
            return
        reason = self._fault(self._probed, self._probes_failed, self._probes_slow, "probes")
        if reason:
            self._open(reason)
        else:
            self._become("closed", f"{self._probes_failed} of {self._probed} probes failed")

    def _fault(self, calls: int, failed: int, slow: int, what: str) -> str:
        """Why the circuit must open; empty if it need not."""
        settings = self.settings
        if failed / calls >= settings.failure_rate:
            return f"{failed} of {calls} {what} failed"
        if settings.slow_call_seconds is not None and slow / calls >= settings.slow_call_rate:
            return f"{slow} of {calls} {what} were slow"
        return ""

    def _open(self, reason: str) -> None:
        settings = self.settings
        doubled = settings.open_seconds * 2.0 ** min(self._openings, _MOST_DOUBLINGS)
        # Jitter only shortens: the settings are the most that anybody waits.
        share = random.uniform(1 - settings.jitter, 1)  # noqa: S311
        self._openings += 1
        self._retry_at = self._now() + min(doubled, settings.max_open_seconds) * share
        self._become("open", reason)

    def _become(self, state: State, reason: str, *, forced: bool = False) -> None:
        before = self.state
        self._enter(state)
        self._forced = forced
        if state != before:
            wait = self.retry_after() if state == "open" else 0.0
            self._untold.append(Transition(self.name, before, state, reason, wait))

    def _enter(self, state: State) -> None:
        self.state = state
        self.generation += 1
        self._saturated = False
        self._probing = self._admitted = self._probed = self._probes_failed = self._probes_slow = 0
        if state in _COUNTING:
            self._openings = 0
            self._window = self._empty_window()
        # Last: who reads it without the lock finds the rest in place.
        self._passing = self.generation if state in _COUNTING else _UNCOUNTED if state == "disabled" else 0

    def _empty_window(self) -> Window:
        settings = self.settings
        return (
            TimeWindow(settings.window_seconds) if settings.window_seconds else CountWindow(settings.window)
        )
