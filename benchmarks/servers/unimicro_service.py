"""unimicro: ``asgi`` through FastAPI, ``wsgi`` through Flask."""

from __future__ import annotations

from typing import Any

from unimicro import App, Service, entry


class Bench(Service):
    @entry("POST", "/echo")
    async def echo(self, data: dict[str, Any]) -> dict[str, Any]:
        return data

    @entry("GET", "/items/{item_id}", safe=True)
    async def item(self, item_id: int, limit: int = 10) -> dict[str, int]:
        return {"item_id": item_id, "limit": limit}


class SyncBench(Service):
    @entry("GET", "/items/{item_id}", safe=True)
    def item(self, item_id: int, limit: int = 10) -> dict[str, int]:
        return {"item_id": item_id, "limit": limit}


def __getattr__(name: str) -> Any:
    """A WSGI server need not import FastAPI, nor an ASGI server Flask."""
    if name == "asgi":
        return App(Bench()).asgi
    if name == "wsgi":
        return App(SyncBench()).wsgi
    raise AttributeError(name)
