"""Timeout: the bound of one attempt, inside the deadline of them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.outcome import Failure, Left, Outcome, failure_of
from unimicro.pipeline.policy import Bound, Policy, require_above_zero
from unimicro.pipeline.stages import ORDER, Stage, Steps

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly


@dataclass(frozen=True)
class Timeout(Policy):
    """Give each attempt ``seconds``; a retry outside makes the next one with the time that is left.

    For what lies below it is the deadline: an async method is cancelled; a sync one cannot be, its late
    result is dropped. The failure is ``deadline_exceeded``, layer ``timeout``; its cause is a
    ``TimeoutError``. A deadline that is sooner holds instead.

    Args:
        seconds: From the start of the attempt.
    """

    seconds: float
    name = "timeout"

    def __post_init__(self) -> None:
        require_above_zero(self, seconds=self.seconds)

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        now, seconds = assembly.clock.now, self.seconds

        def within(invocation: Invocation) -> Steps:
            limit = now() + seconds
            if invocation.deadline is not None and invocation.deadline <= limit:
                return (yield invocation)
            outcome = yield invocation.with_deadline(limit)
            # Below it was the deadline; an answer that came too late was dropped there already.
            return outcome if now() < limit else _too_late(seconds, outcome)

        return Stage(self.name, ORDER["timeout"], within, "flow")

    def worst_case(self, below: Bound) -> Bound:
        return below._replace(seconds=min(below.seconds, self.seconds))


def _too_late(seconds: float, outcome: Outcome[Any]) -> Outcome[Any]:
    text = f"no answer within {seconds:g} s"
    failure = Failure("deadline_exceeded", text, layer="timeout", policy="timeout", cause=TimeoutError(text))
    failure.dropped = outcome if outcome.monoid[1] else failure_of(outcome).dropped
    return Left(failure)
