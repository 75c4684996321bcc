"""A server of aspyx-service: ``python aspyx_server.py PORT``."""

import sys

import uvicorn
from aspyx.di import create, module
from aspyx_orders import Order, Orders, Shared, Shop, addresses
from aspyx_service import (
    AbstractComponent,
    ChannelAddress,
    ComponentRegistry,
    FastAPIServer,
    ServiceManager,
    implementation,
)
from fastapi import FastAPI

PORT = int(sys.argv[1])
api = FastAPI()


@implementation()
class OrdersImpl(Orders):
    def __init__(self): ...

    def echo(self, order: Order) -> Order:
        assert type(order) is Order, order
        return order

    async def aecho(self, order: Order) -> Order:
        return order

    def describe(self, number: int, customer: str, rush: bool) -> str:
        return f"{number} {customer} {rush}"

    def fail(self, text: str) -> str:
        raise ValueError(text)


@implementation()
class ShopImpl(AbstractComponent, Shop):
    def get_addresses(self, port: int) -> list[ChannelAddress]:
        return addresses(port)


@module(imports=[Shared])
class Main:
    @create()
    def server(self, manager: ServiceManager, registry: ComponentRegistry) -> FastAPIServer:
        return FastAPIServer(api, manager, registry)


FastAPIServer.boot(Main, host="127.0.0.1", port=PORT, start_thread=False)
uvicorn.run(api, host="127.0.0.1", port=PORT, log_level="warning")
