"""The service that the tests of ``stream`` call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from unimicro import App, Invocation, Service, entry


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


class Sold(Exception):
    code = "failed_precondition"


class Depot(Service):
    """Its slow entries wait till ``go`` is set; ``began`` and ``cancelled`` tell what happened to them."""

    def __init__(self, name="depot"):
        super().__init__(name=name)
        self.go = asyncio.Event()
        self.began = []
        self.cancelled = []
        self.deaf = False
        self.noticed = asyncio.Condition()

    @entry(no_auth=True, safe=True)
    async def echo(self, tree: Node) -> Node:
        return tree

    @entry(no_auth=True)
    async def same(self, value: str) -> str:
        return value

    @entry(no_auth=True)
    def blocking(self, value: int) -> int:
        return value

    @entry(no_auth=True)
    async def large(self, size: int) -> bytes:
        return bytes(size)

    @entry(no_auth=True)
    async def slow(self, number: int) -> int:
        self.began.append(number)
        await self._notice()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            await self._notice()
            if self.deaf:
                await self.go.wait()
            raise
        return number

    async def _notice(self):
        async with self.noticed:
            self.noticed.notify_all()

    async def until(self, reached):
        async with self.noticed:
            await asyncio.wait_for(self.noticed.wait_for(reached), 10)

    @entry(no_auth=True, errors=[Sold])
    async def sell(self, sku: str) -> None:
        raise Sold(sku)

    @entry
    async def guarded(self) -> str:
        return "in"

    @entry(no_auth=True)
    async def fields(self, invocation: Invocation) -> dict[str, str]:
        return dict(invocation.metadata.fields)

    def token_authorizer(self, token):
        return token == "good"


def depot(**settings):
    """An app of a depot, to be made on the loop that serves it."""
    return App(Depot(), config=settings)
