"""The two kinds of stage, and what a flow may yield.

A *guard* is a plain function from invocation to ``Right(invocation)`` or ``Left(failure)``; the invocation
itself stands for its ``Right``, which the stages of this package spare themselves. A *flow* is a
generator function: it yields the invocation to call what lies below and is sent the outcome, it may
yield it again (a retry), and it returns the outcome. It never waits and never does I/O itself: it
yields ``Pause``, ``Do`` or ``Await`` and one of the two drivers does it. Exceptions of ``Do`` and ``Await``
are raised at the yield; the call below never raises, it answers with a ``Left``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple

from unimicro.invocation import Invocation
from unimicro.outcome import Either, Failure

__all__ = ["Await", "Do", "Flow", "Guard", "Pause", "Runner", "Stage", "Steps"]


class Pause(NamedTuple):
    """Wait that many seconds."""

    seconds: float


class Do:
    """Call a function that may block: inline on a sync door, in a worker thread on an async one."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function = function
        self.args = args


class Await:
    """Await a coroutine function: on an async door directly, on a sync one by the process's loop."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        self.function = function
        self.args = args


Guard = Callable[[Invocation], Invocation | Either[Failure, Invocation]]
Steps = Generator[Invocation | Pause | Do | Await, Any, Any]
Flow = Callable[[Invocation], Steps]
Runner = Callable[[Invocation], Either[Failure, Any]]


class Stage(NamedTuple):
    """One step of a compiled pipeline.

    Attributes:
        name: Named by failures (``layer``) and by the log.
        order: Its place; lower runs first. See ``ORDER``.
        run: The guard or the flow.
        is_flow: Decided once, at assembly.
        inline: The same as a guard, for the sync driver, where a flow that only blocks is not needed.
    """

    name: str
    order: int
    run: Guard | Flow
    is_flow: bool
    inline: Guard | None = None


ORDER = {"deadline": 10, "auth": 20, "arguments": 30, "user": 40, "retry": 50, "breaker": 60}
"""Retry lies outside the breaker; nothing is parsed before the caller is authorized."""
