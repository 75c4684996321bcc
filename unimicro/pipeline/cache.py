"""Answers of safe operations, kept for a while in this process."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import DefinitionError
from unimicro.outcome import Outcome, Response
from unimicro.pipeline.policy import Policy, require_above_zero, require_whole
from unimicro.pipeline.stages import ORDER, Stage, Steps
from unimicro.pipeline.stored_outcome import StoredOutcomes, UnstorableError
from unimicro.pipeline.stored_values import StoredValues, digest, identity

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock

log = logging.getLogger("unimicro")

_VALUES = StoredValues()


@dataclass(frozen=True)
class Cache(Policy):
    """Answer a safe call as the last one with the same arguments was answered.

    Only successes are kept, as bytes: nobody can change what another caller gets. The least recently used one
    goes first. An answer is one principal's, and depends on nothing but its arguments: let an entry whose
    answer depends on the time, on header fields or on scopes do without. One with ``Set-Cookie`` is not kept.

    Args:
        ttl: Seconds for which an answer is kept.
        max_entries: Answers kept of one operation.
        shared: Answers are the same for all principals.
        stale_if_error: Seconds beyond ``ttl`` for which an answer stands in for a failure that may pass.
        max_bytes: Size of the largest answer that is kept.

    Raises:
        DefinitionError: A setting is impossible, or the entry is not declared ``safe``.
    """

    ttl: float = 60.0
    max_entries: int = 1000
    shared: bool = False
    stale_if_error: float = 0.0
    max_bytes: int = 64 * 1024
    name = "cache"

    def __post_init__(self) -> None:
        require_above_zero(self, ttl=self.ttl)
        require_whole(self, max_entries=self.max_entries, max_bytes=self.max_bytes)
        if type(self.shared) is not bool:
            raise DefinitionError(f"Cache.shared must be True or False, got {self.shared!r}")
        if self.stale_if_error != 0:
            require_above_zero(self, stale_if_error=self.stale_if_error)

    def check(self, options: EntryOptions) -> None:
        if not options.safe:
            raise DefinitionError("a cache needs an entry that changes nothing: declare safe=True")

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        return Stage(self.name, ORDER["cache"], _Cached(self, operation, assembly.clock).flow, "flow")


class _Entry(NamedTuple):
    answer: bytes
    kept_at: float


class _Cached:
    """The stage of one operation. The lock guards the table only, never a call."""

    def __init__(self, settings: Cache, operation: Operation, clock: Clock) -> None:
        self._settings = settings
        self._name = operation.name
        self._now = clock.now
        self._outcomes = StoredOutcomes(operation.signature.returns, settings.max_bytes)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()
        self._told = False

    def flow(self, invocation: Invocation) -> Steps:
        """The flow of the stage."""
        key = self._key(invocation)
        if key is None:
            return (yield invocation)
        found = self._find(key, self._settings.ttl)
        if found is not None:
            return found
        outcome = yield invocation
        if outcome.monoid[1]:
            self._keep(key, outcome)
        elif outcome.monoid[0].retryable == "no":
            with self._lock:
                self._entries.pop(key, None)
        else:
            return self._find(key, self._settings.ttl + self._settings.stale_if_error) or outcome
        return outcome

    def _key(self, invocation: Invocation) -> str | None:
        principal = None if self._settings.shared else invocation.principal
        try:
            return digest([identity(principal), _VALUES.pack(invocation.arguments)])
        except (TypeError, ValueError, RecursionError):
            return None  # arguments of a caller in this process that no wire could carry

    def _find(self, key: str, max_age: float) -> Outcome[Any] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or self._now() - entry.kept_at >= max_age:
                return None
            self._entries.move_to_end(key)
        with suppress(UnstorableError):
            return self._outcomes.load(entry.answer)
        return None

    def _keep(self, key: str, outcome: Outcome[Any]) -> None:
        if _sets_cookie(outcome.value):
            return
        try:
            answer = self._outcomes.dump(outcome)
        except UnstorableError as error:
            if not self._told:
                self._told = True
                log.warning("%s: an answer is not cached: %s", self._name, error)
            return
        with self._lock:
            self._entries[key] = _Entry(answer, self._now())
            self._entries.move_to_end(key)
            if len(self._entries) > self._settings.max_entries:
                self._entries.popitem(last=False)


def _sets_cookie(value: Any) -> bool:
    """A cookie is for one browser (RFC 9111 §7.3)."""
    if type(value) is not Response:
        return False
    fields = value.headers
    names = fields if isinstance(fields, Mapping) else [name for name, _ in fields]
    return any(name.lower() == "set-cookie" for name in names)
