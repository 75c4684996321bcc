"""One WebSocket of ``stream`` on the server: its calls, and the order of what is sent."""

from __future__ import annotations

import asyncio
import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from unimicro.channels.stream_door import StreamCall, encoded_problem
from unimicro.channels.stream_frames import (
    BROKEN,
    FAILED,
    GOAWAY,
    GOING_AWAY,
    HELLO,
    NO_FRAME,
    PART_BYTES,
    REFUSED,
    TEXT,
    Call,
    Cancel,
    FrameError,
    Part,
    encode_frame,
    message_of,
    problem_frame,
    read_call,
    read_from_client,
)
from unimicro.channels.stream_parts import ENVELOPE_BYTES, Assembly, Outbox, TooLarge
from unimicro.outcome import Failure
from unimicro.routes.request import body_too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from unimicro.channels.asgi import Receive, Send
    from unimicro.channels.stream_door import StreamDoor

log = logging.getLogger("unimicro")

CLOSE_LIMIT = 5.0
"""Seconds that a peer has to take what is sent last."""

_REASON_BYTES = 123
"""Longest reason of a close frame (RFC 6455 §5.5)."""

GOES_AWAY = Failure("unavailable", "the server is going away", layer="stream")


class ServedConnection:
    """Reads calls, runs each as a task, and sends what comes of them.

    Args:
        door: Decodes and encodes.
        receive: Of ASGI.
        send: Of ASGI.
        defaults: Header fields of every call.
        most_calls: Under way at a time.
    """

    def __init__(
        self, door: StreamDoor, receive: Receive, send: Send, defaults: dict[str, str], most_calls: int
    ) -> None:
        self._door = door
        self._receive = receive
        self._send = send
        self._defaults = defaults
        self._most = most_calls
        self._limit = door.app.settings.max_body_bytes
        self._clock = door.app.clock
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, asyncio.Task[None] | None] = {}
        self._cancelled: set[asyncio.Task[None]] = set()
        self._arriving = Assembly(self._limit + ENVELOPE_BYTES)
        self._outbox = Outbox()
        self._idle_writer: asyncio.Future[None] | None = None
        self._progressed = asyncio.Event()
        self._going = False
        self._writer: asyncio.Task[None] | None = None
        self._last_code: int | None = None
        self._closed = False
        # By type of a frame; looked up for each.
        self._takes: dict[type, Any] = {Call: self._begin, Cancel: self._cancel, Part: self._take_part}

    async def serve(self) -> None:
        """Serve until either side ends the connection; its calls end with it."""
        self._outbox.put_first(encode_frame((HELLO, self._most, self._limit)))
        reader, writer = self._loop.create_task(self._read()), self._loop.create_task(self._write())
        self._writer = writer
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            error = reader.exception() if reader.done() else None
            if error is not None:
                writer.cancel()
                await self._disconnect(error)
        finally:
            self._closed = True
            self._progressed.set()
            ending = [reader, writer, *filter(None, self._calls.values())]
            self._calls.clear()
            for task in ending:
                task.cancel()
            # Held here till they end: nobody else has a reference to them.
            await asyncio.wait((*ending, *self._cancelled))

    async def _disconnect(self, error: BaseException) -> None:
        if isinstance(error, FrameError):
            log.info("stream: a client is disconnected: %s", error)
            code, reason = error.code, str(error)
        else:
            log.error("stream: a connection has failed", exc_info=error)
            code, reason = BROKEN, "internal error"
        await self._within(CLOSE_LIMIT, self._send_close(code, reason))

    # -- reading -------------------------------------------------------------------------------

    async def _read(self) -> None:
        receive, takes, outbox = self._receive, self._takes, self._outbox
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            octets = message.get("bytes")
            if octets is None:
                raise FrameError(TEXT, "messages are binary")
            for frame in read_from_client(octets):
                takes[type(frame)](frame)
            while len(outbox) > self._most or len(self._cancelled) > self._most:
                # Nothing more of a client that does not take its answers, or cancels faster than calls end.
                self._progressed.clear()
                await self._progressed.wait()

    def _begin(self, call: Call) -> None:
        number = call.id
        calls = self._calls
        if number in calls or number in self._arriving:
            raise FrameError(NO_FRAME, f"the id {number} is in use")
        if self._going:
            self._answer(number, problem_frame(REFUSED, number, _goes_away()))
        elif len(calls) >= self._most:
            self._answer(number, problem_frame(FAILED, number, _too_many(self._most)))
        else:
            calls[number] = None
            task = self._loop.create_task(self._run(number, StreamCall(call, self._defaults)))
            if number in calls:  # an eager task may be done
                calls[number] = task

    async def _run(self, number: int, call: StreamCall) -> None:
        answer = await self._door.ahandle(call)
        calls = self._calls
        if number not in calls:
            return
        if len(calls) == 1 and self._idle_writer is not None and len(answer) <= PART_BYTES:
            # Nothing else is there to go with it: without the detour over the writer's task.
            await self._send_now(answer)
            if calls.pop(number, None) is not None:
                self._progressed.set()
        else:
            del calls[number]
            self._answer(number, answer)

    async def _send_now(self, frame: bytes) -> None:
        try:
            await self._send({"type": "websocket.send", "bytes": message_of((frame,))})
        except Exception as error:
            _log_broken(error)

    def _answer(self, number: int, frame: bytes) -> None:
        if self._closed:
            return
        self._outbox.put(number, frame)
        self._wake_writer()

    def _take_part(self, part: Part) -> None:
        number = part.id
        if number in self._calls:
            raise FrameError(NO_FRAME, f"the id {number} is in use")
        try:
            octets = self._arriving.take(part)
        except TooLarge:
            self._answer(number, problem_frame(FAILED, number, _too_large(self._limit)))
            return
        if octets is None:
            return
        call = read_call(octets)
        if call.id != number:
            raise FrameError(NO_FRAME, f"parts with the id {number} hold the call {call.id}")
        self._begin(call)

    def _cancel(self, cancel: Cancel) -> None:
        number = cancel.id
        self._arriving.drop(number)
        self._outbox.drop(number)
        task = self._calls.pop(number, None)
        if task is not None:
            self._end(task)

    def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._cancelled.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._cancelled.discard(task)
        self._progressed.set()

    # -- writing -------------------------------------------------------------------------------

    def _wake_writer(self) -> None:
        idle = self._idle_writer
        if idle is not None:
            self._idle_writer = None
            if not idle.done():
                idle.set_result(None)

    async def _write(self) -> None:
        """Send what waits. All that comes while the loop runs other tasks goes in one message."""
        outbox, send = self._outbox, self._send
        try:
            while True:
                message = outbox.take()
                if message:
                    await send({"type": "websocket.send", "bytes": message})
                    self._progressed.set()
                    if outbox.has_large():
                        # A transport with room does not make a sender wait: others get their turn here.
                        await asyncio.sleep(0)
                elif self._last_code is not None:
                    # What is read from now on is not begun, and the client knows that.
                    self._closed = True
                    self._progressed.set()
                    await self._send_close(self._last_code, "the server is going away")
                    return
                else:
                    self._idle_writer = self._loop.create_future()
                    await self._idle_writer
        except Exception as error:
            _log_broken(error)

    async def _send_close(self, code: int, reason: str) -> None:
        reason = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    # -- the end -------------------------------------------------------------------------------

    async def drain(self, limit: float) -> None:
        """Refuse further calls, let those under way end within ``limit`` seconds, close."""
        self._going = True
        self._outbox.put_first(encode_frame((GOAWAY, GOES_AWAY.message)))
        self._wake_writer()
        await self._within(limit, self._until(lambda: not self._calls))
        for number, task in list(self._calls.items()):
            del self._calls[number]
            if task is not None:
                self._end(task)
            self._answer(number, problem_frame(FAILED, number, _goes_away()))
        self._last_code = GOING_AWAY
        self._wake_writer()
        await self._within(CLOSE_LIMIT, self._until(lambda: self._closed))
        if not self._closed and self._writer is not None:
            self._writer.cancel()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not (reached() or self._closed):
            self._progressed.clear()
            await self._progressed.wait()

    async def _within(self, seconds: float, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, but no longer; that it fails means that the connection is gone."""
        task = self._loop.create_task(work)
        await self._clock.await_for(task, seconds)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and task.exception() is not None:
            log.debug("stream: %r at the end of a connection", task.exception())


def _log_broken(error: Exception) -> None:
    """The connection is gone; servers say so in different ways, and reading ends as well."""
    log.debug("stream: nothing more can be sent: %r", error)


# Encoded once: a client may cause thousands of these with one message.


@cache
def _goes_away() -> bytes:
    return encoded_problem(GOES_AWAY)


@cache
def _too_many(most: int) -> bytes:
    text = f"more than {most} calls at a time on one connection"
    return encoded_problem(Failure("resource_exhausted", text, layer="stream"))


@cache
def _too_large(limit: int) -> bytes:
    return encoded_problem(body_too_large(limit))
