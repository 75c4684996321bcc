"""Many processes, one circuit: they share its transitions through a store, and never a count.

A process reads the record at most once in ``refresh`` seconds, by one of its callers, while the others go
on with what is known. A transition of its own it writes by compare-and-set, one version above the one that
it knows: who loses follows the winner. To probe it must have written ``half_open``, which is the lease.
Nothing is written while the circuit is closed. What a store does wrong is logged, once, and the process goes
on alone; when the store answers again, a version that is news to the process wins over what happened there
meanwhile, and if there is none, the process writes its own state.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError
from unimicro.outcome import Failure, Left
from unimicro.pipeline.ports import CircuitRecord
from unimicro.pipeline.stages import Do
from unimicro.pipeline.time_limit import TimeLimit

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.pipeline.circuit import Circuit, View
    from unimicro.pipeline.ports import BreakerStore, Clock
    from unimicro.pipeline.stages import Steps

__all__ = ["MOST_STORE_CALLS", "Fleet"]

log = logging.getLogger("unimicro")

MOST_STORE_CALLS = 7
"""Of one call: read, swap, read before it; swap, read for the lease; swap, read after it."""

_LONGEST_PAUSE = 5.0
"""Seconds between attempts to reach a store that does not answer."""
_SHARED = ("closed", "open", "half_open", "forced_open")

Asking = Generator[Do, Any, Any]


class Fleet:
    """This process's part in a circuit of many.

    Args:
        circuit: Its own view, which decides.
        store: Where the transitions are.
        clock: Source of time.

    Raises:
        DefinitionError: ``store`` is no ``BreakerStore``.
    """

    def __init__(self, circuit: Circuit, store: BreakerStore, clock: Clock) -> None:
        if not callable(getattr(store, "read", None)) or not callable(getattr(store, "swap", None)):
            raise DefinitionError(f"Breaker.store of circuit {circuit.name!r} is no BreakerStore: {store!r}")
        self._circuit = circuit
        self._store = store
        self._clock = clock
        self._now = clock.now
        self._time_limit = (
            TimeLimit(circuit.settings.store_timeout) if getattr(store, "blocking", True) else None
        )
        self._lease, self._leased = "", 0
        self._record: CircuitRecord | None = None
        self._agreed = circuit.generation
        """The circuit's generation that says the same as the record."""
        self._due = clock.now()
        self._failures = 0
        self._busy = False
        self._lock = Lock()

    def flow(self, invocation: Invocation) -> Steps:
        """The stage."""
        circuit, now = self._circuit, self._now
        if now() >= self._due and self._takes_turn():
            yield from self._turn(self._refresh())
        permit, outcome, started = circuit.admit(), None, 0.0
        try:
            if circuit.generation != self._agreed or self._lease_fades(permit):
                permit = yield from self._settled(permit)
            if isinstance(permit, Failure):
                return Left(permit)
            started = now()
            outcome = yield invocation
        finally:
            if not isinstance(permit, Failure):
                circuit.finish(permit, outcome, now() - started)
        if circuit.generation != self._agreed and self._takes_turn_to_write():
            yield from self._turn(self._publish())
        return outcome

    def _settled(self, permit: int | Failure) -> Generator[Do, Any, int | Failure]:
        """The permit, once the store knows of the transition that it comes from."""
        circuit = self._circuit
        if self._takes_turn_to_write():
            yield from self._turn(self._publish())
            if permit != circuit.generation and not isinstance(permit, Failure):
                permit = circuit.admit()  # another process was first
        if isinstance(permit, Failure) or self._failures or circuit.state != "half_open":
            return permit
        if circuit.generation == self._agreed and not self._lease_fades(permit):
            return permit
        # Without the lease nobody probes.
        refusal = circuit.refusal()
        circuit.record(permit, None)
        return refusal

    def _lease_fades(self, permit: int | Failure) -> bool:
        """Whether a probe needs the lease renewed: half of its time is over."""
        record = self._record
        return (
            self._circuit.state == "half_open"
            and record is not None
            and not isinstance(permit, Failure)
            and self._clock.time() > record.lease_until - self._circuit.settings.half_open_timeout / 2
        )

    # -- turns: one caller at a time is at the store -------------------------------------------

    def _takes_turn_to_write(self) -> bool:
        # While the store is out the process is on its own until the next attempt to read.
        return not self._failures and self._takes_turn()

    def _takes_turn(self) -> bool:
        with self._lock:
            if self._busy:
                return False
            self._busy = True
            return True

    def _turn(self, asking: Asking) -> Asking:
        """Whatever happens there changes no outcome."""
        try:
            yield from asking
        except Exception as error:
            self._failed(error)
        else:
            self._due = self._now() + self._circuit.settings.refresh
            if self._failures:
                self._failures = 0
                log.warning("the store of circuit %r answers again", self._circuit.name)
        finally:
            self._busy = False

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        refresh = self._circuit.settings.refresh
        self._due = self._now() + min(refresh * 2.0 ** min(self._failures, 60), max(_LONGEST_PAUSE, refresh))
        if self._failures == 1:
            name, kind = self._circuit.name, type(error).__name__
            log.warning(
                "the store of circuit %r fails; this process goes on alone (%s: %s)", name, kind, error
            )
            log.debug("where it failed", exc_info=error)

    def _ask(self, function: Callable[..., Any], *args: Any) -> Asking:
        if self._time_limit is None:
            return function(*args)
        return (yield Do(self._time_limit, function, *args))

    # -- reading -------------------------------------------------------------------------------

    def _refresh(self) -> Asking:
        yield from self._read()
        if self._circuit.generation != self._agreed:
            yield from self._publish()

    def _read(self) -> Asking:
        record = yield from self._ask(self._store.read, self._circuit.name)
        if _mark(record) != _mark(self._record):
            self._hear(record)

    def _hear(self, record: CircuitRecord | None) -> None:
        view = self._circuit.view()
        if record is None:
            # The store has lost it: what this process knows is news again.
            self._record, self._agreed = None, 0
        elif record.holder == self._lease and record.state == "half_open":
            # Written here, though the answer was lost: the lease is held.
            self._record = record
            self._agreed = view.generation if view.state == "half_open" else 0
        elif view.forced and view.generation != self._agreed:
            # Somebody's word, not written yet, wins over what others found out.
            self._record = record
        else:
            self._follow(record)

    def _follow(self, record: CircuitRecord) -> None:
        if record.state not in _SHARED:
            raise ValueError(f"circuit {self._circuit.name!r}: unknown state {record.state!r} in the store")
        settings, now = self._circuit.settings, self._now()
        if record.state == "half_open":
            until, longest = record.lease_until, settings.half_open_timeout
        else:
            until, longest = record.retry_at, settings.max_open_seconds
        # No longer than one's own settings say: the other's clock may be wrong.
        until = min(until + (now - self._clock.time()), now + longest)
        self._record = record
        self._agreed = self._circuit.follow(record.state, until, record.openings)  # type: ignore[arg-type]

    # -- writing -------------------------------------------------------------------------------

    def _publish(self) -> Asking:
        view = self._circuit.view()
        record = self._record_of(view)
        if record is None:
            self._agreed = view.generation
        elif (yield from self._ask(self._store.swap, self._circuit.name, record)):
            self._record, self._agreed = record, view.generation
        else:
            known = _mark(self._record)
            yield from self._read()
            if _mark(self._record) == known:
                raise ValueError("the store refuses the version after the one that it shows")

    def _record_of(self, view: View) -> CircuitRecord | None:
        """What the others must know of this circuit; ``None`` if they know it, or need not."""
        known = "closed" if self._record is None else self._record.state
        if view.state not in _SHARED or view.state == known == "closed":
            return None
        record = CircuitRecord(view.state, _version(self._record) + 1, openings=view.openings)
        epoch = self._clock.time()
        if view.state == "open":
            return record._replace(retry_at=epoch + view.retry_at - self._now())
        if view.state == "half_open":
            if self._leased != view.generation:
                # For each half-opening another: a process may be a copy of another one (fork, snapshot).
                self._lease, self._leased = os.urandom(8).hex(), view.generation
            lease_until = epoch + self._circuit.settings.half_open_timeout
            return record._replace(holder=self._lease, lease_until=lease_until)
        return record


def _version(record: CircuitRecord | None) -> int:
    return 0 if record is None else record.version


def _mark(record: CircuitRecord | None) -> tuple[Any, ...]:
    """What tells records apart: versions alone begin anew in a store that was emptied."""
    return () if record is None else (record.version, record.state, record.holder)
