"""What every kind of Lambda event has in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.frontend import FrontEnd
from unimicro.outcome import Either, Failure, Left

if TYPE_CHECKING:
    from collections.abc import Mapping


class LambdaCall(NamedTuple):
    """One call of the function, as the Lambda runtime makes it.

    Attributes:
        event: Parsed JSON.
        context: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html; may be ``None`` in tests.
    """

    event: Any
    context: Any


class EventKind(FrontEnd[LambdaCall, Any]):
    """One kind of event: recognises it, and is a small door for it."""

    name = "lambda"

    @abstractmethod
    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether ``event`` is of this kind, told by its shape. Cheap: asked for each event."""

    def refuse(self, native: LambdaCall, failure: Failure) -> Any:
        """The answer, in the shape of this kind, to an event that could not be served."""
        return self.encode(native, None, Left(failure))

    def request_id(self, context: Any) -> str:
        """Lambda's id of the call; empty where the context has none."""
        request_id = getattr(context, "aws_request_id", "")
        return request_id if isinstance(request_id, str) else ""

    def deadline(self, context: Any) -> float | None:
        """When the answer must be there, in monotonic seconds: Lambda's own limit less the reserve.

        https://docs.aws.amazon.com/lambda/latest/dg/python-context.html: ``get_remaining_time_in_millis``.
        """
        try:
            remaining = context.get_remaining_time_in_millis()
        except AttributeError:
            return None
        if not isinstance(remaining, int | float):
            return None
        return self.app.clock.now() + remaining / 1000 - self.app.settings.deadline_reserve


def no_invocation(kind: str) -> Either[Failure, Any]:
    """What ``decode`` says of events that are answered without calling an operation."""
    return Left(Failure("unimplemented", f"{kind} events call no operation", layer="lambda"))
