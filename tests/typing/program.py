"""A program of a user, written for its type checker: each ``assert_type`` is what an editor shows.

``test_types.py`` has mypy check it; it is imported by nobody.
"""

from __future__ import annotations

import asyncio
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
from unimicro.functional import Http, Reply, Try, apipeline, atry, circuit, get, lift, pipeline, tried
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


def parse(text: str) -> Outcome[int]:
    return Try(int, text, errors=[ValueError], accept=lambda number: number > 0)


async def price(number: int) -> Outcome[float]:
    return await atry(asyncio.sleep, 1, 2.5)


@tried(errors=[LookupError])
def article(number: int) -> str:
    return str(number)


@circuit("stock", failure_rate=0.2)
async def stock(name: str) -> bytes:
    return name.encode()


assert_type(Try(int, "1"), Outcome[int])
assert_type(Try(parse, "1"), Outcome[int])
assert_type(article(1), Outcome[str])
assert_type(tried()(parse)("1"), Outcome[int])
assert_type(pipeline(parse, article)("1"), Outcome[str])
assert_type(pipeline(parse, article, lift(len), lift(float), lift(str))("1"), Outcome[str])
assert_type(pipeline(parse, respond=Outcome[int].is_right)("1"), bool)
assert_type(pipeline(few, twice_few)(Invocation("shop.get")), Outcome[Invocation])
assert_type(get("http://stock", params={"a": 1}), Outcome[Reply])
assert_type(pipeline(Http().get, Reply.json)("http://stock"), Outcome[Any])


async def in_async_style() -> None:
    assert_type(await stock("tea"), Outcome[bytes])
    assert_type(await tried()(price)(1), Outcome[float])
    assert_type(await apipeline(parse, article, stock)("1"), Outcome[bytes])
    assert_type(await apipeline(parse, price, respond=repr)("1"), str)
    assert_type(await apipeline(Http().aget, Reply.json)("http://stock"), Outcome[Any])
    await apipeline(price, article)(1)  # type: ignore[misc]


# What must not pass; mypy tells when such a comment is not needed.
shop.get(2)  # type: ignore[call-arg]
entry(retri=3)  # type: ignore[call-overload]
entry(retry=3)  # type: ignore[call-overload]
entry(stages=[allowance])  # type: ignore[list-item]
App(Shop)  # type: ignore[arg-type]
App(shop, stage=[few])  # type: ignore[arg-type]
assert app.call("shop.get").code  # type: ignore[attr-defined]
Try(parse, 1)  # type: ignore[call-overload]
article("1")  # type: ignore[arg-type]
pipeline(article, parse, parse)  # type: ignore[misc]
pipeline(parse)(1)  # type: ignore[arg-type]
pipeline(len)  # type: ignore[arg-type]
pipeline(parse, price)  # type: ignore[arg-type]
