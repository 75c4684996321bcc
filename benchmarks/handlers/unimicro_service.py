"""unimicro, open to everyone: the peers have no authorizer either."""

from __future__ import annotations

from typing import Any

from unimicro import App, Service, entry


class Hello(Service):
    @entry("GET", "/hello/{name}", no_auth=True)
    def get_hello(self, name: str) -> dict:
        return {"hello": name}


class Guarded(Service):
    @entry("GET", "/hello/{name}")
    def get_hello(self, name: str) -> dict:
        return {"hello": name}


def others(further: int) -> list[Service]:
    if not further:
        return []

    def get_other(self: Service, name: str) -> dict:
        return {"other": name}

    # A function object a route: each carries its own binding.
    methods = {}
    for number in range(further):
        method = type(get_other)(get_other.__code__, globals(), f"get_other{number}")
        method.__annotations__ = dict(get_other.__annotations__)
        methods[f"get_other{number}"] = entry("GET", f"/other{number}/{{name}}", no_auth=True)(method)
    return [type("Others", (Service,), methods)()]


def build(further: int, service: type[Service] = Hello) -> Any:
    return App(*others(further), service()).lambda_handler


handler = build(0)
