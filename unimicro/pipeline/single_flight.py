"""Single flight: of calls that want the same at once, one does the work and the others wait for it."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.pipeline.stages import Await, Do

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_CUT_OFF = object()


class SingleFlight:
    """The work that is being done, by key; over threads and tasks alike."""

    def __init__(self) -> None:
        self._flights: dict[str, Future[Any]] = {}
        self._lock = Lock()

    def __contains__(self, key: str) -> bool:
        """Whether somebody is doing the work of ``key``."""
        return key in self._flights

    def join(self, key: str, work: Callable[[], Generator[Any, Any, Any]]) -> Generator[Any, Any, Any]:
        """Steps that do ``work()``, or wait for the one who does; both give what it returned.

        Where the one who did it was cut off, or raised, the next in line does it.
        """
        while True:
            flight, leads = self._board(key)
            if leads:
                landed = _CUT_OFF
                try:
                    landed = yield from work()
                    return landed
                finally:
                    self._land(key, flight, landed)
            landed = yield Await(_landed, flight)
            if landed is not _CUT_OFF:
                return landed

    def fly(self, key: str, function: Callable[[], Any]) -> Generator[Any, Any, Any]:
        """``join`` for work that is one function, which may block.

        Begun, it is finished even if the one who began it is cut off: those who come meanwhile wait for it,
        so callers in a hurry cannot make it begin again and again.
        """
        while True:
            flight, leads = self._board(key)
            if leads:
                try:
                    landed = yield Do(self._flown, key, flight, function)
                finally:
                    self._ground(key, flight)
            else:
                landed = yield Await(_landed, flight)
            if landed is not _CUT_OFF:
                return landed

    def _flown(self, key: str, flight: Future[Any], function: Callable[[], Any]) -> Any:
        with self._lock:
            if self._flights.get(key) is not flight:
                return _CUT_OFF
            flight.set_running_or_notify_cancel()
        landed = _CUT_OFF
        try:
            landed = function()
            return landed
        finally:
            self._land(key, flight, landed)

    def _ground(self, key: str, flight: Future[Any]) -> None:
        """Leave to the next what was cut off before a thread had begun it."""
        with self._lock:
            if flight.running() or self._flights.get(key) is not flight:
                return
            del self._flights[key]
        flight.set_result(_CUT_OFF)

    def _board(self, key: str) -> tuple[Future[Any], bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            self._flights[key] = flight = Future()
            return flight, True

    def _land(self, key: str, flight: Future[Any], landed: Any) -> None:
        with self._lock:
            del self._flights[key]
        flight.set_result(landed)


async def _landed(flight: Future[Any]) -> Any:
    import asyncio

    # Shielded: one who gives up waiting must not cancel the flight of the others.
    return await asyncio.shield(asyncio.wrap_future(flight))
