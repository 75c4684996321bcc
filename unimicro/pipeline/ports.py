"""Small protocols for everything stateful that the pipeline uses.

Stores are synchronous: stages call them with ``Do``, which an async door runs in a worker thread. One with an
attribute ``blocking = False`` never waits and is called where the stage runs. They may raise anything; the
stage that asked decides what an outage means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Coroutine, Mapping
    from contextlib import AbstractAsyncContextManager


class Clock(Protocol):
    """All time goes through here, so that every wait can run on a virtual clock."""

    def now(self) -> float:
        """Monotonic seconds."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling task."""

    def wait_for(self, event: threading.Event, seconds: float) -> bool:
        """Block the calling thread until ``event`` is set, ``seconds`` at most; whether it is."""

    async def await_for(self, future: asyncio.Future[Any], seconds: float) -> bool:
        """Suspend the calling task until ``future`` is done, ``seconds`` at most; whether it is."""

    async def finish_by(self, deadline: float, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of ``work``, cancelled at ``deadline`` (monotonic seconds) with ``TimeoutError``."""

    def timeout_at(self, deadline: float) -> AbstractAsyncContextManager[Any]:
        """Cancel the task's work inside at ``deadline`` (monotonic seconds) with ``TimeoutError``."""


class CircuitRecord(NamedTuple):
    """What processes share of a circuit: its last transition, never counts.

    Attributes:
        state: ``closed``, ``open``, ``half_open`` or ``forced_open``.
        version: 1 for the first record of a circuit, one more with each swap.
        retry_at: Seconds since the epoch from when a probe is let through; 0 when closed.
        openings: Openings without a closing between them.
        holder: The process that probes, while ``half_open``.
        lease_until: Seconds since the epoch until which it may.
    """

    state: str
    version: int
    retry_at: float = 0.0
    openings: int = 0
    holder: str = ""
    lease_until: float = 0.0


class BreakerStore(Protocol):
    """One record per circuit, changed by compare-and-set."""

    def read(self, circuit: str) -> CircuitRecord | None:
        """The record; ``None`` if there is none. The last one written: an older one counts as a new one."""

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """Write ``record`` if the stored version is ``record.version - 1`` (none stored counts as 0).

        Returns:
            Whether it was written; ``False`` when another process was first.
        """


class IdempotencyRecord(NamedTuple):
    """What is kept of a keyed call.

    Attributes:
        fingerprint: Digest of the arguments: the same key with another one is a mistake of the caller.
        owner: Who claimed it; a new value for each claim (fencing).
        expires_at: Seconds since the epoch: end of the owner's lease, and once answered of the retention.
        answer: The stored outcome; ``None`` while the call runs.
    """

    fingerprint: str
    owner: str
    expires_at: float
    answer: bytes | None = None


GRACE = 3600.0
"""Seconds that a store keeps a record beyond its end: an answer that comes late still counts if nobody else
claimed the key meanwhile."""


class IdempotencyStore(Protocol):
    """Keyed calls, each claimed by one owner at a time. Each method is atomic.

    Keys are at most 255 ASCII characters without blanks. ``now`` is the app's time in epoch seconds, never
    the store's: for how long a record is kept is told by its ``expires_at - now``, and ``GRACE``.
    """

    def claim(self, key: str, record: IdempotencyRecord, now: float) -> IdempotencyRecord | None:
        """Store ``record`` unless another, whose ``expires_at`` lies after ``now``, is in the way.

        Returns:
            The record in the way; ``None`` when the claim is granted.
        """

    def complete(self, key: str, record: IdempotencyRecord, now: float) -> bool:
        """Replace the stored record by ``record`` if its owner is still the same, expired or not.

        Returns:
            Whether it was; ``False`` when another owner claimed the key, or the record is gone.
        """

    def release(self, key: str, owner: str) -> None:
        """Delete the record if its owner is still ``owner``: the call may be made anew."""


class Fetched(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: Of the answer, whatever it is.
        headers: Names in lower case.
        body: At most the limit of the client.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetch(Protocol):
    """A small HTTP exchange: key sets, tokens, user information."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
    ) -> Fetched:
        """Send a request and read the whole answer.

        Args:
            method: ``GET`` or ``POST``.
            url: Absolute.
            headers: Of the request.
            body: Of the request.
            timeout: Seconds for the whole exchange.

        Raises:
            OSError: The server could not be reached, answered too late, or too much.
        """
