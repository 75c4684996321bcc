"""HTTP without a transport: routing, decoding and encoding that Flask, FastAPI and Lambda share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.frontend import FrontEnd
from unimicro.invocation import HttpPayload, Invocation
from unimicro.outcome import Failure, Left, Outcome
from unimicro.routes.answers import HttpAnswer, answer_of, preflight
from unimicro.routes.request import HttpRequest, parse_target
from unimicro.routes.table import RouteTable

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.metadata import Metadata


class HttpDoor(FrontEnd[HttpRequest, HttpAnswer]):
    """From ``HttpRequest`` to ``HttpAnswer``. A transport's door holds one under its own name."""

    name = "http"

    def __init__(self, app: App, door: str = "") -> None:
        super().__init__(app)
        self._operations = {**app.operations, **app.pages}
        self.table = RouteTable(self._operations.values())
        self._door = door or self.name
        self._gzip_min_bytes = app.settings.gzip_min_bytes

    def request(
        self,
        method: str,
        path: str,
        query_string: str,
        metadata: Metadata,
        body: bytes,
        unreadable: Failure | None,
        native: Any = None,
    ) -> HttpRequest:
        """A request whose target is still percent-encoded; ``unreadable`` says why there is no body."""
        settings = self.app.settings
        segments, query, problem = parse_target(
            path, query_string, base_path=settings.base_path, max_fields=settings.max_fields
        )
        problem = problem or unreadable
        return HttpRequest(method.upper(), path, segments, query, metadata, body, problem, native=native)

    def decode(self, native: HttpRequest) -> Outcome[Invocation]:
        if native.problem is not None:
            return Left(native.problem)
        match = self.table.match(native.method, native.segments)
        if isinstance(match, Failure):
            return Left(match)
        operation, values = match
        metadata = native.metadata
        content_type = metadata.fields.get("content-type", "")
        payload = tuple.__new__(HttpPayload, (values, native.query, native.body, content_type))
        return self.invocation(
            operation.name,
            payload,
            metadata,
            # By position: keywords cost a tenth of the whole decoding.
            native.native,
            native.stage,
            native.deadline,
            native.id,
            self._door,
        )

    def encode(self, native: HttpRequest, invocation: Invocation | None, outcome: Outcome[Any]) -> HttpAnswer:
        operation = None if invocation is None else self._operations.get(invocation.operation)
        return answer_of(native, operation, invocation, outcome, self._gzip_min_bytes)

    def handle(self, native: HttpRequest) -> HttpAnswer:
        answer = self._options(native) if native.method == "OPTIONS" else None
        return FrontEnd.handle(self, native) if answer is None else answer

    async def ahandle(self, native: HttpRequest) -> HttpAnswer:
        return self._options(native) or await super().ahandle(native)

    def _options(self, request: HttpRequest) -> HttpAnswer | None:
        """The automatic answer to OPTIONS, where no entry answers it."""
        if request.method != "OPTIONS" or request.problem is not None:
            return None
        allowed = self.table.allowed(request.segments)
        if not allowed or not isinstance(self.table.match("OPTIONS", request.segments), Failure):
            return None
        wanted = request.metadata.get("access-control-request-method", "")
        match = self.table.match(wanted, request.segments)
        cors = None if isinstance(match, Failure) else match.operation.options.cors
        return preflight(request, allowed, cors)
