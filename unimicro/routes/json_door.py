"""The base of doors that carry calls by name as JSON, whatever their transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.call_reader import read_call
from unimicro.forms import malformed_body
from unimicro.frontend import Answer, FrontEnd, Native
from unimicro.outcome import Either, Failure, Left, Outcome, Right
from unimicro.routes.answers import problem_json
from unimicro.routes.request import body_too_large
from unimicro.wire import from_json

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.metadata import Metadata


class JsonDoor(FrontEnd[Native, Answer]):
    """A door with the two halves that every JSON wire format shares.

    What is left to a subclass is its framing: where a native request keeps the operation, the metadata and
    the body, and how an answer tells a result from a failure.
    """

    def json_invocation(
        self, operation: object, body: bytes, metadata: Metadata, **context: Any
    ) -> Outcome[Invocation]:
        """The invocation that a call envelope in JSON asks for; for ``decode``.

        Args:
            operation: Qualified name, as it came: ``orders.place``.
            body: ``{"args": [...], "kwargs": {...}}``, both, one or neither.
            metadata: Header fields.
            context: Keywords of ``FrontEnd.invocation``.

        Returns:
            ``Left`` for a body above ``max_body_bytes`` (413), one that is no JSON (400), one that is no
            envelope (400 or 422), and an operation that is no entry of the app (501).
        """
        limit = self.app.settings.max_body_bytes
        if len(body) > limit:
            return Left(body_too_large(limit))
        try:
            payload = read_call(from_json(body))
        except ValueError as error:
            return Left(malformed_body(str(error)))
        if isinstance(payload, Failure):
            return Left(payload)
        return self.call_invocation(operation, payload, metadata, **context)

    def json_outcome(self, invocation: Invocation | None, outcome: Outcome[Any]) -> Either[bytes, bytes]:
        """The outcome as one line of JSON; for ``encode``.

        Returns:
            ``Right`` of the result, or ``Left`` of the failure's RFC 9457 document. A result that has no
            wire form is logged and becomes ``internal``.
        """
        body = self.result_of(invocation, outcome, lambda operation, value: operation.encode_json(value))
        return Left(problem_json(body, invocation)) if isinstance(body, Failure) else Right(body)
