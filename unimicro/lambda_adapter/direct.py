"""Direct invocation, and everything that is no known event: answered as data.

The answer is ``{"result": ..., "exception": null | text}``, with ``failure``, the RFC 9457 document, when
it failed.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from unimicro.call_reader import read_call
from unimicro.errors import PluginError
from unimicro.frontend import FrontEnd, operation_name
from unimicro.lambda_adapter.events import EventKind, LambdaCall, deadline_of, request_id
from unimicro.metadata import Metadata
from unimicro.outcome import Failure, Left, Outcome
from unimicro.routes.answers import failed_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.app import App
    from unimicro.invocation import CallPayload, Invocation
    from unimicro.operation import Operation

log = logging.getLogger("unimicro")

MOST_KEYS = 20
LONGEST_KEY = 64


class DirectInvocation(FrontEnd[LambdaCall, dict[str, Any]], EventKind):
    """A call of an operation by name, from a program that may invoke the function.

    Either ``{"operation": "orders.place", "args": [...] | {...}, "kwargs": {...}}`` or
    ``{"method": "component:service:method", "args": [...], "kwargs": {...}}``; ``headers`` may hold metadata,
    such as the token. Any other event is refused with a failure that names its keys, never its values.
    """

    name = "lambda"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._deadline = deadline_of(app)

    def decode(self, native: LambdaCall) -> Outcome[Invocation]:
        event = native.event
        if not is_direct(event):
            return Left(_unknown(event))
        operation = event["operation"] if "operation" in event else operation_name(event["method"])
        if not isinstance(operation, str):
            return _malformed("operation", "expected 'service.method' or 'component:service:method'")
        payload = _arguments(event)
        if isinstance(payload, Failure):
            return Left(payload)
        headers = event.get("headers") or {}
        if not (isinstance(headers, dict) and all(isinstance(value, str) for value in headers.values())):
            return _malformed("headers", "expected an object of strings")
        return self.call_invocation(
            operation,
            payload,
            Metadata(headers),
            native=native,
            deadline=self._deadline(native.context),
            request_id=request_id(native.context),
        )

    def encode(
        self,
        native: LambdaCall,  # noqa: ARG002 - every door's interface
        invocation: Invocation | None,
        outcome: Outcome[Any],
    ) -> dict[str, Any]:
        result = self.result_of(invocation, outcome, _as_data)
        if isinstance(result, Failure):
            return failed_call(result, invocation)
        return {"result": result, "exception": None}

    def refuse(self, native: LambdaCall, failure: Failure) -> dict[str, Any]:
        return self.encode(native, None, Left(failure))


def is_direct(event: object) -> bool:
    """Whether the event names an operation."""
    if not isinstance(event, dict):
        return False
    method = event.get("method")
    return "operation" in event or (isinstance(method, str) and ":" in method)


def _arguments(event: Mapping[str, Any]) -> CallPayload | Failure:
    named = event.get("args")
    if not isinstance(named, dict):
        return read_call(event)
    rest = read_call({"kwargs": event.get("kwargs", {})})
    if isinstance(rest, Failure):
        return rest
    return read_call({"kwargs": {**named, **rest.kwargs}})


def _malformed(name: str, message: str) -> Outcome[Any]:
    errors = [{"name": name, "message": message}]
    return Left(Failure("invalid_argument", "malformed call", errors=errors, layer="arguments"))


def _as_data(operation: Operation, result: Any) -> Any:
    """Through JSON: the runtime itself knows no dataclass, Enum or datetime."""
    return json.loads(operation.encode_json(result))


def _unknown(event: object) -> Failure:
    """The failure of an event of no known kind: its keys are named, its values may be secret."""
    if isinstance(event, dict):
        keys = ", ".join(str(key)[:LONGEST_KEY] for key in list(event)[:MOST_KEYS])
        text = f"no known kind of Lambda event has the keys: {keys or 'none at all'}"
        failure = Failure("unimplemented", text, layer="lambda")
    else:
        text = f"the Lambda event must be an object, not {type(event).__name__}"
        failure = Failure("invalid_argument", text, layer="lambda")
    log.warning("%s", text)
    return failure


class PluginEvent(EventKind):
    """A kind of event that a plugin recognises and answers."""

    def __init__(self, name: str, respond: Callable[[Mapping[str, Any], Any], Any]) -> None:
        self._name = name
        self._respond = respond

    def handle(self, native: LambdaCall) -> Any:
        try:
            return self._respond(*native)
        except Exception as error:
            raise PluginError(f"the plugin that answers Lambda events {self._name!r} raised") from error

    def refuse(self, native: LambdaCall, failure: Failure) -> dict[str, Any]:  # noqa: ARG002 - every kind's
        return failed_call(failure, None)
