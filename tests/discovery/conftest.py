"""The played channel, a clock, and both colours."""

from __future__ import annotations

import asyncio

import pytest

from tests.discovery.played import Played
from unimicro.pipeline.clock import VirtualClock


@pytest.fixture
def played():
    """The channel, with nothing said yet."""
    for kept in (Played.answers, Played.asked, Played.closed, Played.made):
        kept.clear()
    return Played


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture(params=["sync", "async"])
def drive(request):
    """``drive(proxy, "find")`` → the result, on either path."""

    def sync_drive(proxy, method, *args):
        return getattr(proxy, method)(*args)

    def async_drive(proxy, method, *args):
        async def bounded():
            return await asyncio.wait_for(getattr(proxy, "a" + method)(*args), 10)

        return asyncio.run(bounded())

    return sync_drive if request.param == "sync" else async_drive
