"""The one event loop on which sync doors run async methods.

One loop a process, kept: connection pools of async clients belong to the loop they were made on.
It runs in a thread of its own, so that the threads of a WSGI server share it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def kept_loop() -> asyncio.AbstractEventLoop:
    """The process's loop, started on first use."""
    global _loop  # noqa: PLW0603 - one loop a process is the point
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=(_loop,), name="unimicro-loop", daemon=True).start()
        return _loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop, again where a method raised ``SystemExit`` or ``KeyboardInterrupt``.

    asyncio hands these two to the one who waits, but also lets them end the loop, and with it every
    other call.
    """
    while True:
        try:
            return loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue


def _forget() -> None:
    """A forked child has the loop but not its thread."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_on_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end and return its result; the caller's context variables are visible in it.

    An interrupt of the calling thread cancels the work.

    Raises:
        RuntimeError: Called on the loop itself, which would wait for itself for ever.
    """
    loop = kept_loop()
    if asyncio._get_running_loop() is loop:  # noqa: SLF001 - get_running_loop raises where there is none
        coroutine.close()
        raise RuntimeError("an async method called an async operation with app.call; await app.acall instead")
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def is_stray_cancellation(error: BaseException) -> bool:
    """A ``CancelledError`` although nobody cancels this task: the service awaited something cancelled.

    To the caller that is a failure like any other. A task that is being cancelled must end instead.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or not task.cancelling())
