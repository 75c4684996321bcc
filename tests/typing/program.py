"""A program of a user, written for its type checker: each ``assert_type`` is what an editor shows.

``test_types.py`` has mypy check it; it is imported by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_type

from unimicro import (
    App,
    Await,
    Breaker,
    Do,
    Failure,
    Invocation,
    Left,
    Outcome,
    Pause,
    Retry,
    Right,
    Service,
    Steps,
    entry,
    event,
    every,
    failure_of,
)
from unimicro.testing.client import HttpClient, HttpResult


def few(inv: Invocation) -> Outcome[Invocation]:
    assert_type(inv.arguments, Mapping[str, Any])
    if inv.arguments["quantity"] > 100:
        return Left(Failure("failed_precondition", "too many"))
    return Right(inv)


def twice_few(inv: Invocation) -> Outcome[Invocation]:
    return few(inv).then(few)


async def allowance() -> int:
    return 10


def audited(inv: Invocation) -> Steps:
    limit = yield Await(allowance)
    outcome = yield inv
    if outcome.is_left():
        yield Pause(limit)
        outcome = yield inv
    yield Do(print, inv.operation)
    return outcome


class Shop(Service):
    policies = (Retry(attempts=1),)
    stages = (few, audited)

    def __init__(self, **kwargs: str) -> None:
        super().__init__(**kwargs)

    async def setup(self) -> None: ...

    async def token_authorizer(self, token: str) -> bool:
        return token == "token"

    @entry
    def get(self, *, quantity: int = 1) -> list[str]:
        return ["tea"] * quantity

    @entry(
        "GET", "/orders/{order_id}", safe=True, retry=Retry(), breaker=Breaker("stock"), stages=[twice_few]
    )
    async def find(self, order_id: str, *, express: bool = False) -> bytes:
        return order_id.encode()

    @entry(no_auth=True)
    def post(self) -> Outcome[int]:
        return Right(1)

    @event("payments", "settled", retry=Retry())
    def on_settled(self, payment: dict[str, str]) -> float:
        return 1.5

    @every(30)
    async def sweep(self) -> None: ...


shop = Shop(name="shop")
assert_type(shop.get(quantity=2), list[str])
assert_type(shop.post(), Outcome[int])
assert_type(shop.on_settled({}), float)

app = App(shop, stage="test", stages=[few], plugins=["lines"])
assert_type(app.call("shop.get", quantity=2), Outcome[Any])
assert_type(failure_of(app.call("shop.get")), Failure)
assert_type(app.test_client(), HttpClient)
assert_type(app.test_client().get("/"), HttpResult)
assert_type(app.lambda_handler, Callable[[Any, Any], Any])
assert_type(app.door("memory").publish("payments", "settled", {}), dict[str, Outcome[Any]])
assert_type(app.door("timers").run_due(), float | None)
app.wsgi.add_url_rule("/health")
app.asgi.fastapi.add_api_route("/health", print)


async def on_a_loop() -> None:
    assert_type(await shop.find("7", express=True), bytes)
    assert_type(await app.acall("shop.get"), Outcome[Any])
    await shop.find(7)  # type: ignore[arg-type]


# What must not pass; mypy tells when such a comment is not needed.
shop.get(2)  # type: ignore[call-arg]
entry(retri=3)  # type: ignore[call-overload]
entry(retry=3)  # type: ignore[call-overload]
entry(stages=[allowance])  # type: ignore[list-item]
App(Shop)  # type: ignore[arg-type]
App(shop, stage=[few])  # type: ignore[arg-type]
assert app.call("shop.get").code  # type: ignore[attr-defined]
