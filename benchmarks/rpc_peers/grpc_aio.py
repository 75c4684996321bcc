"""grpc.aio with msgspec's msgpack instead of protobuf: the same data class on both sides."""

from __future__ import annotations

import asyncio

import msgspec

from rpc_peers.payload import Node

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Node).decode


def serve(port: int) -> None:
    import grpc

    async def echo(tree: Node, _: object) -> Node:
        return tree

    async def run() -> None:
        method = grpc.unary_unary_rpc_method_handler(echo, _decode, _encode)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Trees", {"echo": method})])
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()

    asyncio.run(run())


async def client(port: int):
    import grpc

    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    return channel.unary_unary("/Trees/echo", _encode, _decode)
