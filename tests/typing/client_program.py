"""A program that calls services, written for its type checkers: mypy and pyright must see the same.

``test_client_types.py`` has both check it; it is imported by nobody. A line that must not pass says how each
of the two calls what is wrong with it, and both tell when such a comment is not needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import assert_type

from unimicro import (
    App,
    ChannelAddress,
    Instance,
    MemoryRegistry,
    Outcome,
    Retry,
    Service,
    ServiceManager,
    adisconnect,
    connect,
    disconnect,
    entry,
    idempotency_key,
)
from unimicro.component import get, implementation, rest, service


@dataclass
class Order:
    id: str
    total: float


@service(name="greetings")
@rest("/api")
class Greetings(Service, ABC):
    """An interface: nothing but what can be called."""

    @abstractmethod
    @get("/hello/{name}")
    def hello(self, name: str, *, loud: bool = False) -> str: ...

    @abstractmethod
    async def agreet(self, names: list[str]) -> dict[str, Order]: ...


@implementation()
class Greeter(Greetings):
    def hello(self, name: str, *, loud: bool = False) -> str:
        return name.upper() if loud else name

    async def agreet(self, names: list[str]) -> dict[str, Order]:
        return {name: Order(name, 0.0) for name in names}


class Orders(Service):
    """A plain service, which is its own interface."""

    def __init__(self, database: object) -> None:
        super().__init__()
        self.database = database

    @entry(safe=True)
    def get(self, order_id: str) -> Order | None:
        return None

    @entry("POST", "/orders")
    async def place(self, order_id: str, /, *, express: bool = False) -> Order:
        return Order(order_id, 1.5)

    @entry
    def post_whole(self, order: Order) -> Outcome[int]:
        raise NotImplementedError


# -- what get_service and connect give ---------------------------------------------------------

registry = MemoryRegistry()
manager = ServiceManager(app=App(Greeter()), registry=registry, selector="first", token=lambda: None)

greetings = manager.get_service(Greetings)
orders = manager.get_service(Orders, "dispatch-json", address="http://127.0.0.1:8000")
remote = connect(Orders, address=["http://127.0.0.1:8000"], channel="rest", name="orders-2")
abstract = connect(Greetings, registry=registry, token="secret", policies=[Retry(attempts=1)])

assert_type(greetings, Greetings)
assert_type(orders, Orders)
assert_type(remote, Orders)
assert_type(abstract, Greetings)

assert_type(greetings.hello("you", loud=True), str)
assert_type(orders.get("1"), Order | None)
assert_type(orders.post_whole(Order("1", 2.0)), Outcome[int])
assert_type(disconnect(orders), None)

with ServiceManager() as entered, idempotency_key("import-1"):
    assert_type(entered, ServiceManager)
    assert_type(entered.get_service(Greetings).hello("you"), str)

instance = Instance("orders-1", "orders", (ChannelAddress("rest", "http://127.0.0.1:8000"),))
assert_type(instance.addresses, tuple[ChannelAddress, ...])
assert_type(registry.find("orders"), tuple[Instance, ...])


async def on_a_loop() -> None:
    async with ServiceManager() as entered:
        found = await entered.aget_service(Greetings, "stream")
        assert_type(found, Greetings)
        assert_type(await found.agreet([]), dict[str, Order])
    assert_type(await orders.place("1", express=True), Order)
    assert_type((await orders.place("1")).total, float)
    assert_type(await adisconnect(orders), None)


# -- what must not pass ------------------------------------------------------------------------

greetings.hello(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
greetings.hello()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
greetings.hello("you", True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
greetings.hello("you", quiet=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
greetings.helo("you")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
assert greetings.hello("you").total  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
assert orders.get("1").total  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
assert orders.place("1").total  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
orders.post_whole({"id": "1"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect("Orders")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(Orders, address=8000)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(Orders, tokn="secret")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
connect(Orders, policies="retry")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(Orders, config=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
manager.get_service()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
manager.get_service(Orders, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ServiceManager(app=Orders)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Greetings()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]
order: Order = connect(Orders)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def without_await() -> None:
    orders.place("1")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    placed: Order = orders.place("1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await greetings.hello("you")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await orders.place(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert placed
