"""aspyx-service, another make that speaks the dispatch wire: its client to our server, ours to its."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.channels.http_calling import TRANSPORTS, called, proxy_of
from tests.channels.http_servers import serving
from tests.servers.processes import ServerProcess
from tests.servers.programs import aspyx_python, http
from unimicro import App, Service, entry
from unimicro.component import Component, component
from unimicro.errors import FailedPrecondition, RemoteError

PROGRAMS = Path(__file__).parent / "programs"


@dataclass
class Product:
    sku: str
    price: float
    tags: list[str]


@dataclass
class Line:
    product: Product
    quantity: int


@dataclass
class Order:
    number: int
    customer: str
    lines: list[Line]


class Orders(Service):
    @entry(no_auth=True)
    def echo(self, order: Order) -> Order:
        assert type(order.lines[0].product) is Product
        return order

    @entry(no_auth=True)
    async def aecho(self, order: Order) -> Order:
        return order

    @entry(no_auth=True)
    def describe(self, number: int, customer: str = "nobody", rush: bool = False) -> str:
        return f"{number} {customer} {rush}"

    @entry(no_auth=True)
    def fail(self, text: str) -> str:
        raise FailedPrecondition(text)


@component(name="shop", services=[Orders])
class Shop(Component): ...


ORDER = Order(7, "Änne ✓", [Line(Product("tea", 2.5, ["a", "b"]), 2), Line(Product("jam", 0.1, []), 1)])


@pytest.fixture(scope="module")
def their_server(tmp_path_factory):
    python = aspyx_python()
    command = [python, str(PROGRAMS / "aspyx_server.py")]
    ready = http("/openapi.json", b'{"openapi"')
    folder = tmp_path_factory.mktemp("aspyx")
    with ServerProcess(lambda port: [*command, str(port)], ready, folder) as server:
        yield f"http://127.0.0.1:{server.port}"


def test_their_client_calls_our_server():
    python = aspyx_python()
    with serving(App(Orders()).asgi) as address:
        port = address.rpartition(":")[2]
        run = subprocess.run(
            [python, str(PROGRAMS / "aspyx_client.py"), port],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-4:] == [
        "dispatch-json: 3 Bob True",
        "RemoteServiceException: server side exception failed_precondition: no tea left",
        "dispatch-msgpack: 3 Bob True",
        "RemoteServiceException: server-side: failed_precondition: no tea left",
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("channel", ["dispatch-json", "dispatch-msgpack"])
class TestOurClientOnTheirServer:
    @pytest.fixture
    def orders(self, their_server, channel, transport):
        with proxy_of(Orders, channel, their_server, transport) as orders:
            yield orders

    @pytest.mark.parametrize("method", ["echo", "aecho"])
    def test_sends_and_gets_nested_objects(self, orders, method):
        assert called(orders, method, ORDER) == ORDER

    def test_sends_arguments_given_by_name_at_their_places(self, orders):
        assert orders.describe(3, rush=True) == "3 nobody True"
        assert orders.describe(rush=False, customer="Bob", number=4) == "4 Bob False"

    def test_gets_their_errors_as_a_class_of_ours(self, orders):
        with pytest.raises(RemoteError, match=r"^no tea left$"):
            orders.fail("no tea left")
