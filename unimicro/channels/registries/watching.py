"""Watches of a registry: each has a thread of its own, so that a slow listener keeps nobody else waiting."""

from __future__ import annotations

import logging
import time
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING

from unimicro.channels.registries.forking import tell_after_fork
from unimicro.discovery import RegistryUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.discovery import Instance

    Listener = Callable[[tuple[Instance, ...]], None]

__all__ = ["CLOSE_SECONDS", "Watch", "Watches"]

log = logging.getLogger("unimicro")

CLOSE_SECONDS = 2.0
"""The longest that ``close`` waits for threads."""
_AFTER_A_BUG = 1.0


class Watch:
    """One listener, told by one thread.

    Args:
        component: Whose instances it is told of.
        listener: The user's.
        follow: Runs in the thread until ``ended``: waits for changes, and calls ``tell``.

    Attributes:
        ended: Nobody is told any more.
        failures: Times in a row that the registry did not answer.
        interrupt: Cuts short what ``follow`` waits for, beside ``pause``.
    """

    def __init__(self, component: str, listener: Listener, follow: Callable[[Watch], None]) -> None:
        self.component = component
        self.ended = False
        self.interrupt: Callable[[], None] = _nothing
        self._listener = listener
        self._follow = follow
        self._told: tuple[Instance, ...] | None = None
        self.failures = 0
        self.start()

    def start(self) -> None:
        """Begin, or begin anew in a child process."""
        self._news = Event()
        self._thread = Thread(target=self._run, name=f"unimicro-watch-{self.component}"[:60], daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.ended:
            try:
                self._follow(self)
            except Exception:
                # Without this the list would stay as it is for ever.
                log.exception("the watch of %r failed, and begins anew", self.component)
                self.pause(_AFTER_A_BUG)

    def tell(self, instances: tuple[Instance, ...]) -> None:
        """Call the listener, if this is news to it."""
        if self.ended or instances == self._told:
            return
        self._told = instances
        try:
            self._listener(instances)
        except Exception:
            log.exception("a listener of %r raised", self.component)

    def failed(self, error: RegistryUnavailable) -> None:
        """The registry does not answer: the last list stays."""
        self.failures += 1
        if self.failures == 1 and not self.ended:
            log.warning("instances of %r stay as they were: %s", self.component, error)

    def answered(self) -> None:
        """It does."""
        if self.failures:
            log.info("the registry tells of %r again", self.component)
        self.failures = 0

    def pause(self, seconds: float | None = None) -> None:
        """Wait for ``wake``, and so long at most."""
        self._news.wait(seconds)
        self._news.clear()

    def wake(self) -> None:
        """End a ``pause``, or spare the next one."""
        self._news.set()

    def end(self) -> None:
        """Begin no further call of the listener. One that runs still may do so: it is not waited for."""
        self.ended = True
        self.wake()
        self.interrupt()

    def join(self, until: float) -> None:
        """Wait for the thread until that moment (``time.monotonic``), unless it is this one."""
        if self._thread is not current_thread():
            self._thread.join(max(0.0, until - time.monotonic()))


def _nothing() -> None:
    pass


class Watches:
    """The watches of one registry.

    Args:
        follow: See ``Watch``.
    """

    def __init__(self, follow: Callable[[Watch], None]) -> None:
        self._follow = follow
        self._lock = Lock()
        self._watches: list[Watch] = []
        self.closed = False
        tell_after_fork(self)

    def begin(self, component: str, listener: Listener) -> Callable[[], None]:
        """See ``Registry.watch``.

        Raises:
            RegistryUnavailable: The registry was closed.
        """
        with self._lock:
            self.require_open()
            watch = Watch(component, listener, self._follow)
            self._watches.append(watch)

        def end() -> None:
            watch.end()
            with self._lock:
                if watch in self._watches:
                    self._watches.remove(watch)

        return end

    def require_open(self) -> None:
        """Refuse what would need a thread again.

        Raises:
            RegistryUnavailable: The registry was closed.
        """
        if self.closed:
            raise RegistryUnavailable("the registry is closed")

    def wake(self) -> None:
        """Let all threads look again."""
        for watch in tuple(self._watches):
            watch.wake()

    def close(self) -> None:
        """End all, and wait for their threads: ``CLOSE_SECONDS`` at most."""
        with self._lock:
            self.closed = True
            ending, self._watches = self._watches, []
        for watch in ending:
            watch.end()
        until = time.monotonic() + CLOSE_SECONDS
        for watch in ending:
            watch.join(until)

    def after_fork(self) -> None:
        """The child's proxies must hear of changes too."""
        self._lock = Lock()
        for watch in self._watches:
            watch.start()
