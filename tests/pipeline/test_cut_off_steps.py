"""What a flow asks for before it calls is cut off at the deadline; what it asks for afterwards is not."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.core.helpers import failure
from unimicro import App, Await, Deadline, Do, Service, VirtualClock, entry

LONGEST = 10


def app_with(flow, clock=None, timeout=1.0):
    class Work(Service):
        @entry(no_auth=True, stages=[flow], deadline=Deadline(timeout))
        async def get(self) -> str:
            return "fine"

    return App(Work(), clock=clock)


def test_a_slow_question_before_the_call_is_cut_off(drive):
    clock = VirtualClock()
    ended = []

    def asks(invocation):
        try:
            yield Await(clock.asleep, 5)
            return (yield invocation)
        finally:
            ended.append(True)

    before = clock.now()
    refused = failure(drive(app_with(asks, clock), "work.get"))
    assert (refused.code, refused.layer) == ("deadline_exceeded", "deadline")
    assert ended == [True]
    assert clock.now() - before == pytest.approx(1)


def test_what_is_stored_after_the_call_is_not_cut_off(drive):
    clock = VirtualClock()
    stored = []

    async def store():
        await clock.asleep(5)
        stored.append(True)

    def stores(invocation):
        outcome = yield invocation
        yield Await(store)
        return outcome

    assert drive(app_with(stores, clock), "work.get").value == "fine"
    assert stored == [True]


def test_a_time_out_of_the_question_itself_is_the_flow_s_to_handle(drive):
    async def too_slow():
        raise TimeoutError

    def asks(invocation):
        try:
            yield Await(too_slow)
        except TimeoutError:
            return (yield invocation)

    assert drive(app_with(asks, VirtualClock()), "work.get").value == "fine"


def test_an_async_door_does_not_wait_for_a_thread_beyond_the_deadline():
    free = threading.Event()

    def asks(invocation):
        yield Do(free.wait, LONGEST)
        return (yield invocation)

    async def call():
        return await asyncio.wait_for(app_with(asks, timeout=0.05).acall("work.get"), LONGEST / 2)

    try:
        assert failure(asyncio.run(call())).code == "deadline_exceeded"
    finally:
        free.set()
