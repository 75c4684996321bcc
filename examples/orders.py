"""Orders: dataclasses, async and sync methods, policies, declared errors, an event.

Try, with ``unimicro serve examples.orders:app`` and ``TOKEN=secret`` in the environment::

    curl -H 'Authorization: secret' --json '{"lines":[{"sku":"tea","quantity":2}]}' http://127.0.0.1:5000/orders
    curl -H 'Authorization: secret' http://127.0.0.1:5000/orders/1?express=true
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

from unimicro import App, Breaker, Deadline, Idempotency, Retry, Service, Timeout, entry, event
from unimicro.errors import NotFound


class Status(Enum):
    """Where an order stands."""

    OPEN = "open"
    PAID = "paid"


@dataclass
class Line:
    """One article of an order."""

    sku: str
    quantity: int = 1


@dataclass
class Order:
    """An order as callers see it."""

    id: str
    lines: list[Line]
    total: Decimal
    placed: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: Status = Status.OPEN


@dataclass
class Payment:
    """What the payment service tells when money has arrived."""

    order_id: str
    amount: Decimal


class OutOfStock(Exception):
    """Declared on the entry, so callers get it under its own name."""

    code = "failed_precondition"


class Orders(Service):
    """Takes orders and follows their payment."""

    def __init__(self, **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.stock = {"tea": 10, "cup": 1}
        self.price = {"tea": Decimal("2.50"), "cup": Decimal("7.00")}
        self.orders: dict[str, Order] = {}

    @entry("POST", "/orders", errors=[OutOfStock], deadline=Deadline(5.0), idempotency=Idempotency())
    def place(self, lines: list[Line]) -> Order:
        """Place an order."""
        for line in lines:
            if self.stock.get(line.sku, 0) < line.quantity:
                raise OutOfStock(line.sku)
        total = sum((self.price[line.sku] * line.quantity for line in lines), Decimal(0))
        order = Order(str(len(self.orders) + 1), lines, total)
        for line in lines:
            self.stock[line.sku] -= line.quantity
        self.orders[order.id] = order
        return order

    @entry(
        "GET",
        "/orders/{order_id}",
        safe=True,
        deadline=Deadline(5.0),
        retry=Retry(attempts=3),
        timeout=Timeout(1.0),
        breaker=Breaker("warehouse"),
    )
    async def find(self, order_id: str, *, express: bool = False) -> Order:
        """One order; ``express`` skips the slow lookup."""
        if not express:
            await asyncio.sleep(0.01)
        if order_id not in self.orders:
            raise NotFound(f"there is no order {order_id}")
        return self.orders[order_id]

    @entry("GET", "/orders")
    def list_orders(self, *, status: Status | None = None) -> list[Order]:
        """All orders, or those of one status."""
        return [order for order in self.orders.values() if status in (None, order.status)]

    @event("payments", "settled", retry=Retry(base=1.0, attempts=5))
    def on_settled(self, payment: Payment) -> None:
        """Mark the order paid once its total has arrived."""
        order = self.orders[payment.order_id]
        if payment.amount >= order.total:
            order.status = Status.PAID


app = App(Orders())
