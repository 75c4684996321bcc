"""The FastAPI server: ``app.asgi``.

Two layers. Outermost a raw ASGI function that serves ``POST /invoke`` and the WebSocket ``/stream`` itself,
away from FastAPI's middleware and dependencies. Below it a FastAPI application in which one route serves
every entry through the shared route table; FastAPI adds OpenAPI, its middleware, and whatever routes the user
puts beside.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from unimicro.channels.asgi import GONE, metadata_of, raw_path, read_body, send_answer
from unimicro.channels.codecs import INVOKE
from unimicro.channels.disconnects import while_connected
from unimicro.channels.dispatch import DispatchDoor
from unimicro.channels.draining import Draining, closing
from unimicro.channels.stream import StreamServer
from unimicro.channels.stream_frames import PATH as STREAM
from unimicro.errors import DefinitionError, require
from unimicro.outcome import Failure, Left
from unimicro.routes.http import HttpDoor
from unimicro.routes.request import parse_target

require("fastapi", "fastapi", "the FastAPI server")

from fastapi import FastAPI  # noqa: E402 - only once it is known to be there
from starlette.routing import BaseRoute, Match  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unimicro.app import App
    from unimicro.channels.asgi import AsgiApp, Receive, Scope, Send

RAW_INVOKE = INVOKE.encode()
POST_ONLY = Failure(
    "unimplemented", "only POST is allowed here", status=405, headers={"Allow": "POST"}, layer="routing"
)


class FastApiServer(HttpDoor):
    """The app behind ASGI."""

    name = "fastapi"
    channels = ("dispatch-msgpack", "dispatch-json", "rest", "stream")

    def __init__(self, app: App) -> None:
        super().__init__(app)
        if self.table.allowed((INVOKE[1:],)):
            raise DefinitionError(f"{INVOKE} is this door's dispatch endpoint: give that entry another path")
        self._max_body_bytes = app.settings.max_body_bytes
        self.dispatch = DispatchDoor(app)
        self.stream = StreamServer(app)
        self.fastapi = self._fastapi()
        self.native = Server(self)

    def _fastapi(self) -> FastAPI:
        from unimicro.channels.openapi import describe, title

        shown = self.app.settings.serves_openapi
        native = FastAPI(
            title=title(self.app),
            lifespan=self._lifespan,
            openapi_url="/openapi.json" if shown else None,
            redirect_slashes=False,
        )
        # First, so that an entry at /docs is the same on every door.
        native.router.routes.insert(0, EntryRoute(self))
        # Last, so that an unknown path is answered as on every door.
        native.router.default = self.serve
        native.openapi = lambda: describe(self.app, native)  # type: ignore[method-assign]
        return native

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.app.presence.plan(self.channels)
        await self.app.astart()
        try:
            async with Draining(self):
                yield
        finally:
            await self.app.astop()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an entry, or answer that there is none."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        metadata = metadata_of(scope)
        body, unreadable = await read_body(receive, metadata, self.app.settings.max_body_bytes)
        query_string = scope["query_string"].decode("latin-1")
        request = self.request(
            scope["method"], raw_path(scope), query_string, metadata, body, unreadable, scope
        )
        answer = await while_connected(
            receive, self.ahandle(request), lambda: self.encode(request, None, Left(GONE))
        )
        await send_answer(send, answer.status, answer.headers, answer.body, answer.length)

    def knows(self, scope: Scope) -> bool:
        """Whether an entry has the path, whatever the verb."""
        segments, _, problem = parse_target(raw_path(scope), "", base_path=self.app.settings.base_path)
        return problem is not None or bool(self.table.allowed(segments))

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the dispatch endpoint."""
        metadata = metadata_of(scope)
        body, problem = await read_body(receive, metadata, self._max_body_bytes)
        if scope["method"] != "POST":
            problem = POST_ONLY
        door = self.dispatch
        request = door.request(body, metadata, problem)
        status, headers, body = await while_connected(
            receive, door.ahandle(request), lambda: door.encode(request, None, Left(GONE))
        )
        headers = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class EntryRoute(BaseRoute):
    """One Starlette route for all entries."""

    def __init__(self, server: FastApiServer) -> None:
        self._server = server

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        known = scope["type"] == "http" and self._server.knows(scope)
        return (Match.FULL if known else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._server.serve(scope, receive, send)


class Server:
    """The outermost ASGI application.

    Attributes:
        fastapi: The FastAPI application, for middleware and routes of the user's own.
    """

    def __init__(self, server: FastApiServer) -> None:
        self._invoke: AsgiApp = server.invoke
        self._stream = server.stream
        self.fastapi = server.fastapi
        self._below: AsgiApp = server.fastapi

    def close_connections(self) -> None:
        """Let each answer from now on be the last one of its connection."""
        self._invoke, self._below = closing(self._invoke), closing(self._below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(INVOKE) and _is_invoke(scope):
            await self._invoke(scope, receive, send)
        elif scope["type"] == "websocket" and raw_path(scope) == STREAM:
            await self._stream(scope, receive, send)
        else:
            await self._below(scope, receive, send)


def _is_invoke(scope: Scope) -> bool:
    if scope.get("raw_path") == RAW_INVOKE and not scope.get("root_path"):
        return True
    return raw_path(scope) == INVOKE
