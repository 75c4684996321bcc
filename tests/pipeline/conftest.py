"""One test body, both drivers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


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
