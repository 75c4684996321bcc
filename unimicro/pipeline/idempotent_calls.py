"""The stage of keyed calls: claim the key, run the call or answer as the first one was, tell the store."""

from __future__ import annotations

import logging
import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.invocation import new_id
from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.ports import IdempotencyRecord
from unimicro.pipeline.stages import Do, Pause, Steps
from unimicro.pipeline.stored_outcome import StoredOutcomes, UnstorableError
from unimicro.pipeline.stored_values import StoredValues, digest, identity, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.idempotency import Idempotency
    from unimicro.pipeline.ports import Clock, IdempotencyStore

log = logging.getLogger("unimicro")

MAX_KEY = 255
"""Characters of a key."""
COME_BACK = 1.0
"""Most seconds that a caller is told to wait for a call in progress, or for a store."""
_NOT_KEPT = b""
"""Stands for an answer that could not be kept: no outcome is written as nothing."""
_VALUES = StoredValues()


class _Call(NamedTuple):
    """One keyed call: where its record is, and what it claims it with."""

    key: str
    claim: IdempotencyRecord

    @property
    def owned(self) -> tuple[str, str]:
        return self.key, self.claim.owner


class _Claiming:
    """A claim made in a worker thread, which goes on when its caller is cut off.

    Of the two who find out, that it is granted and that nobody wants it, the later one gives the key back;
    both may.
    """

    def __init__(self, claim: Callable[[], IdempotencyRecord | None], give_back: Callable[[], None]) -> None:
        self._claim = claim
        self.give_back = give_back
        self.granted = self.unwanted = False

    def __call__(self) -> IdempotencyRecord | None:
        held = self._claim()
        self.granted = held is None
        if self.granted and self.unwanted:
            self.give_back()
        return held


class KeyedCalls:
    """The stage of one operation.

    Args:
        settings: The policy.
        operation: Whose calls they are.
        clock: Tells leases and waits.
        store: Keeps the records.
    """

    def __init__(
        self, settings: Idempotency, operation: Operation, clock: Clock, store: IdempotencyStore
    ) -> None:
        self._settings = settings
        self._operation = operation
        self._clock = clock
        self._store = store
        self._blocking = getattr(store, "blocking", True)
        self._outcomes = StoredOutcomes(operation.signature.returns, settings.max_bytes)
        self._parameter = operation.options.key
        self._patience = settings.lease if settings.on_duplicate == "wait" else 0.0
        self._threaded = not operation.is_async and operation.options.blocking

    def flow(self, invocation: Invocation) -> Steps:
        """The flow of the stage."""
        call = self._known_by(invocation)
        if isinstance(call, Failure):
            return Left(call)
        if call is None:
            return (yield invocation)
        failed = False
        try:
            outcome = yield from self._claim(call, invocation)
        except Exception:
            log.exception("%s: the store of idempotency keys failed", self._operation.name)
            failed = True
        if failed and self._settings.on_outage == "fail":
            return Left(_refused("unavailable", "idempotency keys cannot be checked", COME_BACK))
        if failed:
            return (yield invocation)
        if outcome is None:
            outcome = yield from self._run(call, invocation)
        return outcome

    # -- what a call is known by ---------------------------------------------------------------

    def _known_by(self, invocation: Invocation) -> _Call | Failure | None:
        """``None`` without a key; a failure where it is missing or cannot be one."""
        try:
            key = self._key_of(invocation)
            refusal = self._refusal(key)
            return refusal if refusal is not None or key is None else self._call(invocation, key)
        except (TypeError, ValueError, RecursionError):
            # Nested deeper than can be followed, or an object of a caller in this process.
            return _refused("invalid_argument", "the arguments cannot be compared with those of another call")

    def _key_of(self, invocation: Invocation) -> Any:
        """The key as packed data: the number 7 is another key than the text "7"."""
        if self._parameter is None:
            return invocation.key
        value = invocation.arguments.get(self._parameter)
        return None if value == "" else _VALUES.pack(value)

    def _refusal(self, key: Any) -> Failure | None:
        if key is not None:
            length = len(key if type(key) is str else to_text(key))
            too_long = f"the idempotency key has more than {MAX_KEY} characters"
            return _refused("invalid_argument", too_long) if length > MAX_KEY else None
        if not self._settings.required:
            return None
        where = "the header Idempotency-Key" if self._parameter is None else f"{self._parameter!r}"
        return _refused("invalid_argument", f"{where} is missing: this call needs an idempotency key")

    def _call(self, invocation: Invocation, key: Any) -> _Call:
        scope = [self._operation.name, identity(invocation.principal), key]
        # With the key among it, which is not stored, nobody can try out what the arguments were.
        arguments = digest([*scope, _VALUES.pack(invocation.arguments)])
        return _Call(digest(scope), IdempotencyRecord(arguments, new_id(), 0.0))

    # -- before ----------------------------------------------------------------------------------

    def _claim(self, call: _Call, invocation: Invocation) -> Steps:
        """``None`` when the key is ours; otherwise the outcome of the call that has it."""
        # Counted down, not asked of the clock: in shadow mode no time passes.
        patience = self._patience
        while True:
            now = self._clock.time()
            claim = call.claim._replace(expires_at=now + self._settings.lease)
            held = yield from self._asked(call, claim, now, invocation)
            if held is None:
                return None
            if held.fingerprint != call.claim.fingerprint:
                text = "the idempotency key was used with other arguments"
                return Left(_refused("invalid_argument", text, status=422))
            if held.answer is not None:
                return self._replayed(held.answer, invocation)
            left = held.expires_at - now
            pause = min(self._settings.poll, left, patience)
            if pause <= 0 or not self._ends_in_time(pause, invocation):
                return Left(_in_progress(min(COME_BACK, left)))
            patience -= pause
            yield Pause(pause)

    def _asked(self, call: _Call, claim: IdempotencyRecord, now: float, invocation: Invocation) -> Steps:
        """The record in the way of ``claim``. What is granted to a caller that has gone is given back."""
        if not self._blocking:
            return self._store.claim(call.key, claim, now)
        claiming = _Claiming(
            partial(self._store.claim, call.key, claim, now),
            self._telling(invocation, self._store.release, *call.owned),
        )
        try:
            return (yield Do(claiming))
        except GeneratorExit:
            claiming.unwanted = True
            if claiming.granted:
                self._aside(claiming.give_back)
            raise

    def _ends_in_time(self, pause: float, invocation: Invocation) -> bool:
        return invocation.deadline is None or self._clock.now() + pause < invocation.deadline

    def _replayed(self, answer: bytes, invocation: Invocation) -> Outcome[Any]:
        if answer != _NOT_KEPT:
            try:
                return self._outcomes.load(answer)
            except UnstorableError as error:
                self._warn(invocation, "its stored answer cannot be read", error)
        return Left(_refused("already_exists", "the call was made, but its answer was not kept"))

    # -- after -----------------------------------------------------------------------------------

    def _run(self, call: _Call, invocation: Invocation) -> Steps:
        # What the store must still be told, however this ends.
        tell = None if self._goes_on() else self._telling(invocation, self._store.release, *call.owned)
        try:
            outcome = yield invocation
            tell = self._settling(call, invocation, outcome)
            if tell is not None and self._blocking:
                yield Do(tell)
                tell = None
            return outcome
        finally:
            if tell is not None:
                self._aside(tell)

    def _settling(
        self, call: _Call, invocation: Invocation, outcome: Outcome[Any]
    ) -> Callable[[], None] | None:
        """What makes the outcome known, or the key free; ``None`` leaves it taken."""
        failure = None if outcome.monoid[1] else outcome.monoid[0]
        if failure is not None and failure.dropped is not None:
            # It came too late for the caller, but it was done.
            outcome, failure = failure.dropped, None
        if failure is not None and (failure.retryable != "no" or failure.code == "canceled"):
            if failure.code == "deadline_exceeded" and failure.layer and self._goes_on():
                return None
            return self._telling(invocation, self._store.release, *call.owned)
        now = self._clock.time()
        done = call.claim._replace(
            expires_at=now + self._settings.retention, answer=self._answer(outcome, invocation)
        )
        return self._telling(invocation, self._store.complete, call.key, done, now)

    def _goes_on(self) -> bool:
        """Whether the call goes on after it was given up: a worker thread cannot be stopped.

        Its key stays taken until its lease ends.
        """
        return self._threaded and _on_a_loop()

    def _answer(self, outcome: Outcome[Any], invocation: Invocation) -> bytes:
        try:
            return self._outcomes.dump(outcome)
        except UnstorableError as error:
            self._warn(invocation, "its answer is not kept", error)
            return _NOT_KEPT

    def _telling(
        self, invocation: Invocation, function: Callable[..., Any], *args: Any
    ) -> Callable[[], None]:
        """The call of the store, without its exceptions: the outcome is what it is."""

        def tell() -> None:
            try:
                if function(*args) is False:
                    self._warn(invocation, "it took longer than its lease, and its key is another's")
            except Exception as error:
                self._warn(invocation, "the store of idempotency keys failed after it", error)

        return tell

    def _aside(self, tell: Callable[[], None]) -> None:
        """Tell a store that never waits, or one that may, where nothing can be awaited any more."""
        if self._blocking and _on_a_loop():
            from threading import Thread

            Thread(target=tell, name="unimicro-idempotency").start()
        else:
            tell()

    def _warn(self, invocation: Invocation, what: str, error: Exception | None = None) -> None:
        log.warning("%s: %s (invocation %s)", self._operation.name, what, invocation.id, exc_info=error)


def _in_progress(seconds: float) -> Failure:
    # Only 429 and 503 have the header of themselves.
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))}
    return _refused("aborted", "a call with this idempotency key is in progress", seconds, headers=headers)


def _refused(code: str, message: str, retry_after: float | None = None, **more: Any) -> Failure:
    return Failure(code, message, layer="idempotency", policy="key", retry_after=retry_after, **more)


def _on_a_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
