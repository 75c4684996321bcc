"""Stores in this process: state that other processes do not see, gone with it."""

from __future__ import annotations

import heapq
from threading import Lock
from typing import TYPE_CHECKING

from unimicro.errors import ConfigurationError
from unimicro.pipeline.ports import GRACE

if TYPE_CHECKING:
    from unimicro.pipeline.ports import CircuitRecord, IdempotencyRecord

_RECORD_BYTES = 1000
"""About what a record without its answer takes."""
_SPARE_ENDS = 1000


class MemoryIdempotencyStore:
    """Keyed calls of this process.

    Args:
        max_bytes: Claims are refused while the records take about that much: to forget one before its
            time would let its call run twice.

    Raises:
        ConfigurationError: ``max_bytes`` is no whole number above 0.
    """

    blocking = False

    def __init__(self, *, max_bytes: int = 256 * 1024 * 1024) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise ConfigurationError(f"max_bytes must be a whole number from 1, got {max_bytes!r}")
        self._max_bytes = max_bytes
        self._bytes = 0
        self._records: dict[str, IdempotencyRecord] = {}
        self._ends: list[tuple[float, str]] = []
        self._lock = Lock()

    def claim(self, key: str, record: IdempotencyRecord, now: float) -> IdempotencyRecord | None:
        """See ``IdempotencyStore``.

        Raises:
            MemoryError: The store is full.
        """
        with self._lock:
            held = self._records.get(key)
            if held is not None and held.expires_at > now:
                return held
            self._forget(now)
            if self._bytes >= self._max_bytes:
                raise MemoryError(
                    f"the records of keyed calls take {self._max_bytes} bytes, all that they may"
                )
            self._put(key, record)
            return None

    def complete(self, key: str, record: IdempotencyRecord, now: float) -> bool:
        """See ``IdempotencyStore``. Never refused: the call was made."""
        with self._lock:
            held = self._records.get(key)
            if held is None or held.owner != record.owner:
                return False
            self._put(key, record)
            return True

    def release(self, key: str, owner: str) -> None:
        """See ``IdempotencyStore``."""
        with self._lock:
            held = self._records.get(key)
            if held is not None and held.owner == owner:
                self._drop(key)

    def _put(self, key: str, record: IdempotencyRecord) -> None:
        self._drop(key)
        self._records[key] = record
        self._bytes += _size(record)
        heapq.heappush(self._ends, (record.expires_at + GRACE, key))
        if len(self._ends) > 2 * len(self._records) + _SPARE_ENDS:
            # Most are of records that were given back or replaced.
            self._ends = [(held.expires_at + GRACE, held_key) for held_key, held in self._records.items()]
            heapq.heapify(self._ends)

    def _drop(self, key: str) -> None:
        record = self._records.pop(key, None)
        if record is not None:
            self._bytes -= _size(record)

    def _forget(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, key = heapq.heappop(self._ends)
            record = self._records.get(key)
            # A record that has replaced the one of this end has an end of its own.
            if record is not None and record.expires_at + GRACE <= now:
                self._drop(key)


def _size(record: IdempotencyRecord) -> int:
    return _RECORD_BYTES + len(record.answer or b"")


class MemoryBreakerStore:
    """Transitions of circuits, for apps of one process, and for tests."""

    blocking = False

    def __init__(self) -> None:
        self._records: dict[str, CircuitRecord] = {}
        self._lock = Lock()

    def read(self, circuit: str) -> CircuitRecord | None:
        """See ``BreakerStore``."""
        return self._records.get(circuit)

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """See ``BreakerStore``."""
        with self._lock:
            held = self._records.get(circuit)
            if record.version != (held.version if held else 0) + 1:
                return False
            self._records[circuit] = record
            return True
