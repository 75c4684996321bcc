"""Retry with backoff: full jitter, bounded by the deadline, for calls declared repeatable."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError
from unimicro.outcome import Failure, Outcome, failure_of
from unimicro.pipeline.policy import Policy, require_above_zero
from unimicro.pipeline.stages import ORDER, Pause, Stage, Steps

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.policy import Assembly


@dataclass(frozen=True)
class Retry(Policy):
    """Call again after a failure that may pass.

    The wait before retry *n* (from 0) is drawn from ``U(0, min(cap, base * 2**n))``, "full jitter"
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/); a ``retry_after`` of the
    failure is honoured exactly. A wait that would reach the deadline is not begun.

    Args:
        attempts: Calls in all, the first included; 1 means no retry.
        base: Seconds.
        cap: Seconds; no drawn wait is longer.
    """

    attempts: int = 3
    base: float = 0.05
    cap: float = 20.0
    name = "retry"

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise DefinitionError(f"Retry.attempts must be a whole number from 1, got {self.attempts!r}")
        require_above_zero(self, base=self.base, cap=self.cap)

    def check(self, options: EntryOptions) -> None:
        if not options.repeatable and self.attempts > 1:
            raise DefinitionError(
                "a retry needs an entry that may be repeated: declare safe=True, idempotent=True or key='...'"
            )

    def stage(self, operation: Operation, assembly: Assembly) -> Stage | None:
        if self.attempts == 1:
            return None
        attempts, now = self.attempts, assembly.clock.now

        def retrying(invocation: Invocation, outcome: Outcome[Any]) -> Steps:
            for retried in range(attempts - 1):
                failure = failure_of(outcome)
                if not _may_pass(failure):
                    return outcome
                delay = self._delay(retried, failure)
                if invocation.deadline is not None and now() + delay >= invocation.deadline:
                    return outcome
                yield Pause(delay)
                invocation = invocation.next_attempt(failure)
                outcome = yield invocation
                if outcome.monoid[1]:
                    break
            return outcome

        return Stage(self.name, ORDER["retry"], retrying, "recovery")

    def _delay(self, retried: int, failure: Failure) -> float:
        if failure.retry_after is not None:
            return failure.retry_after
        # The exponent is bounded: 2.0**1024 is no float.
        return random.uniform(0, min(self.cap, self.base * 2.0 ** min(retried, 60)))  # noqa: S311


def _may_pass(failure: Failure) -> bool:
    """The entry is repeatable (checked at definition); a breaker's rejection says: do not come now."""
    return failure.retryable != "no" and failure.layer != "breaker"
