"""One way to call for sync and async methods, over each transport."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from unimicro.channels.client.manager import ServiceManager

TRANSPORTS = ("httpx", "fast")


@contextmanager
def manager_for(channel, transport="auto", **options):
    """A manager whose channel has a transport; closed for threads and loops."""
    settings = {"transport": transport, **options.pop("settings", {})}
    manager = ServiceManager(config={"channels": {channel: settings}, **options.pop("config", {})}, **options)
    with manager:
        yield manager


@contextmanager
def proxy_of(interface, channel, address, transport="auto", *, name="", **options):
    """A proxy of a service at an address."""
    with manager_for(channel, transport, **options) as manager:
        yield manager.get_service(interface, channel, address=address, name=name)


def called(proxy, method, *args, **kwargs):
    """The result of a method; an async one runs on a loop of its own, which leaves nothing open."""
    result = getattr(proxy, method)
    if not asyncio.iscoroutinefunction(result):
        return result(*args, **kwargs)

    async def call():
        try:
            return await result(*args, **kwargs)
        finally:
            await vars(proxy)["__unimicro_owner__"].aclose()

    return asyncio.run(call())
