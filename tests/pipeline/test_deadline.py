"""Deadlines: the caller's, the policy's, and what happens to work that is late."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from tests.core.helpers import code_of, failure
from unimicro import App, Await, Deadline, Do, Pause, Retry, Service, VirtualClock, current_invocation, entry
from unimicro.errors import Unavailable


class Clocked(Service):
    """Entries that take virtual time."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.calls = 0

    @entry(no_auth=True)
    def get(self) -> float:
        self.calls += 1
        return current_invocation().deadline - self.clock.now()

    @entry(no_auth=True)
    def get_slow(self) -> str:
        self.clock.sleep(3)
        return "late"

    @entry(no_auth=True)
    def get_wrong(self) -> str:
        self.clock.sleep(3)
        raise RuntimeError("late and wrong")

    @entry(no_auth=True)
    async def get_async(self) -> str:
        self.calls += 1
        await self.clock.asleep(3)
        self.calls += 1
        return "late"

    @entry(no_auth=True, deadline=Deadline(2.0))
    def get_limited(self) -> float:
        return current_invocation().deadline - self.clock.now()

    @entry(no_auth=True, deadline=Deadline(2.0))
    async def get_alimited(self) -> str:
        await self.clock.asleep(3)
        return "late"

    @entry(no_auth=True, safe=True, retry=Retry(attempts=10, base=1.0), deadline=Deadline(5.0))
    def get_retried(self) -> None:
        self.calls += 1
        raise Unavailable("busy", retry_after=2.0)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def service(clock) -> Clocked:
    return Clocked(clock)


@pytest.fixture
def app(service, clock) -> App:
    return App(service, clock=clock)


def timed(app: App, path: str, milliseconds: str, **headers: str):
    return app.test_client().get(path, headers={"x-timeout-ms": milliseconds, **headers})


def test_the_header_is_the_time_that_is_left(app):
    assert timed(app, "/", "1500").json == pytest.approx(1.5)
    assert timed(app, "/", "1").json == pytest.approx(0.001)
    assert timed(app, "/", "999999999999999").json > 0


def test_no_time_left_means_not_started(app, service):
    answer = timed(app, "/", "0")
    assert code_of(answer) == (504, "deadline_exceeded")
    assert "not started" in answer.json["detail"]
    assert service.calls == 0


def test_nobody_is_asked_when_no_time_is_left():
    asked: list[str] = []

    class Asking(Service):
        def token_authorizer(self, token):
            asked.append(token)
            return True

        @entry
        def get(self): ...

    answer = timed(App(Asking(), clock=VirtualClock()), "/", "0", authorization="x")
    assert code_of(answer) == (504, "deadline_exceeded")
    assert asked == []


@pytest.mark.parametrize("value", ["-1", "1.5", "soon", "", "+5", "5s", "٣", "1" * 16, "1e3", "0x5", "5, 5"])
def test_a_header_that_is_no_whole_number_is_400(app, service, value):
    assert code_of(timed(app, "/", value)) == (400, "invalid_argument")
    assert service.calls == 0


def test_the_policy_sets_a_deadline_and_the_sooner_one_counts(app):
    assert app.test_client().get("/limited").json == pytest.approx(2.0)
    assert timed(app, "/limited", "500").json == pytest.approx(0.5)
    assert timed(app, "/limited", "9000").json == pytest.approx(2.0)


def test_a_late_result_of_a_sync_method_is_dropped_and_logged(app, caplog):
    assert code_of(timed(app, "/slow", "1000")) == (504, "deadline_exceeded")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "clocked.get_slow" in caplog.text
    assert timed(app, "/slow", "4000").text == "late"


def test_a_late_exception_is_logged_with_its_traceback_and_does_not_leave(app, caplog):
    answer = timed(app, "/wrong", "1000")
    assert code_of(answer) == (504, "deadline_exceeded")
    assert b"wrong" not in answer.data.replace(b"/wrong", b"")
    assert len(caplog.records) == 1
    assert "late and wrong" in caplog.text


def test_an_async_method_is_cancelled_at_the_deadline(drive, app, service, clock):
    before = clock.now()
    assert failure(drive(app, "clocked.get_alimited")).code == "deadline_exceeded"
    assert clock.now() - before == pytest.approx(2.0)
    assert code_of(timed(app, "/async", "1000")) == (504, "deadline_exceeded")
    assert service.calls == 1


@pytest.mark.timeout(20)
def test_an_async_method_is_cancelled_in_real_time_as_well(drive):
    cancelled: list[bool] = []

    class Real(Service):
        @entry(no_auth=True, deadline=Deadline(0.05))
        async def get(self):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

    assert failure(drive(App(Real()), "real.get")).code == "deadline_exceeded"
    assert cancelled == [True]


@pytest.mark.timeout(20)
def test_a_sync_method_in_a_worker_thread_is_given_up_and_its_end_is_logged(caplog):
    caplog.set_level(logging.WARNING, "unimicro")
    go, ended = threading.Event(), threading.Event()

    class Real(Service):
        @entry(no_auth=True, deadline=Deadline(0.05))
        def get(self):
            go.wait(10)
            return "late"

    app = App(Real())
    app_log = logging.getLogger("unimicro")

    class Watch(logging.Handler):
        def emit(self, record):
            if "dropped" in record.getMessage():
                ended.set()

    handler = Watch()
    app_log.addHandler(handler)
    try:
        outcome = asyncio.run(app.acall("real.get"))
        assert failure(outcome).code == "deadline_exceeded"
        assert not ended.is_set()
        go.set()
        assert ended.wait(10)
    finally:
        app_log.removeHandler(handler)
        go.set()
        app.kill()


def test_a_timeout_error_of_the_method_itself_is_its_own_failure(drive):
    class Own(Service):
        @entry(no_auth=True, deadline=Deadline(30))
        async def get(self):
            raise TimeoutError("of a database")

    assert failure(drive(App(Own()), "own.get")).code == "internal"


def test_a_retry_stops_before_the_deadline(drive, app, service, clock):
    before = clock.now()
    failed = failure(drive(app, "clocked.get_retried"))
    assert failed.code == "unavailable"
    assert service.calls == 3
    assert clock.now() - before == pytest.approx(4.0)


@pytest.mark.parametrize("step", [Pause(3), Do(lambda: None), None])
def test_work_is_not_started_when_the_stages_took_all_the_time(drive, clock, step):
    calls: list[int] = []

    def slow(invocation):
        if step is None or isinstance(step, Do):
            clock.advance(3)
        if step is not None:
            yield step
        return (yield invocation)

    class Late(Service):
        @entry(no_auth=True, deadline=Deadline(2), stages=[slow])
        def get(self):
            calls.append(1)

    failed = failure(drive(App(Late(), clock=clock), "late.get"))
    assert (failed.code, calls) == ("deadline_exceeded", [])


def test_a_call_made_inside_another_inherits_deadline_and_trace(clock):
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

    class Nested(Service):
        @entry(no_auth=True)
        def get(self):
            return app.call("nested.get_inner").value

        @entry(no_auth=True)
        async def get_async(self):
            return (await app.acall("nested.get_inner")).value

        @entry(no_auth=True, deadline=Deadline(100))
        def get_inner(self):
            invocation = current_invocation()
            return [invocation.deadline - clock.now(), invocation.trace.trace_id]

    app = App(Nested(), clock=clock)
    for path in ("/", "/async"):
        answer = app.test_client().get(path, headers={"x-timeout-ms": "700", "traceparent": trace})
        assert answer.json == [pytest.approx(0.7), "a" * 32]
    assert current_invocation() is None


def test_a_nested_call_cannot_outlast_the_outer_one(drive, clock):
    class Nested(Service):
        @entry(no_auth=True, deadline=Deadline(1))
        async def get(self):
            inner = await app.acall("nested.get_inner")
            return inner.monoid[0].code

        @entry(no_auth=True, deadline=Deadline(10))
        async def get_inner(self):
            await clock.asleep(5)

    app = App(Nested(), clock=clock)
    assert failure(drive(app, "nested.get")).code == "deadline_exceeded"
    assert clock.now() == pytest.approx(1001.0)


def test_an_authorizer_that_waits_cannot_outlast_the_deadline(drive, clock):
    async def wait():
        await clock.asleep(5)

    def slow(invocation):
        yield Await(wait)
        return (yield invocation)

    class Slow(Service):
        @entry(no_auth=True, deadline=Deadline(2), stages=[slow])
        def get(self):
            return "started"

    assert failure(drive(App(Slow(), clock=clock), "slow.get")).code == "deadline_exceeded"
