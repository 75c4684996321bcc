"""One test body, both drivers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipeline.asking import async_ask, sync_ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.pipeline.issuer import Issuer


def sync_drive(app: Any, operation: str, *args: Any, **kwargs: Any) -> Any:
    return app.call(operation, *args, **kwargs)


def async_drive(app: Any, operation: str, *args: Any, **kwargs: Any) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(app.acall(operation, *args, **kwargs), 10)

    return asyncio.run(bounded())


@pytest.fixture(params=[sync_drive, async_drive], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``drive(app, operation, *args, **kwargs)`` → outcome."""
    return request.param


@pytest.fixture(params=[sync_ask, async_ask], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``ask(app, **headers)`` → the answer to ``GET /``."""
    return request.param


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A server on loopback that issues tokens."""
    from tests.pipeline.issuer import issuer_on_loopback

    with issuer_on_loopback() as issuer:
        yield issuer
