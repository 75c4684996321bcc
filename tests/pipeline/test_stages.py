"""Guards and flows: order, refusals, what they may not do. Every test runs on both drivers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.core.helpers import failure
from unimicro import App, Await, Do, Failure, Left, Pause, Principal, Right, Service, VirtualClock, entry
from unimicro.errors import DefinitionError


def app_of(*stages: Any, method: Any = None, clock: Any = None, **service_options: Any) -> App:
    """An app with the operation ``s.get``, which runs ``stages``."""

    def get(self, x: int = 0):
        return method(x) if method else x

    attributes = {"get": entry(no_auth=True, safe=True, stages=stages)(get), **service_options}
    return App(type("S", (Service,), attributes)(), clock=clock or VirtualClock())


def logged(seen: list[str], name: str) -> Any:
    def guard(invocation):
        seen.append(name)
        return Right(invocation)

    return guard


def test_stages_run_in_the_order_app_service_entry_and_before_the_method(drive):
    seen: list[str] = []

    class Ordered(Service):
        stages = (logged(seen, "service 1"), logged(seen, "service 2"))

        @entry(no_auth=True, stages=[logged(seen, "entry 1"), logged(seen, "entry 2")])
        def get(self):
            seen.append("method")

    drive(App(Ordered(), stages=[logged(seen, "app")]), "ordered.get")
    assert seen == ["app", "service 1", "service 2", "entry 1", "entry 2", "method"]


def test_a_left_stops_the_pipeline(drive):
    seen: list[str] = []

    def closed(invocation):
        return Left(Failure("failed_precondition", "closed"))

    outcome = drive(
        app_of(logged(seen, "before"), closed, logged(seen, "after"), method=seen.append), "s.get"
    )
    assert failure(outcome) == Failure("failed_precondition", "closed")
    assert seen == ["before"]


def test_a_guard_sees_validated_arguments(drive):
    seen: list[Any] = []

    def look(invocation):
        seen.append(dict(invocation.arguments))
        return Right(invocation)

    drive(app_of(look), "s.get", 5)
    assert seen == [{"x": 5}]
    assert failure(drive(app_of(look), "s.get", "five")).status == 422
    assert len(seen) == 1


def test_what_a_guard_changes_is_seen_below(drive):
    class Changed(Service):
        @entry(
            no_auth=True,
            stages=[
                lambda inv: Right(inv.with_principal(Principal("ann"))),
                lambda inv: Right(inv.with_arguments({"x": inv.principal.subject})),
            ],
        )
        def get(self, x: str = ""):
            return x

    assert drive(App(Changed()), "changed.get").value == "ann"


def test_guards_compose_with_pymonad(drive):
    def odd(invocation):
        return Right(invocation) if invocation.arguments["x"] % 2 else Left(Failure("out_of_range", "even"))

    def small(invocation):
        return Right(invocation) if invocation.arguments["x"] < 10 else Left(Failure("out_of_range", "big"))

    app = app_of(lambda invocation: Right(invocation).then(odd).then(small))
    assert drive(app, "s.get", 5).value == 5
    assert failure(drive(app, "s.get", 4)).message == "even"
    assert failure(drive(app, "s.get", 11)).message == "big"


def flow_raises(invocation):
    raise RuntimeError("secret")
    yield invocation


def flow_raises_after(invocation):
    yield invocation
    raise RuntimeError("secret")


def flow_stops(invocation):
    raise StopIteration("secret")
    yield invocation


def flow_keeps_on(invocation):
    try:
        yield "secret"
    finally:
        yield invocation


def flow_fails_to_close(invocation):
    try:
        yield "secret"
    finally:
        raise RuntimeError("secret")


def _raise(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    "stage",
    [
        lambda inv: _raise(RuntimeError("secret")),
        lambda inv: _raise(StopIteration("secret")),
        lambda inv: None,
        lambda inv: inv,
        lambda inv: Right("secret"),
        lambda inv: Right(None),
        lambda inv: Left("secret"),
        lambda inv: (yield "secret"),
        lambda inv: (yield None),
        lambda inv: ((yield inv), "secret")[1],
        lambda inv: ((yield inv), Left("secret"))[1],
        lambda inv: ((yield inv), None)[1],
        lambda inv: (yield Pause(-1)),
        flow_raises,
        flow_raises_after,
        flow_stops,
    ],
)
def test_a_stage_that_misbehaves_is_internal_and_logged_once(drive, stage, caplog):
    clock = VirtualClock()
    clock.sleep = clock.asleep = lambda seconds: _raise(ValueError("secret"))  # type: ignore[method-assign]
    stage.__name__ = "wrong"
    app = app_of(stage, clock=clock)
    failed = failure(drive(app, "s.get"))
    assert (failed.code, failed.layer) == ("internal", "wrong")
    assert "secret" not in failed.message
    assert len(caplog.records) == 1
    assert "'wrong'" in caplog.records[0].getMessage()
    answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert b"secret" not in answer.data


@pytest.mark.parametrize("stage", [flow_keeps_on, flow_fails_to_close])
def test_a_flow_that_cannot_be_closed_is_internal(drive, stage, caplog):
    assert failure(drive(app_of(stage), "s.get")).code == "internal"
    assert len(caplog.records) == 2


def test_a_method_that_raises_is_internal_and_logged_once(drive, caplog):
    app = app_of(lambda inv: (yield inv), method=lambda x: _raise(KeyError("secret")))
    failed = failure(drive(app, "s.get"))
    assert (failed.code, failed.message, failed.layer) == ("internal", "internal error", "")
    assert isinstance(failed.cause, KeyError)
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info


def test_a_method_that_raises_stop_iteration_is_internal(drive):
    """A future cannot hold a StopIteration: a worker thread's waiter would never wake."""
    assert failure(drive(app_of(method=lambda x: next(iter([]))), "s.get")).code == "internal"


def test_a_flow_sees_and_may_change_the_outcome(drive):
    def doubled(invocation):
        outcome = yield invocation
        return outcome.map(lambda value: value * 2)

    assert drive(app_of(doubled), "s.get", 4).value == 8


def test_a_flow_may_refuse_without_calling(drive):
    def refuse(invocation):
        return Left(Failure("aborted"))
        yield invocation

    called: list[int] = []
    assert failure(drive(app_of(refuse, method=called.append), "s.get")).code == "aborted"
    assert called == []


def test_a_flow_may_call_again_and_wait_between(drive):
    def twice(invocation):
        yield invocation
        yield Pause(2.5)
        return (yield invocation)

    calls: list[int] = []
    clock = VirtualClock()
    drive(app_of(twice, method=calls.append, clock=clock), "s.get", 7)
    assert (calls, clock.waits) == ([7, 7], [2.5])


def add(a, b):
    return a + b


async def aadd(a, b):
    await asyncio.sleep(0)
    return a + b


async def afail():
    raise LookupError("missing")


@pytest.mark.parametrize("step", [Do(add, 1, 2), Await(aadd, 1, 2)])
def test_do_and_await_bring_back_a_result(drive, step):
    def flow(invocation):
        done = yield step
        return (yield invocation.with_arguments({"x": done}))

    assert drive(app_of(flow), "s.get").value == 3


@pytest.mark.parametrize("step", [Do(_raise, LookupError("missing")), Await(afail)])
def test_their_exceptions_are_raised_at_the_yield(drive, step):
    seen: list[str] = []

    def flow(invocation):
        try:
            yield step
        except LookupError as error:
            seen.append(str(error))
        finally:
            seen.append("finally")
        return (yield invocation)

    assert drive(app_of(flow), "s.get", 1).value == 1
    assert seen == ["'missing'", "finally"] or seen == ["missing", "finally"]


@pytest.mark.parametrize(
    "step", [Do(_raise, LookupError("secret")), Await(afail), Do(_raise, StopIteration())]
)
def test_an_exception_that_the_flow_does_not_catch_is_internal(drive, step):
    def flow(invocation):
        yield step
        return (yield invocation)

    assert failure(drive(app_of(flow), "s.get")).code == "internal"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_base_exception_passes_and_every_flow_cleans_up(drive, error):
    cleaned: list[str] = []

    def flow(name):
        def cleaning(invocation):
            try:
                return (yield invocation)
            except Exception:
                cleaned.append("wrong")
                raise
            finally:
                cleaned.append(name)

        return cleaning

    async def stop(self):
        raise error

    service = type("S", (Service,), {"get": entry(no_auth=True, stages=[flow("outer"), flow("inner")])(stop)})
    if drive.__name__ == "sync_drive":

        def stop_here(self):
            raise error

        entered = entry(no_auth=True, stages=[flow("outer"), flow("inner")])(stop_here)
        service = type("S", (Service,), {"get": entered})
    with pytest.raises(error):
        drive(App(service()), "s.get")
    assert cleaned == ["inner", "outer"]


def test_cancellation_passes_and_every_flow_cleans_up():
    cleaned: list[str] = []

    def cleaning(invocation):
        try:
            return (yield invocation)
        finally:
            cleaned.append("cleaned")

    class Slow(Service):
        @entry(no_auth=True, stages=[cleaning])
        async def get(self):
            await asyncio.Event().wait()

    async def cancel():
        task = asyncio.create_task(App(Slow()).acall("slow.get"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert cleaned == ["cleaned"]


async def async_guard(invocation):
    return Right(invocation)


async def async_flow(invocation):
    yield invocation


class AsyncObject:
    async def __call__(self, invocation):
        return Right(invocation)


@pytest.mark.parametrize("stage", [async_guard, async_flow, AsyncObject()])
def test_an_async_stage_is_refused_at_definition(stage):
    with pytest.raises(DefinitionError, match=r"s\.get: stage \w+ is async"):
        app_of(stage)


class FlowObject:
    def __call__(self, invocation):
        outcome = yield invocation
        return outcome.map(lambda value: value + 1)


class GuardObject:
    def __call__(self, invocation):
        return Right(invocation.with_arguments({"x": 5}))


def test_an_object_that_is_called_may_be_a_stage(drive):
    assert drive(app_of(GuardObject(), FlowObject()), "s.get").value == 6


def test_a_policy_that_is_off_leaves_no_stage():
    app = App(app_of().services[0], config={"entries": {"s.get": {"deadline": False}}})
    assert [stage.name for stage in app.stages_of("s.get")] == ["arguments"]


def test_an_async_method_that_calls_an_async_operation_in_the_sync_way_is_told():
    """The kept loop would wait for itself for ever."""

    class Nested(Service):
        @entry(no_auth=True)
        async def get(self):
            return app.call("nested.get_inner").monoid[0].code

        @entry(no_auth=True)
        async def get_inner(self): ...

    app = App(Nested())
    assert app.call("nested.get").value == "internal"
