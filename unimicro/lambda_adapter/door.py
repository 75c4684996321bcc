"""The Lambda door: ``app.lambda_handler``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from unimicro.frontend import FrontEnd
from unimicro.lambda_adapter.alb import Alb
from unimicro.lambda_adapter.authorizer import AuthorizerEvents
from unimicro.lambda_adapter.direct import DirectInvocation, PluginEvent, UnknownEvent
from unimicro.lambda_adapter.events import EventKind, LambdaCall
from unimicro.lambda_adapter.http_v1 import HttpV1
from unimicro.lambda_adapter.http_v2 import HttpV2
from unimicro.outcome import Either, Failure
from unimicro.routes.http import HttpDoor

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.invocation import Invocation

log = logging.getLogger("unimicro")


class LambdaDoor(FrontEnd[LambdaCall, Any]):
    """Recognises each event by its shape and hands it to the door of that kind."""

    name = "lambda"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._unknown = UnknownEvent(app)
        self._kinds = _kinds(app)
        self._ready = False

    def handle_event(self, event: Any, context: Any) -> Any:
        """The Lambda function. Raises nothing; the first event sets the services up.

        Args:
            event: Parsed JSON.
            context: Lambda's context object.

        Returns:
            The answer that the source of the event expects.
        """
        native = LambdaCall(event, context)
        kind: EventKind = self._unknown
        try:
            kind = self._kind(event)
            if not self._ready:
                self.app.start()
                self._ready = True
            return kind.handle(native)
        except Exception as error:
            log.error("a Lambda event could not be served", exc_info=error)
            return kind.refuse(native, Failure("internal", "internal error", layer="lambda", cause=error))

    def _kind(self, event: Any) -> EventKind:
        if type(event) is dict:
            for kind in self._kinds:
                if kind.matches(event):
                    return kind
        return self._unknown

    def handle(self, native: LambdaCall) -> Any:
        return self.handle_event(*native)

    def decode(self, native: LambdaCall) -> Either[Failure, Invocation]:
        return self._kind(native.event).decode(native)

    def encode(self, native: LambdaCall, invocation: Invocation | None, outcome: Either[Failure, Any]) -> Any:
        return self._kind(native.event).encode(native, invocation, outcome)


def _kinds(app: App) -> tuple[EventKind, ...]:
    """Every kind of event, in the order in which they are asked: plugins, HTTP, authorizers, direct calls.

    A further source of events is a further line here, before direct invocation.
    """
    http = HttpDoor(app, "lambda")
    v1, v2 = HttpV1(app, http), HttpV2(app, http)
    return (
        *(PluginEvent(app, matches, respond) for _, matches, respond in app.lambda_events()),
        v2,
        v1,
        Alb(app, http),
        AuthorizerEvents(app, http, v1, v2),
        DirectInvocation(app),
    )
