"""An interface as a program of aspyx-service declares it. Runs in that package's own environment."""

from abc import abstractmethod
from dataclasses import dataclass

from aspyx.di import create, module
from aspyx_service import (
    ChannelAddress,
    Component,
    ComponentRegistry,
    Service,
    ServiceModule,
    SessionManager,
    component,
    service,
)
from aspyx_service.service import ChannelInstances

CHANNELS = ("dispatch-json", "dispatch-msgpack")


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


@service(name="orders")
class Orders(Service):
    @abstractmethod
    def echo(self, order: Order) -> Order: ...

    @abstractmethod
    async def aecho(self, order: Order) -> Order: ...

    @abstractmethod
    def describe(self, number: int, customer: str, rush: bool) -> str: ...

    @abstractmethod
    def fail(self, text: str) -> str: ...


@component(name="shop", services=[Orders])
class Shop(Component): ...


class OneAddress(ComponentRegistry):
    """Knows one address; ``port`` is set before it is asked."""

    port = 0

    def register(self, descriptor, addresses): ...

    def deregister(self, descriptor): ...

    def watch(self, channel): ...

    def get_addresses(self, descriptor):
        uri = f"http://127.0.0.1:{self.port}"
        return [ChannelInstances(descriptor.name, channel, [uri]) for channel in CHANNELS]


@module(imports=[ServiceModule])
class Shared:
    @create()
    def registry(self) -> ComponentRegistry:
        return OneAddress()

    @create()
    def storage(self) -> SessionManager.Storage:
        return SessionManager.InMemoryStorage(max_size=10, ttl=60)


def addresses(port: int) -> list[ChannelAddress]:
    return [ChannelAddress(channel, f"http://127.0.0.1:{port}") for channel in CHANNELS]
