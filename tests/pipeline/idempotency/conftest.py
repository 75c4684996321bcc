"""Every case on both drivers and in each store of this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipeline.idempotency.calls import Blocking, invocation
from unimicro.stores.memory import MemoryIdempotencyStore
from unimicro.stores.sqlite import SqliteIdempotencyStore

if TYPE_CHECKING:
    from unimicro import App


@pytest.fixture(params=["memory", "blocking", "sqlite"])
def store(request, tmp_path):
    if request.param != "sqlite":
        yield MemoryIdempotencyStore() if request.param == "memory" else Blocking()
        return
    store = SqliteIdempotencyStore(path=tmp_path / "calls.db")
    yield store
    store.close()


@pytest.fixture(params=["sync", "async"])
def send(request):
    """``send(app, operation, key, principal=..., **arguments)`` → outcome."""

    def sync_send(app: App, *args: Any, **arguments: Any) -> Any:
        return app.run(invocation(*args, **arguments))

    def async_send(app: App, *args: Any, **arguments: Any) -> Any:
        return asyncio.run(asyncio.wait_for(app.arun(invocation(*args, **arguments)), 20))

    return sync_send if request.param == "sync" else async_send
