"""What every kind of Lambda event has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.outcome import Failure


class LambdaCall(NamedTuple):
    """One call of the function, as the Lambda runtime makes it.

    Attributes:
        event: Parsed JSON.
        context: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html; may be ``None`` in tests.
    """

    event: Any
    context: Any


Recogniser = Callable[[Mapping[str, Any]], bool]
"""Whether an event is of one kind, told by its shape. Cheap: asked for each event."""


class EventKind(ABC):
    """Serves the events of one kind."""

    @abstractmethod
    def handle(self, native: LambdaCall) -> Any:
        """The answer that the source of the event expects."""

    @abstractmethod
    def refuse(self, native: LambdaCall, failure: Failure) -> Any:
        """The answer, in the same shape, to an event that could not be served."""


def request_context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the gateway says about a request; empty where an event has nothing of the kind."""
    found = event.get("requestContext")
    return found if isinstance(found, dict) else {}


def request_id(context: Any) -> str:
    """Lambda's id of the call; empty where the context has none."""
    found = getattr(context, "aws_request_id", "")
    return found if isinstance(found, str) else ""


def deadline_of(app: App) -> Callable[[Any], float | None]:
    """A function from a context to when the answer must be there, in monotonic seconds.

    That is Lambda's own limit less the reserve; ``None`` where the context knows no limit.
    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html: ``get_remaining_time_in_millis``.
    """
    now, reserve = app.clock.now, app.settings.deadline_reserve

    def deadline(context: Any) -> float | None:
        try:
            remaining = context.get_remaining_time_in_millis()
        except AttributeError:
            return None
        return now() + remaining / 1000 - reserve if isinstance(remaining, (int, float)) else None

    return deadline
