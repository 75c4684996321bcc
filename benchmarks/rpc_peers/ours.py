"""unimicro over each of its channels."""

from __future__ import annotations

from functools import partial

from rpc_peers.payload import Node  # noqa: TC001 - read from the hints of the entry
from rpc_peers.serving import serve_asgi
from unimicro import App, Service, entry
from unimicro.channels.client.manager import connect


class Trees(Service):
    @entry("POST", "/echo", no_auth=True, safe=True)
    async def echo(self, tree: Node) -> Node:
        return tree


def serve(port: int) -> None:
    serve_asgi(App(Trees()).asgi, port)


async def client(channel: str, port: int, *, stock: bool = False):
    import httpx

    # A factory of the user's is taken instead of the fast transport.
    factory = partial(httpx.AsyncClient, timeout=None) if stock else None
    proxy = connect(Trees, address=f"http://127.0.0.1:{port}", channel=channel, async_client=factory)
    return proxy.echo
