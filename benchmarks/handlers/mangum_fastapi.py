"""Mangum and FastAPI; ``async def``, which spares FastAPI its worker threads."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from mangum import Mangum


def build(further: int) -> Any:
    app = FastAPI()

    for number in range(further):

        @app.get(f"/other{number}/{{name}}")
        async def get_other(name: str) -> dict:
            return {"other": name}

    @app.get("/hello/{name}")
    async def get_hello(name: str) -> dict:
        return {"hello": name}

    return Mangum(app, lifespan="off")


handler = build(0)
