"""The least that ``POST /invoke`` can cost: ASGI without a framework, no authorizer, nothing checked."""

from __future__ import annotations

from typing import Any

import msgpack


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    call = msgpack.unpackb(body)
    answer = msgpack.packb({"result": call["args"][0], "exception": None})
    headers = [
        (b"content-type", b"application/msgpack"),
        (b"content-length", str(len(answer)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
