"""The health endpoints answer the same, byte for byte, behind every HTTP door."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.parity.doors import OverSocket, on_uvicorn, on_werkzeug, through_lambda, through_test_client
from unimicro import App, Service, entry
from unimicro.component import Component, component
from unimicro.health import HealthStatus, Result, health, health_check


class Tea(Service):
    @entry
    def get_tea(self) -> str:
        return "tea"


@health("/health")
@component(services=[Tea])
class Shop(Component):
    @health_check()
    def stock(self, result: Result) -> None:
        result.set_status(HealthStatus.WARNING, "running low")

    @health_check(critical=False)
    async def supplier(self) -> Result:
        return Result(HealthStatus.ERROR)


@contextmanager
def every_door():
    made = [App(components=[Shop], config={}) for _ in range(4)]
    with on_uvicorn(made[0]) as uvicorn_port, on_werkzeug(made[1]) as werkzeug_port:
        yield {
            "http": through_test_client(made[2]),
            "fastapi": OverSocket(uvicorn_port),
            "flask": OverSocket(werkzeug_port),
            "lambda": through_lambda(made[3]),
        }
    for app in made:
        app.stop()


@pytest.fixture(scope="module")
def doors():
    with every_door() as doors:
        yield doors


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/startupz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/health", 429),
        ("HEAD", "/readyz", 200),
        ("HEAD", "/health", 429),
        ("GET", "/readyz/", 200),
        ("GET", "/ready%7A?verbose", 200),
        ("OPTIONS", "/livez", 204),
        ("POST", "/livez", 405),
        ("GET", "/livez/x", 404),
    ],
)
def test_every_door_answers_the_same(doors, method, target, status):
    if method == "GET":  # the first event sets the services of a function up
        doors["lambda"]("GET", "/tea", {}, b"")
    replies = {name: send(method, target, {}, b"") for name, send in doors.items()}
    assert replies == dict.fromkeys(replies, replies["http"])
    assert replies["http"][0] == status
