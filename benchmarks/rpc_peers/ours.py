"""unimicro over each of its channels."""

from __future__ import annotations

from rpc_peers.payload import Node  # noqa: TC001 - read from the hints of the entry
from rpc_peers.serving import serve_asgi
from unimicro import App, Service, connect, entry


class Trees(Service):
    @entry("POST", "/echo", no_auth=True, safe=True)
    async def echo(self, tree: Node) -> Node:
        return tree


def serve(port: int) -> None:
    serve_asgi(App(Trees()).asgi, port)


async def client(channel: str, port: int, transport: str = ""):
    channels = {channel: {"transport": transport}} if transport else {}
    config = {"channels": channels}
    return connect(Trees, address=f"http://127.0.0.1:{port}", channel=channel, config=config).echo
