"""Where a circuit of the functional style keeps its state: the smallest protocol that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from unimicro.errors import DefinitionError
from unimicro.pipeline.ports import CircuitRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.pipeline.breaker import Breaker
    from unimicro.pipeline.ports import Clock

__all__ = ["CircuitState", "MemoryProvider", "ProvidedStore", "StateProvider"]


class CircuitState(NamedTuple):
    """What is kept of a circuit.

    Attributes:
        name: Of the circuit.
        state: ``closed``, ``open``, ``half_open`` or ``forced_open``.
        failures: Those in the window when the state changed.
        changed_at: When it did: seconds since the epoch, to the millisecond.
    """

    name: str
    state: str
    failures: int
    changed_at: float


class StateProvider(Protocol):
    """Keeps the last state of circuits. It may raise anything: the circuit then goes on with what it knows.

    It is asked from worker threads, and its calls are bounded by ``store_timeout``; one that never waits
    says ``blocking = False``. It writes without looking, so of two processes that change a circuit at the
    same moment one is overheard until its next change; with a ``BreakerStore`` as ``store`` none is.
    """

    def read(self, name: str, /) -> CircuitState | None:
        """The state that was last updated; ``None`` if there is none."""

    def update(self, state: CircuitState, /) -> None:
        """Keep ``state`` instead of the one before. Called when a state changes, never for a call."""


class MemoryProvider:
    """States in this process: circuits made with the same provider and name agree."""

    blocking = False

    def __init__(self) -> None:
        self._states: dict[str, CircuitState] = {}

    def read(self, name: str, /) -> CircuitState | None:
        """See ``StateProvider``."""
        return self._states.get(name)

    def update(self, state: CircuitState, /) -> None:
        """See ``StateProvider``."""
        self._states[state.name] = state


class ProvidedStore:
    """A ``StateProvider`` as the ``BreakerStore`` of one circuit.

    Versions are counted here: another state than the one last seen is one version more. From the time of the
    change follows when a circuit that another process opened may be probed.

    Raises:
        DefinitionError: ``provider`` is no ``StateProvider``.
    """

    def __init__(
        self, provider: StateProvider, settings: Breaker, clock: Clock, failures: Callable[[], int]
    ) -> None:
        if not callable(getattr(provider, "read", None)) or not callable(getattr(provider, "update", None)):
            raise DefinitionError(f"circuit {settings.circuit!r}: {provider!r} is no StateProvider")
        self.blocking: bool = getattr(provider, "blocking", True)
        self._provider = provider
        self._settings = settings
        self._time = clock.time
        self._failures = failures
        self._seen: CircuitState | None = None
        self._record: CircuitRecord | None = None

    def read(self, circuit: str) -> CircuitRecord | None:
        """See ``BreakerStore``."""
        state = self._provider.read(circuit)
        if state is None:
            self._record = None
        elif self._record is None or state != self._seen:
            self._record = self._record_of(state)
        self._seen = state
        return self._record

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """See ``BreakerStore``; what another process writes between the look and the update is lost."""
        if self._provider.read(circuit) != self._seen:
            return False
        state = CircuitState(circuit, record.state, self._failures(), round(self._time(), 3))
        self._provider.update(state)
        self._seen, self._record = state, record
        return True

    def _record_of(self, state: CircuitState) -> CircuitRecord:
        version = 1 if self._record is None else self._record.version + 1
        settings, changed = self._settings, state.changed_at
        return CircuitRecord(
            state.state,
            version,
            retry_at=changed + settings.open_seconds,
            openings=0 if state.state == "closed" else 1,
            holder="another process",
            lease_until=changed + settings.half_open_timeout,
        )
