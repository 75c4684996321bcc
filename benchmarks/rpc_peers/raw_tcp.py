"""The floor: calls multiplexed by number over one TCP connection, length and msgpack, nothing else."""

from __future__ import annotations

import asyncio
from itertools import count

import msgspec

from rpc_peers.payload import Node

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(tuple[int, Node]).decode
HEAD = 4


class Frames(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        data = self.rest + data if self.rest else data
        at, end = 0, len(data)
        while end - at >= HEAD:
            until = at + HEAD + int.from_bytes(data[at : at + HEAD], "big")
            if until > end:
                break
            self.received(*_decode(data[at + HEAD : until]))
            at = until
        self.rest = data[at:]

    def send(self, number: int, tree: Node) -> None:
        body = _encode((number, tree))
        self.transport.write(len(body).to_bytes(HEAD, "big") + body)


class Server(Frames):
    def received(self, number: int, tree: Node) -> None:
        task = asyncio.create_task(self.answer(number, tree))
        task.add_done_callback(asyncio.Task.result)

    async def answer(self, number: int, tree: Node) -> None:
        self.send(number, await echo(tree))


async def echo(tree: Node) -> Node:
    return tree


class Client(Frames):
    def __init__(self) -> None:
        self.numbers, self.waiting = count(), {}

    def received(self, number: int, tree: Node) -> None:
        self.waiting.pop(number).set_result(tree)

    async def call(self, tree: Node) -> Node:
        number = next(self.numbers)
        self.waiting[number] = future = asyncio.get_running_loop().create_future()
        self.send(number, tree)
        return await future


def serve(port: int) -> None:
    import uvloop

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(run())


async def client(port: int):
    _, protocol = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return protocol.call
