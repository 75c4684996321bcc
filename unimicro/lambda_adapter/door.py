"""The Lambda door: ``app.lambda_handler``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from unimicro.frontend import FrontEnd
from unimicro.lambda_adapter.alb import AlbMulti, AlbSingle, is_alb, is_alb_multi
from unimicro.lambda_adapter.authorizer import AuthorizerEvents, is_authorizer
from unimicro.lambda_adapter.direct import DirectInvocation, PluginEvent
from unimicro.lambda_adapter.events import LambdaCall
from unimicro.lambda_adapter.http_v1 import HttpV1, is_http_v1
from unimicro.lambda_adapter.http_v2 import HttpV2, is_http_v2
from unimicro.outcome import Failure, Left, Outcome, failure_of
from unimicro.routes.http import HttpDoor

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.invocation import Invocation
    from unimicro.lambda_adapter.events import EventKind, Recogniser

log = logging.getLogger("unimicro")


class LambdaDoor(FrontEnd[LambdaCall, Any]):
    """Recognises each event by its shape and hands it to the door of that kind."""

    name = "lambda"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._other = DirectInvocation(app)
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
        kind: EventKind = self._other
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
            for matches, kind in self._kinds:
                if matches(event):
                    return kind
        return self._other

    def handle(self, native: LambdaCall) -> Any:
        return self.handle_event(*native)

    def decode(self, native: LambdaCall) -> Outcome[Invocation]:
        kind = self._kind(native.event)
        if isinstance(kind, FrontEnd):
            return kind.decode(native)
        return Left(Failure("unimplemented", "this kind of event calls no operation", layer="lambda"))

    def encode(self, native: LambdaCall, invocation: Invocation | None, outcome: Outcome[Any]) -> Any:
        kind = self._kind(native.event)
        if isinstance(kind, FrontEnd):
            return kind.encode(native, invocation, outcome)
        return kind.refuse(native, failure_of(outcome))


def _kinds(app: App) -> tuple[tuple[Recogniser, EventKind], ...]:
    """How each kind of event is recognised and served, in the order in which they are asked.

    A further source of events is a further line here. What none of them recognises is a direct
    invocation, or refused as unknown.
    """
    http = HttpDoor(app, "lambda")
    v1, v2 = HttpV1(app, http), HttpV2(app, http)
    return (
        *((matches, PluginEvent(name, respond)) for name, matches, respond in app.lambda_events()),
        (is_http_v2, v2),
        (is_http_v1, v1),
        (is_alb_multi, AlbMulti(app, http)),
        (is_alb, AlbSingle(app, http)),
        (is_authorizer, AuthorizerEvents(app, http, v1, v2)),
    )
