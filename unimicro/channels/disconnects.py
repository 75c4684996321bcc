"""Calls whose client goes away while they run are cancelled (ASGI: ``http.disconnect``)."""

from __future__ import annotations

import threading
from asyncio import CancelledError, current_task, get_running_loop
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Awaitable, Callable

    from unimicro.channels.asgi import Receive

__all__ = ["while_connected"]

T = TypeVar("T")

LOOK_EVERY = 0.05
"""Seconds. A call that two looks have seen is worth a task that waits for its client to go."""


async def while_connected(receive: Receive, call: Awaitable[T], gone: Callable[[], T]) -> T:
    """The result of ``call``, which is cancelled when the client goes away; then what ``gone`` says.

    Args:
        receive: Of the request, whose body has been read.
        call: What serves it, in this task.
        gone: An answer for the middleware around; the server sends it to nobody.
    """
    loop = get_running_loop()
    clients: _Clients | None = _of_thread.clients
    if clients is None or clients.loop is not loop:
        clients = _of_thread.clients = _Clients(loop)
    place = object()
    clients.running[place] = current_task(loop), receive
    if not clients.looking:
        clients.look_later()
    try:
        return await call
    except CancelledError:
        if clients.is_its_doing(place):
            return gone()
        raise
    finally:
        del clients.running[place]
        if clients.watched:
            clients.end(place)


class _Clients:
    """The calls that run on one event loop. One timer looks after all: a call costs a place in a dict."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.running: dict[object, tuple[Task[Any] | None, Receive]] = {}
        self.watched: dict[object, Task[None]] = {}
        self.looking = False
        self._seen: list[object] = []
        self._cancelled: set[object] = set()

    def look_later(self) -> None:
        self.looking = True
        self.loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        for place in self._seen:
            if place in self.running and place not in self.watched:
                self.watched[place] = self.loop.create_task(self._watch(place, *self.running[place]))
        self._seen = list(self.running)
        self.looking = False
        if self.running:
            self.look_later()

    async def _watch(self, place: object, task: Task[Any] | None, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect" and task is not None:
            self._cancelled.add(place)
            task.cancel()

    def is_its_doing(self, place: object) -> bool:
        """Whether the cancellation that this task has got is ours, and no other."""
        task = current_task(self.loop)
        return place in self._cancelled and task is not None and task.uncancel() == 0

    def end(self, place: object) -> None:
        self._cancelled.discard(place)
        watcher = self.watched.pop(place, None)
        if watcher is not None:
            watcher.cancel()


class _OfThread(threading.local):
    """A thread runs one loop at a time."""

    clients: _Clients | None = None


_of_thread = _OfThread()
