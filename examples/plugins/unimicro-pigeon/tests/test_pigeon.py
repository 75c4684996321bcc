"""Calls over the channel, answered by the door ``lines`` on a real socket."""

from __future__ import annotations

import asyncio
import socketserver
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from unimicro import App, Deadline, Service, ServiceManager, entry
from unimicro.errors import CommunicationError, ConfigurationError, DeadlineExceeded, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Order:
    id: str
    lines: list[str]


class OutOfStock(Exception):
    """Declared, so that callers get it under its own name."""


class Orders(Service):
    def token_authorizer(self, token: str) -> bool:
        return token == "good"

    @entry(errors=[OutOfStock])
    def place(self, order_id: str, *, lines: list[str] | None = None) -> Order:
        if order_id == "none":
            raise OutOfStock(order_id)
        return Order(order_id, lines or [])

    @entry
    async def find(self, order_id: str) -> Order:
        return Order(order_id, [])

    @entry
    def sleep(self) -> str:
        time.sleep(1.0)
        return "late"


@contextmanager
def loft(app: App) -> Iterator[str]:
    """The address of a server of the app's door ``lines``: each connection is one call."""
    door = app.door("lines")

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(door.handle(self.rfile.read()))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"pigeon://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with loft(App(Orders(), config={})) as address:
        yield address


def proxy(address: str, **options: object) -> Orders:
    manager = ServiceManager(config={}, token="Bearer good", **options)
    return manager.get_service(Orders, "carrier-pigeon", address=address)


def test_a_call_comes_back_typed(address: str) -> None:
    assert proxy(address).place("1", lines=["tea"]) == Order("1", ["tea"])
    assert asyncio.run(proxy(address).find("2")) == Order("2", [])


def test_a_declared_error_comes_back_as_itself(address: str) -> None:
    with pytest.raises(OutOfStock) as error:
        proxy(address).place("none")
    assert error.value.args == ("none",)


def test_arguments_that_no_letter_can_hold_are_refused(address: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot be sent"):
        proxy(address).place(object())  # type: ignore[arg-type]


def test_a_call_ends_with_its_deadline(address: str) -> None:
    with pytest.raises(DeadlineExceeded):
        proxy(address, policies=[Deadline(0.2)]).sleep()


def test_an_address_where_nobody_is_gives_way_to_the_next(address: str) -> None:
    nowhere = "pigeon://127.0.0.1:1"
    manager = ServiceManager(config={}, token="Bearer good", selector="first")
    orders = manager.get_service(Orders, "carrier-pigeon", address=[nowhere, address])
    assert orders.place("1").id == "1"
    assert asyncio.run(orders.find("2")).id == "2"
    with pytest.raises(CommunicationError):
        proxy(nowhere).place("1")


def test_an_answer_that_is_too_large_is_not_read(address: str) -> None:
    config = {"channels": {"carrier-pigeon": {"max_bytes": 100}}}
    manager = ServiceManager(config=config, token="Bearer good")
    orders = manager.get_service(Orders, "carrier-pigeon", address=address)
    with pytest.raises(Exception, match="larger than 100 bytes"):
        orders.place("1", lines=["x" * 1000])
    with pytest.raises(Exception, match="larger than 100 bytes"):
        asyncio.run(orders.find("x" * 1000))


def test_an_address_of_another_kind_is_refused_when_the_proxy_is_made() -> None:
    with pytest.raises(ConfigurationError, match="is no pigeon://host:port"):
        proxy("http://127.0.0.1:80")


def test_the_registry_of_the_plugin_says_where_everybody_is(address: str) -> None:
    config = {"registry": {"kind": "carrier-pigeon", "lofts": {"orders": [address]}}}
    manager = ServiceManager(config=config, token="Bearer good")
    assert manager.get_service(Orders, "carrier-pigeon").place("1").id == "1"
