"""httpx and FastAPI as one would write it: a model on the server, a typed answer on the client."""

from __future__ import annotations

from rpc_peers.payload import Node
from rpc_peers.serving import serve_asgi


def serve(port: int) -> None:
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/echo")
    async def echo(tree: Node) -> Node:
        return tree

    serve_asgi(app, port)


async def client(port: int):
    import httpx
    from pydantic import TypeAdapter

    adapter, http = TypeAdapter(Node), httpx.AsyncClient()

    async def call(tree: Node) -> Node:
        headers = {"content-type": "application/json"}
        body = adapter.dump_json(tree)
        answer = await http.post(f"http://127.0.0.1:{port}/echo", content=body, headers=headers)
        answer.raise_for_status()
        return adapter.validate_json(answer.content)

    return call
