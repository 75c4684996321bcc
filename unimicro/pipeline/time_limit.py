"""Calls that come back in time, whatever they wait for."""

from __future__ import annotations

from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TimeLimit"]


class TimeLimit:
    """Makes calls in a thread that is waited for no longer than so many seconds, of real time.

    One call at a time: none is begun while an earlier one hangs, so that there is one thread at most.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._thread: Thread | None = None

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        """What ``function(*args)`` returns or raises.

        Raises:
            TimeoutError: It, or an earlier call, has not come back in time.
        """
        ends = monotonic() + self._seconds
        self._join(self._thread, ends)
        returned: list[Any] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                returned.append(function(*args))
            except BaseException as error:
                raised.append(error)

        thread = Thread(target=run, name="unimicro-time-limit", daemon=True)
        thread.start()
        # Kept once it runs: one that could not be started is not waited for.
        self._thread = thread
        self._join(thread, ends)
        if raised:
            raise raised[0]
        return returned[0]

    def _join(self, thread: Thread | None, ends: float) -> None:
        if thread is not None:
            thread.join(max(0.0, ends - monotonic()))
            if thread.is_alive():
                raise TimeoutError(f"no answer within {self._seconds} s")
