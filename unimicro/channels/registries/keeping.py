"""What keeps registrations alive: something done for each of them again and again, in one thread."""

from __future__ import annotations

import logging
import time
from threading import Event, Lock, RLock, Thread, current_thread
from typing import TYPE_CHECKING

from unimicro.channels.registries.forking import tell_after_fork
from unimicro.channels.registries.watching import CLOSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Keeper"]

log = logging.getLogger("unimicro")


class _Kept:
    """One registration."""

    def __init__(self, every: float, beat: Callable[[], None]) -> None:
        self.every = every
        self.due = time.monotonic() + every
        self._beat = beat
        self._lock = RLock()
        self._dropped = False
        self._failed = False

    def drop(self) -> None:
        """Return when no beat runs any more, nor will."""
        with self._lock:
            self._dropped = True

    def do(self, name: str) -> None:
        with self._lock:
            if self._dropped:
                return
            try:
                self._beat()
            except Exception as error:
                # Once for an outage: the beats are many.
                if not self._failed:
                    log.warning("the registration of %r cannot be kept up: %s", name, error)
                self._failed = True
            else:
                if self._failed:
                    log.info("the registration of %r is kept up again", name)
                self._failed = False
        self.due = time.monotonic() + self.every


class Keeper:
    """Registrations of this process by the id of their instance. The thread lives while there are some.

    A child process keeps none of its parent's: they are the parent's, which goes on with them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}
        self._news = Event()
        self._thread: Thread | None = None
        self._closed = False
        tell_after_fork(self)

    def keep(self, name: str, every: float, beat: Callable[[], None]) -> None:
        """Call ``beat`` every so many seconds until ``drop``. What it raises is logged, once in a row."""
        with self._lock:
            if self._closed:
                return
            self._kept[name] = _Kept(every, beat)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="unimicro-registry", daemon=True)
                self._thread.start()
        self._news.set()

    def drop(self, name: str) -> None:
        """Return when the beats of ``name`` have ended; one that runs is waited for."""
        with self._lock:
            kept = self._kept.pop(name, None)
        if kept is not None:
            self._news.set()
            kept.drop()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._kept:
                    self._thread = None
                    return
                name, kept = min(self._kept.items(), key=lambda item: item[1].due)
            wait = kept.due - time.monotonic()
            if wait <= 0:
                kept.do(name)
            else:
                self._news.wait(wait)
                self._news.clear()

    def close(self) -> None:
        """End all beats, and wait for the thread: ``CLOSE_SECONDS`` at most."""
        with self._lock:
            self._closed = True
            self._kept.clear()
            thread = self._thread
        self._news.set()
        if thread is not None and thread is not current_thread():
            thread.join(CLOSE_SECONDS)

    def after_fork(self) -> None:
        """Forget all."""
        self._lock = Lock()
        self._kept = {}
        self._news = Event()
        self._thread = None
