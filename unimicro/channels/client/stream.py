"""The channel ``stream``: one WebSocket to each address with many calls on it; see ``stream_frames``."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from unimicro.channels.client.channel import Channel, ChannelContext, Connection
from unimicro.channels.client.stream_dialer import Address, Dialer
from unimicro.channels.client.stream_socket import CLOSE_TIMEOUT
from unimicro.channels.client.stream_thread import ThreadSide
from unimicro.channels.client.stream_wire import StreamWire
from unimicro.channels.stream_settings import stream_settings
from unimicro.errors import require
from unimicro.outcome import Either

if TYPE_CHECKING:
    from unimicro.channels.client.stream_link import Link
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome

__all__ = ["StreamChannel", "StreamConnection"]


class StreamChannel(Channel[StreamWire]):
    """Calls over WebSockets.

    Raises:
        ConfigurationError: ``[channels.stream]`` is wrong.
        MissingExtra: The package websockets is not installed.
    """

    name = "stream"

    def __init__(self, context: ChannelContext) -> None:
        super().__init__(context)
        require("websockets", "client", "the channel 'stream'")
        self._settings = stream_settings(context.settings)

    def prepare(self, operation: Operation) -> StreamWire:
        return StreamWire(operation, self.context, self._settings.max_bytes)

    def connect(self, uri: str) -> StreamConnection:
        return StreamConnection(Address.of(uri, self.context.clock, self._settings))


class StreamConnection(Connection[StreamWire]):
    """The way to one address: a WebSocket for each event loop that calls, and one for all threads that do."""

    def __init__(self, address: Address) -> None:
        self._address = address
        # Loops of other threads come and go meanwhile. Each change, and each copy, is one step of the
        # interpreter: a fork cannot leave it half done, as it could leave a lock held.
        self._dialers: dict[asyncio.AbstractEventLoop, Dialer] = {}
        self._threads = ThreadSide(address)

    async def ainvoke(self, wire: StreamWire, invocation: Invocation) -> Outcome[Any]:
        dialer = self._dialers.get(asyncio.get_running_loop()) or self._new_dialer()
        link = dialer.link
        deadline = invocation.deadline
        if link is None or not link.has_room():
            given_up = await dialer.wait(deadline)
            if given_up is not None:
                return given_up
            link = cast("Link", dialer.link)
        call = wire.call(invocation)
        if isinstance(call, Either):
            link.use_room()
            return call
        waiter = dialer.loop.create_future()
        number = link.begin(call, deadline, waiter)
        try:
            reply = await waiter
        except BaseException:
            link.cancel(number)
            raise
        return wire.outcome(reply)

    def _new_dialer(self) -> Dialer:
        for loop in self._dialers.copy():
            if loop.is_closed():
                self._dialers.pop(loop, None)
        loop = asyncio.get_running_loop()
        self._dialers[loop] = dialer = Dialer(self._address, loop)
        return dialer

    def invoke(self, wire: StreamWire, invocation: Invocation) -> Outcome[Any]:
        call = wire.call(invocation)
        if isinstance(call, Either):
            return call
        return wire.outcome(self._threads.call(call, invocation.deadline))

    def close(self) -> None:
        """Close what no call is under way on; the rest closes as soon as its calls are done."""
        self._threads.close()
        # Kept: an aclose on that loop waits for its end.
        for loop, dialer in self._dialers.copy().items():
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(dialer.close_later)

    async def aclose(self) -> None:
        dialer = self._dialers.pop(asyncio.get_running_loop(), None)
        if dialer is not None:
            await dialer.close(CLOSE_TIMEOUT)
