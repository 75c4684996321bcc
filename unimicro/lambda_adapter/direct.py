"""Direct invocation, and everything that is no known event: answered as data.

The answer is ``{"result": ..., "exception": null | text}``, with ``failure``, the RFC 9457 document, when
it failed.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from unimicro.frontend import operation_name, read_call
from unimicro.invocation import CallPayload, Metadata
from unimicro.lambda_adapter.events import EventKind, LambdaCall, no_invocation
from unimicro.operation import unexpected_failure
from unimicro.outcome import Either, Failure, Left, Response, failure_of
from unimicro.routes.answers import problem_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.app import App
    from unimicro.invocation import Invocation

log = logging.getLogger("unimicro")

MOST_KEYS = 20
LONGEST_KEY = 64


class DataEvents(EventKind):
    """Events that are answered as data."""

    def encode(
        self, native: LambdaCall, invocation: Invocation | None, outcome: Either[Failure, Any]
    ) -> dict[str, Any]:
        if not outcome.monoid[1] or invocation is None:
            return _failed(failure_of(outcome), invocation)
        value = outcome.value.body if type(outcome.value) is Response else outcome.value
        try:
            # Through JSON: the runtime itself knows no dataclass, Enum or datetime.
            encoded = self.app.operations[invocation.operation].encode_json(value)
            return {"result": json.loads(encoded), "exception": None}
        except Exception as error:
            return _failed(unexpected_failure(error, invocation, "result"), invocation)


class DirectInvocation(DataEvents):
    """A call of an operation by name, from a program that may invoke the function.

    Either ``{"operation": "orders.place", "args": [...] | {...}, "kwargs": {...}}`` or
    ``{"method": "component:service:method", "args": [...], "kwargs": {...}}``; ``headers`` may hold metadata,
    such as the token.
    """

    def matches(self, event: Mapping[str, Any]) -> bool:
        method = event.get("method")
        return "operation" in event or (isinstance(method, str) and ":" in method)

    def decode(self, native: LambdaCall) -> Either[Failure, Invocation]:
        event = native.event
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
            deadline=self.deadline(native.context),
            request_id=self.request_id(native.context),
        )


def _arguments(event: Mapping[str, Any]) -> CallPayload | Failure:
    named = event.get("args")
    if not isinstance(named, dict):
        return read_call(event)
    rest = read_call({"kwargs": event.get("kwargs", {})})
    if isinstance(rest, Failure):
        return rest
    return read_call({"kwargs": {**named, **rest.kwargs}})


def _malformed(name: str, message: str) -> Either[Failure, Any]:
    errors = [{"name": name, "message": message}]
    return Left(Failure("invalid_argument", "malformed call", errors=errors, layer="arguments"))


def _failed(failure: Failure, invocation: Invocation | None) -> dict[str, Any]:
    trace = invocation.trace if invocation is not None else None
    problem = json.loads(problem_json(failure, trace_id=trace.trace_id if trace else ""))
    return {"result": None, "exception": f"{failure.code}: {problem['detail']}", "failure": problem}


class UnknownEvent(DataEvents):
    """What no other kind recognises: one typed failure that names what was seen, keys only."""

    def matches(self, event: Mapping[str, Any]) -> bool:
        return True

    def decode(self, native: LambdaCall) -> Either[Failure, Invocation]:
        failure = _unknown(native.event)
        log.warning("%s", failure.message)
        return Left(failure)


def _unknown(event: object) -> Failure:
    if not isinstance(event, dict):
        text = f"the Lambda event must be an object, not {type(event).__name__}"
        return Failure("invalid_argument", text, layer="lambda")
    keys = [str(key)[:LONGEST_KEY] for key in list(event)[:MOST_KEYS]]
    text = f"no known kind of Lambda event has the keys {', '.join(keys)}" if keys else "the event is empty"
    return Failure("unimplemented", text, layer="lambda")


class PluginEvent(DataEvents):
    """A kind of event that a plugin recognises and answers."""

    def __init__(
        self,
        app: App,
        matches: Callable[[Mapping[str, Any]], bool],
        respond: Callable[[Mapping[str, Any], Any], Any],
    ) -> None:
        super().__init__(app)
        self._matches = matches
        self._respond = respond

    def matches(self, event: Mapping[str, Any]) -> bool:
        return self._matches(event)

    def decode(self, native: LambdaCall) -> Either[Failure, Invocation]:
        return no_invocation("a plugin's")

    def handle(self, native: LambdaCall) -> Any:
        return self._respond(*native)
