"""What the pipeline adds to a call: token authorizer, breaker, retry and deadline around a no-op.

python benchmarks/pipeline.py
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from turns import cpu_seconds, in_turns, per_call, print_goal, print_table

from unimicro import App, Breaker, Deadline, Retry, Service, entry
from unimicro.invocation import Invocation, new_id
from unimicro.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLS = 20_000
ROUNDS = 15
LAYERS = 5
SYNC_GOAL_US = 3.0
ASYNC_GOAL_US = 4.0
POLICIES = [Deadline(900.0), Breaker(), Retry()]

INCLUDED = """\
One call is app.run(invocation), or await app.arun(invocation), of an invocation that carries a token and a
deadline. Included: finding the operation, the deadline check, the default token authorizer (constant-time
comparison with the environment's TOKEN), binding and checking the arguments, retry, breaker, the context
variable of current_invocation(), and the Either that comes back. The timer that cancels an async method at
its deadline is set when the method first waits, which this one never does.
Not included: decoding a request into the invocation, encoding the answer."""


class Noop(Service):
    @entry(safe=True, policies=POLICIES)
    def get(self) -> None:
        return None

    @entry(safe=True, policies=POLICIES)
    async def get_async(self) -> None:
        return None

    @entry(no_auth=True)
    def get_open(self) -> None:
        return None

    @entry(no_auth=True)
    async def get_async_open(self) -> None:
        return None


def invocation_of(operation: str) -> Invocation:
    return Invocation(
        operation,
        metadata=Metadata({"authorization": "token"}),
        deadline=time.monotonic() + 600.0,
        id=new_id(),
    )


def closures(function: Callable[[], None]) -> Callable[[], None]:
    """``LAYERS`` bare nested closures: what any chain of decorators costs at the least."""
    for _ in range(LAYERS):

        def layer(below: Callable[[], None] = function) -> None:
            return below()

        function = layer
    return function


def async_closures(function: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    for _ in range(LAYERS):

        async def layer(below: Callable[[], Awaitable[None]] = function) -> None:
            return await below()

        function = layer
    return function


def per_await(
    loop: asyncio.AbstractEventLoop, function: Callable[[], Awaitable[object]]
) -> Callable[[], float]:
    """As ``turns.per_call``, awaited in one task of ``loop``."""

    async def repeat() -> None:
        for _ in range(CALLS):
            await function()

    return lambda: cpu_seconds(lambda: loop.run_until_complete(repeat())) / CALLS * 1e6


def report(title: str, candidates: dict[str, Callable[[], float]], goal: float) -> None:
    figures = in_turns(candidates, ROUNDS)
    print_table(title, figures, "us")
    direct, nested, bare, pipeline = (min(values) for values in figures.values())
    print_goal("pipeline over a direct call", pipeline - direct, goal, " us")
    print(
        f"  of which {bare - direct:.2f} us for the entry without policies, {pipeline - bare:.2f} us for them"
    )
    print(f"  the pipeline costs {pipeline / nested:.1f} times {LAYERS} bare nested closures")


def main() -> None:
    os.environ["TOKEN"] = "token"
    service = Noop()
    app = App(service)
    print(INCLUDED)
    for name in ("noop.get", "noop.get_async"):
        print(f"stages of {name}: {' -> '.join(stage.name for stage in app.stages_of(name))} -> method")

    invocation, bare = invocation_of("noop.get"), invocation_of("noop.get_open")
    assert app.run(invocation).is_right()
    assert app.run(bare).is_right()
    report(
        f"sync, best of {ROUNDS} rounds of {CALLS} calls",
        {
            "direct call": per_call(service.get, CALLS),
            f"{LAYERS} nested closures": per_call(closures(service.get), CALLS),
            "entry, no policies": per_call(lambda: app.run(bare), CALLS),
            "pipeline": per_call(lambda: app.run(invocation), CALLS),
        },
        SYNC_GOAL_US,
    )

    loop = asyncio.new_event_loop()
    awaited, bare_awaited = invocation_of("noop.get_async"), invocation_of("noop.get_async_open")
    assert loop.run_until_complete(app.arun(awaited)).is_right()
    assert loop.run_until_complete(app.arun(bare_awaited)).is_right()
    report(
        f"async, best of {ROUNDS} rounds of {CALLS} calls",
        {
            "direct await": per_await(loop, service.get_async),
            f"{LAYERS} nested closures": per_await(loop, async_closures(service.get_async)),
            "entry, no policies": per_await(loop, lambda: app.arun(bare_awaited)),
            "pipeline": per_await(loop, lambda: app.arun(awaited)),
        },
        ASYNC_GOAL_US,
    )
    loop.close()


if __name__ == "__main__":
    main()
