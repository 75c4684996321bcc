"""Deadlines: absolute and monotonic inside, inherited from the caller, never extended."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.outcome import Failure, Left, Outcome
from unimicro.pipeline.policy import Bound, Policy, require_above_zero
from unimicro.pipeline.stages import ORDER, Stage

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")


@dataclass(frozen=True)
class Deadline(Policy):
    """Answer within ``timeout`` seconds of arrival, or by the caller's deadline if that is sooner.

    ``timeout=None`` keeps only the caller's. Work whose deadline has passed is not started. An async
    method is cancelled at the deadline; a sync one cannot be, its late result is dropped and logged.
    """

    timeout: float | None = None
    name = "deadline"

    def __post_init__(self) -> None:
        if self.timeout is not None:
            require_above_zero(self, timeout=self.timeout)

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        now, timeout = assembly.clock.now, self.timeout

        def within_deadline(invocation: Invocation) -> Invocation | Outcome[Any]:
            deadline = invocation.deadline
            if deadline is None:
                return invocation if timeout is None else invocation.with_deadline(now() + timeout)
            present = now()
            if deadline <= present:
                return Left(expired("not started: "))
            if timeout is not None and present + timeout < deadline:
                invocation = invocation.with_deadline(present + timeout)
            return invocation

        return Stage(self.name, ORDER["deadline"], within_deadline)

    def worst_case(self, below: Bound) -> Bound:
        return below if self.timeout is None else below._replace(seconds=min(below.seconds, self.timeout))


class PastDeadline(Exception):
    """What a stage waited for was cut off at the deadline of its call."""


def expired(prefix: str = "") -> Failure:
    """The failure of work that was not done in time."""
    return Failure(
        "deadline_exceeded", f"{prefix}the deadline has passed", layer="deadline", policy="deadline"
    )


def late(
    invocation: Invocation, cause: BaseException | None = None, dropped: Outcome[Any] | None = None
) -> Outcome[Any]:
    """The outcome of a call that came back after its deadline; the caller does not get what it brought."""
    if not isinstance(cause, TimeoutError):
        log.warning(
            "%s answered after its deadline (invocation %s)",
            invocation.operation,
            invocation.id,
            exc_info=cause,
        )
    failure = expired()
    failure.dropped = dropped
    return Left(failure)
