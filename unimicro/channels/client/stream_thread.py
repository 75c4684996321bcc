"""How threads call over ``stream``: on an event loop in a thread of its own, one for the process.

It is not the loop that runs the async methods of sync doors (``pipeline.loop``): such a method may call
another service through a sync proxy, and the loop would wait for itself.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from unimicro.channels.client.stream_dialer import Dialer
from unimicro.channels.client.stream_socket import CLOSE_TIMEOUT
from unimicro.outcome import Left
from unimicro.pipeline.deadline import expired

if TYPE_CHECKING:
    from unimicro.channels.client.stream_dialer import Address
    from unimicro.channels.client.stream_link import Reply

__all__ = ["ThreadSide"]

_GRACE = 5.0
"""Seconds after its deadline for which a thread waits for the loop to say that it is over."""


class _LoopThread:
    """A loop that runs as long as somebody uses it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.users = 0
        self.thread = threading.Thread(target=self._run, name="unimicro-stream", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left))
        self.loop.close()

    def give_back(self) -> None:
        """One user less; without any the loop ends."""
        with _kept.lock:
            self.users -= 1
            if not self.users and _kept.thread is self:
                _kept.thread = None
                self.loop.call_soon_threadsafe(self.loop.stop)


class _Kept:
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A forked child has the loop but not its thread."""
        self.lock = threading.Lock()
        self.thread: _LoopThread | None = None

    def borrow(self) -> _LoopThread:
        """The loop, with one user more; the lock is held."""
        if self.thread is None:
            self.thread = _LoopThread()
        self.thread.users += 1
        return self.thread


_kept = _Kept()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.forget)


class ThreadSide:
    """What the threads of this process have of an address.

    Args:
        address: It.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lent: tuple[_LoopThread, Dialer] | None = None

    def call(self, call: bytes, deadline: float | None) -> Reply:
        """Call, and wait for the answer."""
        waiter: Future[Reply] = Future()
        left = None if deadline is None else max(deadline - self._address.clock.now(), 0) + _GRACE
        dialer = self._begin(call, deadline, waiter)
        try:
            return waiter.result(left)
        except TimeoutError:
            return Left(expired())
        except BaseException:
            with suppress(RuntimeError):  # the loop has ended
                dialer.loop.call_soon_threadsafe(dialer.abandon, waiter)
            raise

    def _begin(self, call: bytes, deadline: float | None, waiter: Future[Reply]) -> Dialer:
        # Under the lock, so that a close comes before or after: what is begun before it is answered.
        with _kept.lock:
            if self._lent is None or self._lent[0] is not _kept.thread:
                thread = _kept.borrow()
                self._lent = thread, Dialer(self._address, thread.loop)
            dialer = self._lent[1]
            dialer.loop.call_soon_threadsafe(dialer.begin, call, deadline, waiter)
            return dialer

    def close(self) -> None:
        """Close what no call is under way on, and wait for that; the rest closes when its calls are done."""
        with _kept.lock:
            lent, self._lent = self._lent, None
            if lent is None or lent[0] is not _kept.thread:
                return
            thread, dialer = lent
            quiet: Future[None] = Future()
            asyncio.run_coroutine_threadsafe(_close(thread, dialer, quiet), thread.loop)
        with suppress(TimeoutError):
            quiet.result(CLOSE_TIMEOUT + 1)
        if thread is not _kept.thread:
            thread.thread.join(CLOSE_TIMEOUT)


async def _close(lent: _LoopThread, dialer: Dialer, quiet: Future[None]) -> None:
    try:
        if dialer.is_busy():
            quiet.set_result(None)
        await dialer.close(None)
    finally:
        lent.give_back()
        if not quiet.done():
            quiet.set_result(None)
