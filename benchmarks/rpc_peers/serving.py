"""uvicorn as all peers use it."""

from __future__ import annotations


def serve_asgi(app, port: int) -> None:
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")
