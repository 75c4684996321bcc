"""Mangum and Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


async def get_other(request: Request) -> JSONResponse:
    return JSONResponse({"other": request.path_params["name"]})


async def get_hello(request: Request) -> JSONResponse:
    return JSONResponse({"hello": request.path_params["name"]})


def build(further: int) -> Any:
    routes = [Route(f"/other{number}/{{name}}", get_other) for number in range(further)]
    return Mangum(Starlette(routes=[*routes, Route("/hello/{name}", get_hello)]), lifespan="off")


handler = build(0)
