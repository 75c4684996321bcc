"""One connection of the channel ``stream``, on one event loop: the calls under way on it."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Protocol

from unimicro.channels.client.channel import not_sent, unavailable
from unimicro.channels.client.http_refusals import too_large
from unimicro.channels.client.stream_timers import Alarm, KeepAlive
from unimicro.channels.client.stream_turns import Turns
from unimicro.channels.stream_frames import (
    CANCEL,
    DONE,
    GOING_AWAY,
    NO_FRAME,
    PART_BYTES,
    Answer,
    Failed,
    FrameError,
    FromServer,
    GoAway,
    Hello,
    Part,
    Refused,
    call_frame,
    encode_frame,
    message_of,
    read_from_server,
    read_reply,
)
from unimicro.channels.stream_parts import ENVELOPE_BYTES, Assembly, Outbox, TooLarge
from unimicro.outcome import Left, Outcome
from unimicro.pipeline.deadline import expired

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.channels.client.stream_dialer import Address
    from unimicro.pipeline.ports import Clock

__all__ = ["Link", "Reply", "Waiter"]

Reply = Answer | Failed | Refused | Outcome[Any]
"""What comes of a call: a frame, or the failure of the connection."""

log = logging.getLogger("unimicro")

ENDED = "the connection broke"


class Waiter(Protocol):
    """A future, of asyncio or of a thread."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...


class Link:
    """One connection, from its handshake to its end.

    Args:
        address: Where to.
        on_end: Called once, when a link that has taken calls takes no more.

    Attributes:
        socket: Its socket.
        room: How many calls may be under way; 0 before the server has said so, and once it takes no more.
        call_bytes: Most octets of the arguments of a call.
        waiters: Id to who waits, and until when.
        opened: Resolved once it takes calls, or never will.
        answered: Whether a call has been answered on it.
        planned: Whether either side has said that it ends.
        why: Why it has ended; for people.
    """

    def __init__(self, address: Address, on_end: Callable[[Link], None]) -> None:
        self._place = address.host, address.port
        self._settings = address.settings
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.socket = address.make_socket(self)
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.why = ""
        self.room = 0
        self.call_bytes = 0
        self.waiters: dict[int, tuple[Waiter, float | None]] = {}
        self.answered = False
        self.planned = False
        self._announced = False
        self._turns = Turns()
        self._last = 0
        self._outbox = Outbox()
        self._flush_planned = False
        self._arriving = Assembly(self._settings.max_bytes + ENVELOPE_BYTES)
        self._retiring = False
        self._alarm = Alarm(self._loop, address.clock.now, self._expire)
        self._keep_alive = KeepAlive(self._loop, self.socket, self._settings)

    # -- calls ---------------------------------------------------------------------------------

    def begin(self, call: bytes, deadline: float | None, waiter: Waiter) -> int:
        """Send a call; there must be room. Its id.

        Args:
            call: Method, headers, args and kwargs in msgpack.
            deadline: On the clock.
            waiter: Gets a ``Reply``.
        """
        self._last = number = self._last + 1
        waiters = self.waiters
        waiters[number] = waiter, deadline
        frame = call_frame(number, call)
        if (
            len(waiters) == 1
            and not self._flush_planned
            and len(frame) <= PART_BYTES
            and not self.socket.paused
        ):
            # Nothing else is there to go with it.
            self.socket.send(message_of((frame,)))
        else:
            self._outbox.put(number, frame)
            self._plan_flush()
        if deadline is not None and deadline < self._alarm.at:
            self._alarm.set(deadline)
        return number

    def cancel(self, number: int) -> None:
        """Nobody waits for the call any more."""
        if self.waiters.pop(number, None) is None:
            return
        self._arriving.drop(number)
        if not self._outbox.drop(number):
            self._outbox.put_first(encode_frame((CANCEL, number)))
            self._plan_flush()
        self.use_room()

    def has_room(self) -> bool:
        """Whether a call may be begun that has not waited."""
        return len(self.waiters) + self._turns.called < self.room

    async def wait_for_turn(self, clock: Clock, deadline: float | None) -> bool:
        """Wait till a call may be begun, or the connection takes no more; whether that was by ``deadline``.

        Whose turn it is begins the call at once, or says ``use_room`` if it does not.
        """
        try:
            return await self._turns.wait(clock, deadline)
        except BaseException:
            self.use_room()
            raise

    def use_room(self) -> None:
        """Call those who wait, as many as there is room for."""
        if self._turns:
            self._turns.call(self.room - len(self.waiters) - self._turns.called)
        if self._retiring and not self.waiters:
            self.socket.close(DONE)

    # -- sending -------------------------------------------------------------------------------

    def _plan_flush(self) -> None:
        """All frames that come while the loop runs other tasks go in one message."""
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self.writable)

    def writable(self) -> None:
        """Send what waits, as far as the transport takes it."""
        self._flush_planned = False
        if self.socket.paused:
            return
        message = self._outbox.take()
        if message:
            self.socket.send(message)
            if self._outbox:
                # Not at once: answers, and calls that come meanwhile, get their turn.
                self._plan_flush()

    # -- receiving -----------------------------------------------------------------------------

    def received(self, message: bytes) -> None:
        """Hand the answers of a message to those who wait.

        Raises:
            FrameError: It breaks the rules.
        """
        waiters = self.waiters
        frames = read_from_server(message)
        self.answered = self.opened.done()
        if not self.answered and not (frames and type(frames[0]) is Hello):
            raise FrameError(NO_FRAME, "the first frame is not hello")
        for frame in frames:
            if type(frame) is Answer:
                waiting = waiters.pop(frame.id, None)
                if waiting is not None and not waiting[0].done():
                    waiting[0].set_result(frame)
            else:
                self._take(frame)
        if self._turns or self._retiring:
            self.use_room()

    def _take(self, frame: FromServer) -> None:
        if isinstance(frame, Hello):
            self._open(frame)
        elif isinstance(frame, GoAway):
            self._announced = True
            self.retire()
        elif isinstance(frame, Part):
            self._take_part(frame)
        else:
            self._resolve(frame.id, frame)

    def _open(self, hello: Hello) -> None:
        if self.opened.done():
            raise FrameError(NO_FRAME, "a second hello")
        self.room = hello.calls
        self.call_bytes = hello.call_bytes
        self.opened.set_result(None)
        self._keep_alive.start()

    def _resolve(self, number: int, reply: Reply) -> None:
        waiting = self.waiters.pop(number, None)
        if waiting is not None and not waiting[0].done():
            waiting[0].set_result(reply)

    def _take_part(self, part: Part) -> None:
        number = part.id
        if number not in self.waiters:
            return
        try:
            octets = self._arriving.take(part)
        except TooLarge:
            limit = self._settings.max_bytes
            waiter, _ = self.waiters[number]
            self.cancel(number)
            if not waiter.done():
                waiter.set_result(Left(too_large(limit)))
            return
        if octets is not None:
            reply = read_reply(octets)
            if reply.id != number:
                raise FrameError(NO_FRAME, f"parts with the id {number} hold the answer of {reply.id}")
            self._resolve(number, reply)

    # -- time ----------------------------------------------------------------------------------

    def _expire(self, now: float) -> float:
        """Give up the calls whose time is over; the next deadline."""
        following = math.inf
        for number, (waiter, deadline) in list(self.waiters.items()):
            if deadline is None:
                continue
            if deadline <= now:
                self.cancel(number)
                if not waiter.done():
                    waiter.set_result(Left(expired()))
            elif deadline < following:
                following = deadline
        return following

    # -- the end -------------------------------------------------------------------------------

    def retire(self) -> None:
        """Take no further calls; close when those under way are done."""
        self.planned = True
        if self.room:
            self.room = 0
            self._retiring = True
            self._on_end(self)
            self._turns.call_all()
        if not self.waiters:
            self.socket.close(DONE)

    def lost(self, code: int, reason: str) -> None:
        """The connection is gone: each call is told what that means for it."""
        self.why = reason
        log.info("stream: %s:%s: the connection has ended: %s (%s)", *self._place, reason, code)
        # A server that has announced its end has answered every call that it has read.
        never_begun = self.waiters if self._announced and code == GOING_AWAY else self._outbox.unsent()
        for number, (waiter, _) in self.waiters.items():
            if not waiter.done():
                waiter.set_result(not_sent(ENDED) if number in never_begun else unavailable(ENDED))
        self.waiters.clear()
        self._outbox = Outbox()
        self._alarm.cancel()
        self._keep_alive.cancel()
        if not self.opened.done():
            self.opened.set_result(None)
        if self.room:
            self.room = 0
            self._on_end(self)
        self._turns.call_all()
