"""Hedge: ask again while the first answer is awaited, and take whichever comes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError
from unimicro.pipeline.budget import DEFAULT_BUDGET, Budget, Spending
from unimicro.pipeline.hedging import Rules, race_tasks, race_threads
from unimicro.pipeline.policy import Bound, Policy, require_above_zero, require_whole
from unimicro.pipeline.stages import ORDER, Bracket, Layer, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.outcome import Outcome
    from unimicro.pipeline.policy import Assembly


@dataclass(frozen=True)
class Hedge(Policy):
    """Start the call once more when it has not answered after ``delay``; the first answer wins.

    Against the slow tail of a dependency that has several instances (Dean and Barroso, "The Tail at Scale",
    2013): put ``delay`` at the time that 95 % of the calls keep, and use it on the calling side. A failure
    that may pass waits for the attempts that still run, and starts none: that is what a retry is for. On
    the async driver the losers are cancelled; on the sync one each attempt has a thread, and they run on.

    Args:
        delay: Seconds.
        max_hedges: Attempts beyond the first, each ``delay`` after the one before.
        budget: How much load they may add; ``None`` for no limit.
    """

    delay: float
    max_hedges: int = 1
    budget: Budget | None = DEFAULT_BUDGET
    name = "hedge"

    def __post_init__(self) -> None:
        require_above_zero(self, delay=self.delay)
        require_whole(self, max_hedges=self.max_hedges)
        object.__setattr__(self, "budget", Budget.of(self.budget, "Hedge"))

    def check(self, options: EntryOptions) -> None:
        if not options.safe:
            raise DefinitionError("a hedge runs a call twice at the same time: declare safe=True")

    def worst_case(self, below: Bound) -> Bound:
        return Bound(self.max_hedges * self.delay + below.seconds, (1 + self.max_hedges) * below.attempts)

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        if self.mode == "shadow":
            watch = _Watch(self.delay, operation.name, assembly)
            return Stage(self.name, ORDER["hedge"], Bracket(watch.enter, watch.leave), "bracket")
        spending = None if self.budget is None else self.budget.spending(self.name, operation, assembly)
        rules = Rules(self.delay, self.max_hedges, _permission(assembly.clock.now, spending), assembly.clock)
        counted = _as_it_is if spending is None else spending.counted
        layer = Layer(
            lambda below: counted(race_threads(below, rules)), lambda below: counted(race_tasks(below, rules))
        )
        return Stage(self.name, ORDER["hedge"], layer, "layer")


def _as_it_is(runner: Callable[[Invocation], Any]) -> Callable[[Invocation], Any]:
    return runner


def _permission(now: Callable[[], float], spending: Spending | None) -> Callable[[Invocation], bool]:
    def may_start(invocation: Invocation) -> bool:
        if invocation.deadline is not None and now() >= invocation.deadline:
            return False
        return spending is None or spending.withdraw()

    return may_start


class _Watch:
    """Shadow mode: notes the calls that would have been hedged."""

    def __init__(self, delay: float, operation: str, assembly: Assembly) -> None:
        self._delay = delay
        self._operation = operation
        self._now = assembly.clock.now
        self._listeners = assembly.listeners

    def enter(self, invocation: Invocation) -> tuple[float, str]:
        return self._now(), invocation.id

    def leave(self, begun: tuple[float, str], _: Outcome[Any] | None) -> None:
        begin, invocation_id = begun
        if self._now() - begin > self._delay:
            self._listeners.would_differ(self._operation, "hedge", invocation_id, "called again")
