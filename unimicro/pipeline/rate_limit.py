"""Rate limit: so many calls in a time, per caller."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.policy import Policy, require_above_zero, require_text, require_whole
from unimicro.pipeline.stages import ORDER, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock

_LONGEST_KEY = 64


@dataclass(frozen=True)
class RateLimit(Policy):
    """Let each caller make ``rate`` calls per ``per`` seconds, ``burst`` of them at once.

    A token bucket, kept as the time at which it is full again (GCRA, ITU-T I.371). A call too many is
    refused with ``resource_exhausted``, layer ``rate_limit``, and the exact time until the next is allowed.
    Counted in this process only.

    Args:
        rate: Calls, above 0.
        per: Seconds.
        burst: Calls at once; ``rate``, rounded up, if ``None``.
        key: Who a caller is: ``principal`` (its subject; all without one are one), ``all`` for one limit for
            everybody, else the name of a header field (all without it are one).
        max_entries: Callers remembered. Beyond it the one that was not seen for longest begins anew.
        limiter: Entries that name the same limiter share it; the operation's own if empty.
    """

    rate: float
    per: float = 1.0
    burst: int | None = None
    key: str = "principal"
    max_entries: int = 10_000
    limiter: str = ""
    name = "rate_limit"

    def __post_init__(self) -> None:
        require_above_zero(self, rate=self.rate, per=self.per)
        require_whole(self, max_entries=self.max_entries)
        if self.burst is not None:
            require_whole(self, burst=self.burst)
        require_text(self, key=self.key)
        require_text(self, 0, limiter=self.limiter)

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        name = self.limiter or operation.name
        limiter = assembly.shared("rate limit", name, lambda: _Limiter(name, self, assembly.clock), self)
        return Stage(self.name, ORDER["rate_limit"], limiter.guard)


class _Limiter:
    """The callers of one limit. The lock guards the bookkeeping only."""

    def __init__(self, name: str, settings: RateLimit, clock: Clock) -> None:
        self._settings = settings
        self._name = name
        self._now = clock.now
        self._key = _key_of(settings.key)
        self._interval = settings.per / settings.rate
        burst = settings.burst or math.ceil(settings.rate)
        self._tolerance = (burst - 1) * self._interval
        self._lock = Lock()
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When the bucket of a caller is full again, least recently seen first."""

    def guard(self, invocation: Invocation) -> Invocation | Outcome[Any]:
        wait = self._take(self._key(invocation))
        if wait <= 0:
            return invocation
        text = f"more than {self._settings.rate:g} calls in {self._settings.per:g} s"
        failure = Failure("resource_exhausted", text, layer="rate_limit", policy=self._name, retry_after=wait)
        return Left(failure)

    def _take(self, key: str) -> float:
        """Take one token; the seconds until there is one, if there is none."""
        now = self._now()
        with self._lock:
            full_at = max(self._full_at.get(key, now), now)
            wait = full_at - self._tolerance - now
            # Rounding: a caller that waited exactly as long as it was told must pass.
            if wait > 1e-9:
                self._full_at.move_to_end(key)
                return wait
            self._full_at[key] = full_at + self._interval
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._settings.max_entries:
                self._full_at.popitem(last=False)
        return 0.0


def _key_of(key: str) -> Callable[[Invocation], str]:
    if key == "all":
        return lambda _: ""
    if key == "principal":
        return lambda invocation: _bounded(invocation.principal.subject if invocation.principal else "")
    field = key.lower()
    return lambda invocation: _bounded(invocation.metadata.get(field, ""))


def _bounded(key: str) -> str:
    """Short keys as they are; a caller chooses the others, and may not fill the memory with them."""
    # A header may hold what is no Unicode.
    return key if len(key) < _LONGEST_KEY else sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
