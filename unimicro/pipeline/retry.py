"""Retry with backoff, for calls declared repeatable: within the deadline and within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError, ServiceError
from unimicro.options import listed
from unimicro.outcome import Failure, Outcome, failure_of
from unimicro.pipeline.backoff import Schedule, require_kind, schedule_of
from unimicro.pipeline.budget import DEFAULT_BUDGET, Budget
from unimicro.pipeline.listeners import Rejection, Retrying
from unimicro.pipeline.policy import (
    MOST_SECONDS,
    Bound,
    Policy,
    require_above_zero,
    require_flag,
    require_whole,
)
from unimicro.pipeline.stages import ORDER, Pause, Stage, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.budget import Spending
    from unimicro.pipeline.policy import Assembly

_NEVER = ("canceled", "unauthenticated", "permission_denied", "invalid_argument", "unimplemented")
_DEFAULT_ATTEMPTS = 3


@dataclass(frozen=True)
class Retry(Policy):
    """Call again after a failure that may pass.

    The wait before each retry is drawn as ``backoff`` says; a ``retry_after`` of the failure is honoured
    exactly, and a failure with ``details={"retry": False}`` is final. A wait that would reach the deadline
    is not begun. A breaker's rejection is not retried: it says that now is no time to come.

    Args:
        attempts: Calls in all, the first included; 1 means no retry.
        base: Seconds: first bound of a jitter, each wait of ``constant``.
        cap: Seconds: no drawn wait is longer.
        backoff: ``full_jitter``, ``constant``, ``linear``, ``exponential``, ``decorrelated``, or a function
            of (number of the attempt that failed, its failure) to seconds.
        start: Seconds: first wait of ``linear``; ``base`` if ``None``.
        increment: Seconds that each wait of ``linear`` adds; ``base`` if ``None``.
        max_wait: Seconds: longest wait of ``linear``; ``cap`` if ``None``.
        max_retries: ``attempts`` without the first call: 0 means no retry (and not "without end").
        only: Exception classes, or their names: retry these, whatever their code, and nothing else.
        budget: How much load retries may add; ``None`` for no limit.
        wait_for_probe: Wait for an open breaker, exactly until it lets a probe through.
    """

    attempts: int = _DEFAULT_ATTEMPTS
    base: float = 0.05
    cap: float = 20.0
    backoff: str | Callable[[int, Failure], float] = "full_jitter"
    start: float | None = None
    increment: float | None = None
    max_wait: float | None = None
    max_retries: int | None = None
    only: Sequence[type[BaseException] | str] = ()
    budget: Budget | None = DEFAULT_BUDGET
    wait_for_probe: bool = False
    name = "retry"

    def __post_init__(self) -> None:
        require_whole(self, attempts=self.attempts)
        require_above_zero(self, base=self.base, cap=self.cap)
        require_flag(self, wait_for_probe=self.wait_for_probe)
        require_kind(self.backoff)
        self._check_linear()
        if self.max_retries is not None:
            require_whole(self, 0, max_retries=self.max_retries)
            if self.attempts not in (_DEFAULT_ATTEMPTS, self.max_retries + 1):
                raise DefinitionError("Retry: attempts and max_retries contradict each other; give one")
            object.__setattr__(self, "attempts", self.max_retries + 1)
        object.__setattr__(self, "only", _checked_types(self.only))
        object.__setattr__(self, "budget", Budget.of(self.budget, "Retry"))

    def _check_linear(self) -> None:
        settings = {"start": self.start, "increment": self.increment, "max_wait": self.max_wait}
        given = {name: value for name, value in settings.items() if value is not None}
        require_above_zero(self, **given)
        if given and self.backoff != "linear":
            raise DefinitionError(f"Retry.{next(iter(given))} is a setting of backoff='linear' only")

    def check(self, options: EntryOptions) -> None:
        """Refuse entries that were not declared repeatable.

        A failure's ``layer`` does not prove that nothing was done: a method may hand on what a nested call
        came back with.
        """
        if not options.repeatable and self.attempts > 1:
            raise DefinitionError(
                "a retry needs an entry that may be repeated: declare safe=True, idempotent=True or key='...'"
            )

    def repeats(self, failure: Failure) -> bool:
        """Whether a call that came to ``failure`` may be made again; a derived policy may know of fewer."""
        return True

    def worst_case(self, below: Bound) -> Bound:
        """Counts the waits of ``backoff``; a longer ``retry_after`` is bounded by the deadline alone."""
        waits = sum(map(self._schedule().longest, range(1, self.attempts)))
        return Bound(self.attempts * below.seconds + waits, self.attempts * below.attempts)

    def _schedule(self) -> Schedule:
        return schedule_of(self.backoff, self.base, self.cap, self.start, self.increment, self.max_wait)

    def stage(self, operation: Operation, assembly: Assembly) -> Stage | None:
        if self.attempts == 1:
            return None
        work = _Retrying(self, self._schedule(), operation, assembly)
        around = None if work.spending is None else work.spending.counted
        return Stage(self.name, ORDER["retry"], work.recover, "recovery", around=around)


class _Retrying:
    """The retry of one operation."""

    def __init__(self, settings: Retry, schedule: Schedule, operation: Operation, assembly: Assembly) -> None:
        self._settings = settings
        self._draw = schedule.draw
        self._operation = operation.name
        self._now = assembly.clock.now
        self._listeners = assembly.listeners
        self._classes = tuple(kind for kind in settings.only if isinstance(kind, type))
        self._names = {kind if isinstance(kind, str) else kind.__name__ for kind in settings.only}
        self.spending: Spending | None = None
        if settings.budget is not None:
            self.spending = settings.budget.spending(settings.name, operation, assembly)

    def recover(self, invocation: Invocation, outcome: Outcome[Any]) -> Steps:
        wait = 0.0
        for attempt in range(1, self._settings.attempts):
            failure = failure_of(outcome)
            if not self._may_pass(failure):
                break
            pushback = failure.retry_after
            wait = self._draw(attempt, failure, wait) if pushback is None else pushback
            if invocation.deadline is not None and self._now() + wait >= invocation.deadline:
                break
            if wait > MOST_SECONDS:
                # No clock can wait that long.
                break
            if self.spending is not None and not self.spending.withdraw():
                # The caller gets the failure as it is: the budget is the business of this side.
                self._listeners.reject(Rejection(self._operation, invocation.id, "retry", failure))
                break
            if self._settings.mode == "enforce":
                self._listeners.retry(
                    Retrying(self._operation, invocation.id, invocation.attempt, wait, failure)
                )
            yield Pause(wait)
            invocation = invocation.next_attempt(failure)
            outcome = yield invocation
            if outcome.monoid[1]:
                break
        return outcome

    def _may_pass(self, failure: Failure) -> bool:
        """Whether the entry, which is repeatable, should be called again after ``failure``."""
        if failure.details is not None and failure.details.get("retry") is False:
            return False
        if not self._settings.repeats(failure):
            return False
        if failure.layer == "breaker":
            return self._settings.wait_for_probe and failure.retry_after is not None
        if self._names:
            return self._is_listed(failure)
        return failure.retryable != "no"

    def _is_listed(self, failure: Failure) -> bool:
        if failure.code in _NEVER:
            return False
        if isinstance(failure.cause, self._classes) or failure.error_type in self._names:
            return True
        # What came over a wire, or was returned instead of raised, has no cause: its code stands for it.
        names = {kind.__name__ for kind in type(failure.cause).__mro__} | {_CLASS_OF[failure.code]}
        return not names.isdisjoint(self._names)


_CLASS_OF: dict[str, str] = {
    # A service may derive its own, with the same codes.
    kind.code: kind.__name__
    for kind in ServiceError.__subclasses__()
    if kind.__module__ == ServiceError.__module__
}


def _checked_types(only: Any) -> tuple[type[BaseException] | str, ...]:
    """The allow-list of ``Retry.only``: classes, or their names as a configuration has them.

    Raises:
        DefinitionError: One is neither, or is one that no repetition helps.
    """
    for kind in listed("Retry.only", only):
        is_class = isinstance(kind, type) and issubclass(kind, BaseException)
        if not (is_class or (isinstance(kind, str) and kind)):
            raise DefinitionError(f"Retry.only takes exception classes, not {kind!r}")
        if getattr(kind, "code", "") in _NEVER:
            raise DefinitionError(f"Retry.only: {kind.__name__} is {kind.code}, which no repetition helps")
    return tuple(only)
