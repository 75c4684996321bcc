"""The timer door: calls ``@every`` methods while the app runs, from one thread of its own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from unimicro.frontend import FrontEnd
from unimicro.invocation import CallPayload, Invocation
from unimicro.metadata import Metadata
from unimicro.outcome import Outcome, failure_of

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.operation import Operation

log = logging.getLogger("unimicro")


class TimerDoor(FrontEnd["Operation", None]):
    """First call after one interval, then every interval.

    Calls that are missed, because one before took too long, are skipped rather than made up for.
    Every process of an app has timers of its own.
    """

    name = "timers"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        now = app.clock.now()
        self._due = {op: now + op.interval for op in app.operations.values() if op.interval is not None}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def decode(self, native: Operation) -> Outcome[Invocation]:
        return self.invocation(native.name, CallPayload(), Metadata(), native=native)

    def encode(
        self,
        native: Operation,
        invocation: Invocation | None,  # noqa: ARG002 - the shape of every door
        outcome: Outcome[Any],
    ) -> None:
        if not outcome.monoid[1]:
            log.warning("timer %s: %r", native.name, failure_of(outcome))

    def run_due(self) -> float | None:
        """Call what is due.

        Returns:
            Seconds until the next call is due; ``None`` when there are no timers.
        """
        clock = self.app.clock
        for operation, due in self._due.items():
            if due <= clock.now():
                self.handle(operation)
                interval = operation.interval or 0.0
                missed = (clock.now() - due) // interval
                self._due[operation] = due + (missed + 1) * interval
        return max(0.0, min(self._due.values()) - clock.now()) if self._due else None

    def start(self) -> None:
        if self._due and self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="unimicro-timers", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self.run_due()):
            pass

    def stop(self) -> None:
        """Wait for the call that is being made, and make no other."""
        self.kill()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def kill(self) -> None:
        self._stopping.set()
