"""Starting components, setting up services, starting doors, and the same backwards."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from unimicro.component import Component, ComponentStatus, set_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from unimicro.frontend import FrontEnd
    from unimicro.service import Service

    Step = tuple[str, Callable[[], Any]]

log = logging.getLogger("unimicro")


class Lifecycle:
    """Components, then services as given, then doors; at the end doors, services, components, all backwards.

    One that cannot be started takes those before it down again and the error goes on to the caller; one that
    cannot be stopped is logged and does not keep the others from being stopped.

    Args:
        components: In the order given to the app.
        services: In the order given to the app.
        doors: Made so far; the mapping may grow while the app runs.

    Attributes:
        started: ``start`` was called, and ``stop`` not yet.
        ready: Everything has been started.
    """

    def __init__(
        self,
        components: Sequence[Component],
        services: Sequence[Service],
        doors: Mapping[str, FrontEnd[Any, Any]],
    ) -> None:
        self._components = components
        self._services = services
        self._doors = doors
        self._running: list[Component | Service] = []
        self.started = False
        self.ready = False

    def _starting(self) -> Iterator[Step]:
        for component in self._components:
            yield component.name, component.startup
            set_status(component, ComponentStatus.RUNNING)
            self._running.append(component)
        for service in self._services:
            yield service.name, service.setup
            self._running.append(service)
        for door in tuple(self._doors.values()):
            yield door.name, door.start
        self.ready = True

    def _stopping(self) -> Iterator[Step]:
        for door in reversed(tuple(self._doors.values())):
            yield door.name, door.stop
        while self._running:
            one = self._running.pop()
            if isinstance(one, Component):
                yield one.name, one.shutdown
                set_status(one, ComponentStatus.STOPPED)
            else:
                yield one.name, one.stop

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
        self.started = self.ready = False
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
        self.started = self.ready = False
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
