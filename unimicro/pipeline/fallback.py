"""Fallback: another answer when the real one fails."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError, nearest
from unimicro.options import listed
from unimicro.outcome import CODES, Failure, Outcome, Right, failure_of
from unimicro.pipeline.deadline import late
from unimicro.pipeline.policy import Policy
from unimicro.pipeline.stages import ORDER, Await, Do, Stage, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")


@dataclass(frozen=True)
class Fallback(Policy):
    """Answer with something else when the call failed, retries included. Each such answer is logged.

    By default after the codes that a breaker counts as failures, and after a bulkhead's refusal; never
    after a mistake of the caller.

    Args:
        value: The answer. All callers get this very object: for one that they may change, give a function.
        function: From the failure to the answer, sync or async; may return whatever the method may. If it
            raises, the first failure stands. Not called once the deadline has passed, and cut off there.
        on: Codes that call for it, instead of those above.
    """

    value: Any = ...
    function: Callable[[Failure], Any] | None = None
    on: Sequence[str] | None = None
    name = "fallback"

    def __post_init__(self) -> None:
        if (self.value is ...) is (self.function is None):
            raise DefinitionError("Fallback needs either value or function")
        if self.function is not None and not callable(self.function):
            raise DefinitionError(f"Fallback.function must be a function, got {self.function!r}")
        if self.on is not None:
            object.__setattr__(self, "on", listed("Fallback.on", self.on))
            for code in self.on:
                if not isinstance(code, str) or code not in CODES:
                    raise DefinitionError(
                        f"Fallback.on: {code!r} is no failure code{nearest(str(code), CODES)}"
                    )

    def stage(self, operation: Operation, assembly: Assembly) -> Stage:
        now, step = assembly.clock.now, Await if _is_async(self.function) else Do

        def falling_back(invocation: Invocation, outcome: Outcome[Any]) -> Steps:
            failure = failure_of(outcome)
            if not self._is_for(failure):
                return outcome
            if self.function is None:
                _log(invocation, failure)
                return Right(self.value)
            if invocation.deadline is not None and now() >= invocation.deadline:
                return outcome
            try:
                answer = operation.outcome((yield step(self.function, failure)))
            except Exception:
                log.exception(
                    "the fallback of %s raised (invocation %s)", invocation.operation, invocation.id
                )
                return outcome
            if invocation.deadline is not None and now() >= invocation.deadline:
                return late(invocation, dropped=answer)
            _log(invocation, failure)
            return answer

        return Stage(self.name, ORDER["fallback"], falling_back, "recovery")

    def _is_for(self, failure: Failure) -> bool:
        if self.on is not None:
            return failure.code in self.on
        return CODES[failure.code].breaker == "failure" or failure.layer == "bulkhead"


def _is_async(function: object) -> bool:
    """Whether it is awaited; of an object that is called, its method tells."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _log(invocation: Invocation, failure: Failure) -> None:
    log.warning(
        "%s answers with its fallback after %s (invocation %s)",
        invocation.operation,
        failure.code,
        invocation.id,
    )
