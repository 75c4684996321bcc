"""The loop on which sync doors run async methods: one a process, shared by its threads."""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from unimicro import App, Service, entry

who = ContextVar("who", default="nobody")


class Loops(Service):
    barrier = asyncio.Barrier(4)

    @entry
    async def loop(self) -> int:
        return id(asyncio.get_running_loop())

    @entry
    async def who(self) -> str:
        return who.get()

    @entry
    async def leave(self, *, kind: str) -> None:
        raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}[kind]

    @entry
    async def meet(self) -> None:
        await self.barrier.wait()


@pytest.fixture
def app():
    return App(Loops(), config={})


def test_every_call_of_every_thread_runs_on_the_same_loop(app):
    with ThreadPoolExecutor(4) as threads:
        outcomes = threads.map(lambda _: app.call("loops.loop").value, range(20), timeout=10)
    assert len(set(outcomes)) == 1


def test_calls_of_several_threads_run_side_by_side(app):
    """Each waits until all four have come: one after the other they would wait for ever."""
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(app.call, "loops.meet") for _ in range(4)]
        assert all(call.result(10).is_right() for call in calls)


@pytest.mark.parametrize(("kind", "error"), [("exit", SystemExit), ("interrupt", KeyboardInterrupt)])
def test_a_method_that_ends_its_process_ends_its_own_call_alone(app, kind, error):
    with ThreadPoolExecutor(1) as threads:
        assert isinstance(threads.submit(app.call, "loops.leave", kind=kind).exception(10), error)
        assert threads.submit(app.call, "loops.who").result(10).is_right()


def test_the_callers_context_is_visible_in_the_method(app):
    token = who.set("somebody")
    try:
        assert app.call("loops.who").value == "somebody"
    finally:
        who.reset(token)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_worker_gets_a_loop_of_its_own(app):
    app.call("loops.loop")
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if app.call("loops.who").is_right() else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
