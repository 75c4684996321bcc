r"""How the bottom of a pipeline calls a method: sync and async method, sync and async driver.

=============  =================================  =====================================================
\              sync method                        async method
=============  =================================  =====================================================
sync driver    direct; asyncio is not imported    on the process's kept loop, cancelled at the deadline
async driver   worker thread, or inline if        awaited, cancelled at the deadline
               declared ``blocking=False``
=============  =================================  =====================================================
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from unimicro.pipeline.deadline import PastDeadline
from unimicro.pipeline.stages import Await, Do

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.ports import Clock

log = logging.getLogger("unimicro")

Invoke = Callable[["Invocation"], Any]
AsyncInvoke = Callable[["Invocation"], Awaitable[Any]]


def sync_invoke(operation: Operation, clock: Clock) -> Invoke:
    """For the sync driver."""
    if operation.is_async:
        from unimicro.pipeline.loop import run_on_loop

        awaited = _awaited(operation, clock)
        return lambda invocation: run_on_loop(awaited(invocation))
    return _call(operation)


def _call(operation: Operation) -> Invoke:
    if operation.signature.positional_only or operation.signature.injected:
        return operation.call
    method = operation.method
    return lambda invocation: method(**invocation.arguments)


def async_invoke(operation: Operation, clock: Clock, threads: Executor) -> AsyncInvoke:
    """For the async driver."""
    if operation.is_async:
        return _awaited(operation, clock)
    if operation.options.blocking:
        return _threaded(operation, clock, threads)
    return _inline(operation)


def _awaited(operation: Operation, clock: Clock) -> Callable[[Invocation], Coroutine[Any, Any, Any]]:
    call, finish_by = _call(operation), clock.finish_by

    def awaited(invocation: Invocation) -> Coroutine[Any, Any, Any]:
        deadline = invocation.deadline
        work: Coroutine[Any, Any, Any] = call(invocation)
        return work if deadline is None else finish_by(deadline, work)

    return awaited


def _inline(operation: Operation) -> AsyncInvoke:
    call = _call(operation)

    async def inline(invocation: Invocation) -> Any:
        return call(invocation)

    return inline


def _threaded(operation: Operation, clock: Clock, threads: Executor) -> AsyncInvoke:
    async def threaded(invocation: Invocation) -> Any:
        work = _Work(operation, invocation)
        if invocation.deadline is None:
            return await in_thread(threads, work)
        try:
            async with clock.timeout_at(invocation.deadline):
                return await in_thread(threads, work)
        except TimeoutError:
            work.abandoned = True
            raise

    return threaded


class _Work:
    """One call in a worker thread. It cannot be stopped: given up on, its end is logged."""

    def __init__(self, operation: Operation, invocation: Invocation) -> None:
        self.operation = operation
        self.invocation = invocation
        self.abandoned = False

    def __call__(self) -> Any:
        try:
            return self.operation.call(self.invocation)
        finally:
            if self.abandoned:
                log.warning(
                    "%s ended after its deadline; its result is dropped (invocation %s)",
                    self.operation.name,
                    self.invocation.id,
                )


async def in_thread(threads: Executor | None, work: Callable[[], Any]) -> Any:
    """Run ``work`` in a worker thread that sees the caller's context variables."""
    import asyncio
    from contextvars import copy_context

    def finite() -> Any:
        try:
            return work()
        except StopIteration as error:
            # No future can hold one: the waiting task would never wake.
            raise RuntimeError("StopIteration left the call") from error

    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, finite)


def sync_perform(clock: Clock) -> Callable[[Do | Await, float | None], Any]:
    """Does what a flow asked for, on the sync driver, where only what is awaited can be cut off."""

    def perform(step: Do | Await, deadline: float | None) -> Any:
        if type(step) is Do:
            return step.function(*step.args)
        from unimicro.pipeline.loop import run_on_loop

        return run_on_loop(_by(clock, deadline, _awaiting(step)))

    return perform


def async_perform(
    threads: Executor | None, clock: Clock
) -> Callable[[Do | Await, float | None], Awaitable[Any]]:
    """Does what a flow asked for, on the async driver."""

    def perform(step: Do | Await, deadline: float | None) -> Awaitable[Any]:
        if type(step) is Await:
            return _by(clock, deadline, _awaiting(step))
        return _by(clock, deadline, in_thread(threads, lambda: step.function(*step.args)))

    return perform


async def _awaiting(step: Do | Await) -> Any:
    return await step.function(*step.args)


async def _by(clock: Clock, deadline: float | None, work: Coroutine[Any, Any, Any]) -> Any:
    """The result of ``work``.

    Raises:
        PastDeadline: ``deadline`` (monotonic seconds) came first.
    """
    if deadline is None:
        return await work
    try:
        return await clock.finish_by(deadline, work)
    except TimeoutError as error:
        if clock.now() >= deadline:
            raise PastDeadline from error
        raise
