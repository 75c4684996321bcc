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
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from unimicro.invocation import Invocation
from unimicro.outcome import Outcome

if TYPE_CHECKING:
    from unimicro.pipeline.policy import Policy

__all__ = [
    "AsyncRunner",
    "Await",
    "Bracket",
    "Do",
    "Flow",
    "Guard",
    "Layer",
    "Pause",
    "Recovery",
    "Runner",
    "Stage",
    "Steps",
]


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


Guard = Callable[[Invocation], Invocation | Outcome[Invocation]]
Steps = Generator[Invocation | Pause | Do | Await, Any, Any]
Flow = Callable[[Invocation], Steps]
Runner = Callable[[Invocation], Outcome[Any]]
AsyncRunner = Callable[[Invocation], Awaitable[Outcome[Any]]]


class Bracket(NamedTuple):
    """A stage around each call that never waits and never calls twice: cheaper than a flow.

    Attributes:
        enter: From invocation to a permit, or to a ``Failure`` that refuses the call.
        leave: Gets the permit and the outcome; ``None`` for one that a ``BaseException`` cut off.
    """

    enter: Callable[[Invocation], Any]
    leave: Callable[[Any, Outcome[Any] | None], None]


Recovery = Callable[[Invocation, Outcome[Any]], Steps]
"""A flow that begins after a first call has failed: it gets that outcome. A success never starts it."""


class Layer(NamedTuple):
    """What a policy makes of the runner below it by itself, once for each driver.

    For what no generator can say: two calls at the same time. It answers as a driver's own layer does:
    nothing but a ``BaseException`` leaves it.

    Attributes:
        sync: From the runner below to the runner of this stage.
        async_: The same for the async driver, from coroutine function to coroutine function.
    """

    sync: Callable[[Runner], Runner]
    async_: Callable[[Callable[[Invocation], Awaitable[Outcome[Any]]]], Callable[[Invocation], Any]]


Kind = Literal["guard", "flow", "bracket", "recovery", "layer"]


class Stage(NamedTuple):
    """One step of a compiled pipeline.

    Attributes:
        name: Named by failures (``layer``) and by the log.
        order: Its place; lower runs first. See ``ORDER``.
        run: What its kind says.
        kind: Decided once, at assembly.
        inline: The same as a guard or a bracket, for the sync driver, where a flow that only blocks is not
            needed.
        policy: The policy that made it; ``None`` for the arguments and for stages of users and plugins.
        around: Wraps the finished layer, from its runner to one of the same colour: for a policy that must
            see each call, at less than a bracket costs.
    """

    name: str
    order: int
    run: Guard | Flow | Bracket | Recovery | Layer
    kind: Kind = "guard"
    inline: Guard | Bracket | None = None
    policy: Policy | None = None
    around: Callable[[Callable[[Invocation], Any]], Callable[[Invocation], Any]] | None = None


ORDER = {
    "deadline": 10,
    "auth": 20,
    "activities": 22,
    "rate_limit": 25,
    "arguments": 30,
    "user": 40,
    "fallback": 43,
    "idempotency": 45,
    "cache": 46,
    "retry": 50,
    "hedge": 52,
    "timeout": 55,
    "breaker": 60,
    "bulkhead": 70,
}
"""Where each policy stands, outermost first.

Nothing is parsed before the caller is authorized and within its rate. A fallback is never stored or cached,
so it ends with the trouble. A stored or cached answer spares all below it. Retry lies outside the breaker, so
a breaker sees every attempt; the timeout is that of one attempt.
"""
