"""Setting up services, starting doors, and the same backwards."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from unimicro.frontend import FrontEnd
    from unimicro.service import Service

    Step = tuple[str, Callable[[], Any]]

log = logging.getLogger("unimicro")


class Lifecycle:
    """Services as given, then doors; at the end doors, then services, both backwards.

    A service that cannot be set up takes those before it down again and the error goes on to the
    caller; one that cannot be stopped is logged and does not keep the others from being stopped.

    Args:
        services: In the order given to the app.
        doors: Made so far; the mapping may grow while the app runs.
    """

    def __init__(self, services: Sequence[Service], doors: Mapping[str, FrontEnd[Any, Any]]) -> None:
        self._services = services
        self._doors = doors
        self._ready: list[Service] = []
        self.started = False

    def _starting(self) -> Iterator[Step]:
        for service in self._services:
            yield service.name, service.setup
            self._ready.append(service)
        for door in tuple(self._doors.values()):
            yield door.name, door.start

    def _stopping(self) -> Iterator[Step]:
        for door in reversed(tuple(self._doors.values())):
            yield door.name, door.stop
        while self._ready:
            service = self._ready.pop()
            yield service.name, service.stop

    def start(self) -> None:
        """Set up and start, in this thread. A second call does nothing."""
        if self.started:
            return
        self.started = True
        try:
            for _, action in self._starting():
                _finish(action())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what was started, in this thread."""
        if not self.started:
            return
        self.started = False
        for name, action in self._stopping():
            try:
                _finish(action())
            except Exception:
                log.exception("%s could not be stopped", name)

    async def astart(self) -> None:
        """``start`` on the running event loop: an async ``setup`` is awaited on it."""
        if self.started:
            return
        self.started = True
        try:
            for _, action in self._starting():
                await _afinish(action())
        except BaseException:
            await self.astop()
            raise

    async def astop(self) -> None:
        """``stop`` on the running event loop."""
        if not self.started:
            return
        self.started = False
        for name, action in self._stopping():
            try:
                await _afinish(action())
            except Exception:
                log.exception("%s could not be stopped", name)


def _finish(result: Any) -> None:
    if inspect.isawaitable(result):
        from unimicro.pipeline.loop import run_on_loop

        run_on_loop(_afinish(result))


async def _afinish(result: Any) -> None:
    if inspect.isawaitable(result):
        await result
