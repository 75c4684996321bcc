"""Idempotency keys: a call that is made twice has the effect of one, and the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unimicro.errors import DefinitionError
from unimicro.pipeline.policy import Bound, Policy, require_seconds, require_whole
from unimicro.pipeline.stages import ORDER, Stage

if TYPE_CHECKING:
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import IdempotencyStore


@dataclass(frozen=True)
class Idempotency(Policy):
    """Run a call once for each key, and answer its repetitions as the first one was.

    The key is the caller's ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key), or the argument that
    the entry names with ``key=``. It counts for one principal and one operation. Successes and permanent
    failures are kept; a failure that may pass sets the key free.

    Args:
        required: A call without a key is refused.
        on_duplicate: ``reject`` what comes while the first call runs, or let it ``wait`` for the answer.
        lease: Seconds for which a call has its key to itself; longer than any call takes. One that crashed
            can be made again after that.
        retention: Seconds for which an answer is kept.
        store: A name of the configuration's ``[stores]``, or a store.
        on_outage: While the store does not work, ``fail`` keyed calls or ``run`` them unprotected.
        max_bytes: Size of the largest answer that is kept.
        poll: Seconds between two looks of a call that waits.

    Raises:
        DefinitionError: A setting is impossible.
    """

    required: bool = False
    on_duplicate: Literal["reject", "wait"] = "reject"
    lease: float = 60.0
    retention: float = 86_400.0
    store: str | IdempotencyStore = "memory"
    on_outage: Literal["fail", "run"] = "fail"
    max_bytes: int = 256 * 1024
    poll: float = 0.1
    name = "idempotency"

    def __post_init__(self) -> None:
        require_seconds(self, lease=self.lease, retention=self.retention, poll=self.poll)
        require_whole(self, max_bytes=self.max_bytes)
        _require_one_of("required", self.required, (True, False))
        _require_one_of("on_duplicate", self.on_duplicate, ("reject", "wait"))
        _require_one_of("on_outage", self.on_outage, ("fail", "run"))

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        from unimicro.pipeline.idempotent_calls import KeyedCalls

        where = f"Idempotency.store of {operation.name}"
        store = assembly.store("idempotency", self.store, where)
        for method in ("claim", "complete", "release"):
            if not callable(getattr(store, method, None)):
                raise DefinitionError(f"{where}: {store!r} has no method {method}")
        return Stage(
            self.name, ORDER["idempotency"], KeyedCalls(self, operation, assembly.clock, store).flow, "flow"
        )

    def worst_case(self, below: Bound) -> Bound:
        """One that waits does so for a lease at most, and may then have to make the call itself."""
        waited = self.lease if self.on_duplicate == "wait" else 0.0
        return Bound(below.seconds + waited, below.attempts)


def _require_one_of(name: str, value: object, known: tuple[object, ...]) -> None:
    if not any(value is one or (type(value) is str and value == one) for one in known):
        allowed = " or ".join(map(repr, known))
        raise DefinitionError(f"Idempotency.{name} must be {allowed}, got {value!r}")
