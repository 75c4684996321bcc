"""Requests that carry credentials, by either driver."""

from __future__ import annotations

import asyncio

from unimicro import App, Service, current_invocation, entry
from unimicro.routes.request import HttpRequest
from unimicro.testing.client import HttpResult


def app_of(*policies, clock=None, **options):
    """An app with ``GET /``, which answers who calls and with what."""

    class Safe(Service):
        @entry
        def get(self):
            principal = current_invocation().principal
            return {
                "subject": principal.subject,
                "scopes": principal.scopes,
                "activities": principal.activities,
                "claims": dict(principal.claims),
            }

    return App(Safe(), policies=policies, clock=clock, **options)


def sync_ask(app, **headers):
    """The HTTP answer to ``GET /`` with these headers; ``_`` stands for ``-``."""
    return app.test_client().get("/", headers=_fields(headers))


def async_ask(app, **headers):
    return asyncio.run(asyncio.wait_for(ask_on_loop(app, **headers), 20))


async def ask_on_loop(app, **headers):
    request = app.test_client()._request("GET", "/", None, _fields(headers), b"")
    assert isinstance(request, HttpRequest)
    answer = await app.door("http").ahandle(request)
    return HttpResult(answer.status, type(request.metadata)(answer.headers), answer.body)


def _fields(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}
