"""aspyx-service, with classes that do not refer to themselves: it reads recursive ones as plain objects.

No annotations from __future__ here: it reads the types of fields without resolving text.
"""

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

from aspyx.di import Environment, create, module
from aspyx_service import (
    AbstractComponent,
    Body,
    ChannelAddress,
    Component,
    ComponentRegistry,
    FastAPIServer,
    Service,
    ServiceManager,
    ServiceModule,
    SessionManager,
    component,
    implementation,
    post,
    service,
)
from aspyx_service.service import ChannelInstances
from fastapi import FastAPI

from rpc_peers.payload import tree as any_tree
from rpc_peers.serving import serve_asgi

CHANNELS = ("dispatch-json", "dispatch-msgpack", "rest")


@dataclass
class Leaf:
    name: str
    weight: float
    tags: list[str]
    children: list[str]


@dataclass
class Branch:
    name: str
    weight: float
    tags: list[str]
    children: list[Leaf]


@dataclass
class Root:
    name: str
    weight: float
    tags: list[str]
    children: list[Branch]


def tree() -> Root:
    plain = asdict(any_tree())
    branches = [
        each | {"children": [Leaf(**leaf) for leaf in each["children"]]} for each in plain["children"]
    ]
    return Root(**plain | {"children": [Branch(**each) for each in branches]})


@service(name="trees")
class Trees(Service):
    @abstractmethod
    @post("/echo")
    async def echo(self, tree: Body(Root)) -> Root: ...


@component(name="forest", services=[Trees])
class Forest(Component): ...


@implementation()
class TreesImpl(Trees):
    async def echo(self, tree: Root) -> Root:
        return tree


@implementation()
class ForestImpl(AbstractComponent, Forest):
    def get_addresses(self, port: int) -> list[ChannelAddress]:
        return [ChannelAddress(channel, f"http://127.0.0.1:{port}") for channel in CHANNELS]


class OneAddress(ComponentRegistry):
    port = 0

    def register(self, descriptor: Any, addresses: Any) -> None: ...

    def deregister(self, descriptor: Any) -> None: ...

    def watch(self, channel: Any) -> None: ...

    def get_addresses(self, descriptor: Any) -> list[ChannelInstances]:
        uris = [f"http://127.0.0.1:{self.port}"]
        return [ChannelInstances(descriptor.name, channel, list(uris)) for channel in CHANNELS]


def serve(port: int) -> None:
    api = FastAPI()

    @module(imports=[ServiceModule])
    class ServerModule:
        @create()
        def registry(self) -> ComponentRegistry:
            return OneAddress()

        @create()
        def sessions(self) -> SessionManager.Storage:
            return SessionManager.InMemoryStorage(max_size=1, ttl=1)

        @create()
        def server(self, manager: ServiceManager, registry: ComponentRegistry) -> FastAPIServer:
            return FastAPIServer(api, manager, registry)

    FastAPIServer.boot(ServerModule, host="127.0.0.1", port=port, start_thread=False)
    serve_asgi(api, port)


async def client(channel: str, port: int) -> Any:
    @module(imports=[ServiceModule])
    class ClientModule:
        @create()
        def registry(self) -> ComponentRegistry:
            return OneAddress()

        @create()
        def sessions(self) -> SessionManager.Storage:
            return SessionManager.InMemoryStorage(max_size=1, ttl=1)

    OneAddress.port = port
    manager = Environment(ClientModule).get(ServiceManager)
    return manager.get_service(Trees, preferred_channel=channel).echo
