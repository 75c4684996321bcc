"""One test body, both colours, and a server to call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.caller import Caller
from tests.functional.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Sync:
    """Functions as they are."""

    @staticmethod
    def colour(function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    @staticmethod
    def run(result: Any) -> Any:
        return result


class Async:
    """The same functions as coroutine functions."""

    @staticmethod
    def colour(function: Callable[..., Any]) -> Callable[..., Any]:
        async def coloured(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        coloured.__qualname__ = function.__qualname__
        return coloured

    @staticmethod
    def run(result: Any) -> Any:
        async def bounded() -> Any:
            return await asyncio.wait_for(result, 10)

        return asyncio.run(bounded())


COLOURS = [Sync, Async]


@pytest.fixture(params=COLOURS, ids=lambda colour: colour.__name__.lower())
def of(request: pytest.FixtureRequest) -> Any:
    """``of.colour(function)`` → the function in that colour, ``of.run(its result)`` → the value."""
    return request.param


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server on 127.0.0.1."""
    with Server() as running:
        yield running


@pytest.fixture
def caller(of: Any) -> Caller:
    """HTTP calls in that colour, with the defaults."""
    return Caller(of)
