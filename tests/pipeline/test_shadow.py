"""Shadow mode: a policy decides, is counted and logged, and never changes an outcome."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.helpers import failure
from tests.pipeline.conftest import async_drive, sync_drive
from unimicro import (
    App,
    Await,
    Breaker,
    Deadline,
    Do,
    Failure,
    Left,
    Pause,
    Policy,
    Retry,
    Right,
    Service,
    Stage,
    Token,
    VirtualClock,
    entry,
)
from unimicro.errors import Unavailable
from unimicro.pipeline.stages import ORDER, Bracket


class Made(Policy):
    """A policy around whatever stage a test gives it."""

    name = "breaker"

    def __init__(self, run, kind, mode="shadow"):
        object.__setattr__(self, "mode", mode)
        object.__setattr__(self, "run", run)
        object.__setattr__(self, "kind", kind)

    def stage(self, operation, assembly):
        return Stage("made", ORDER["breaker"], self.run, self.kind)


class Work(Service):
    def __init__(self, **options):
        super().__init__(**options)
        self.calls = 0
        self.fails = False

    @entry(no_auth=True, safe=True)
    def get(self, number: int = 0):
        self.calls += 1
        if self.fails:
            raise Unavailable("down")
        return number


def app_with(run, kind, **options):
    service = Work(name="work")
    return App(service, policies=[Made(run, kind)], clock=VirtualClock(), **options), service


def refuse(invocation):
    return Left(Failure("permission_denied", "no", layer="made"))


def refusing_flow(invocation):
    yield Pause(5)
    return refuse(invocation)


def answering_flow(invocation):
    done = yield Do(lambda: 41)
    return Right(done)


def repeating_flow(invocation):
    yield invocation
    yield Pause(1)
    return (yield invocation)


def altering_flow(invocation):
    yield invocation
    return Right("altered")


def raising_guard(invocation):
    raise RuntimeError("secret")


def raising_flow(invocation):
    yield invocation
    raise RuntimeError("secret")


def awaiting_flow(invocation):
    async def broken():
        raise RuntimeError("secret")

    try:
        yield Await(broken)
    except RuntimeError:
        return refuse(invocation)
    return (yield invocation)


STAGES = {
    "a guard that refuses": (refuse, "guard"),
    "a guard that raises": (raising_guard, "guard"),
    "a flow that refuses after a wait": (refusing_flow, "flow"),
    "a flow that answers itself": (answering_flow, "flow"),
    "a flow that calls twice": (repeating_flow, "flow"),
    "a flow that alters the result": (altering_flow, "flow"),
    "a flow that raises": (raising_flow, "flow"),
    "a flow whose question fails": (awaiting_flow, "flow"),
    "a bracket that refuses": (
        Bracket(lambda _: Failure("unavailable", layer="made"), lambda *_: None),
        "bracket",
    ),
    "a bracket that raises at the end": (Bracket(lambda _: 1, lambda *_: 1 / 0), "bracket"),
    "a bracket that raises at the beginning": (Bracket(lambda _: 1 / 0, lambda *_: None), "bracket"),
    "a recovery that answers itself": (lambda i, o: answering_flow(i), "recovery"),
    "a recovery that calls again": (lambda i, o: repeating_flow(i), "recovery"),
    "a recovery that raises": (lambda i, o: raising_flow(i), "recovery"),
}


@pytest.mark.parametrize("fails", [False, True], ids=["a success", "a failure"])
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_no_stage_changes_the_outcome_of(stage, fails, drive):
    app, service = app_with(*stage)
    service.fails = fails
    outcome = drive(app, "work.get", 3)
    if fails:
        assert failure(outcome).code == "unavailable"
    else:
        assert outcome.value == 3
    assert service.calls == 1
    assert app.clock.waits == []


DIFFER = [name for name in STAGES if any(word in name for word in ("refuses", "answers", "twice", "alters"))]


@pytest.mark.parametrize("name", [name for name in DIFFER if "recovery" not in name])
def test_what_would_have_changed_is_counted_and_logged(name, drive, caplog):
    app, _ = app_with(*STAGES[name])
    with caplog.at_level(logging.WARNING, "unimicro"):
        drive(app, "work.get")
        drive(app, "work.get")
    assert app.listeners.shadowed == {("work.get", "made"): 2}
    assert "work.get: made in shadow mode: it would have" in caplog.text


def test_a_stage_that_agrees_is_not_counted(drive):
    app, _ = app_with(lambda invocation: invocation, "guard")
    drive(app, "work.get")
    assert not app.listeners.shadowed


def test_a_listener_hears_what_would_have_been_refused(drive):
    heard = []

    class Listener:
        def on_reject(self, rejection):
            heard.append(rejection)

    app, _ = app_with(refusing_flow, "flow", listeners=[Listener()])
    drive(app, "work.get")
    (rejection,) = heard
    assert (rejection.operation, rejection.layer, rejection.shadow) == ("work.get", "made", True)
    assert rejection.failure.code == "permission_denied"


def test_a_retry_in_shadow_calls_once_and_says_so(drive):
    service = Work(name="work")
    service.fails = True
    app = App(service, policies=[Retry(attempts=3, mode="shadow")], clock=VirtualClock())
    assert failure(drive(app, "work.get")).code == "unavailable"
    assert service.calls == 1
    assert app.listeners.shadowed == {("work.get", "retry"): 1}


def test_a_breaker_in_shadow_opens_and_lets_everything_through(drive):
    service = Work(name="work")
    service.fails = True
    app = App(
        service,
        policies=[Breaker(window=4, minimum_calls=4, mode="shadow")],
        clock=VirtualClock(),
    )
    for _ in range(10):
        assert failure(drive(app, "work.get")).layer == ""
    assert service.calls == 10
    assert app.listeners.shadowed == {("work.get", "breaker"): 6}


class Guarded(Service):
    @entry
    def get(self):
        return "in"


def test_an_authorizer_in_shadow_never_displaces_the_one_in_force(monkeypatch):
    monkeypatch.setenv("TOKEN", "right")
    app = App(Guarded(), policies=[Token(header="x-other", mode="shadow")])
    client = app.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/", headers={"X-Other": "right"}).status_code == 401
    assert client.get("/", headers={"Authorization": "right"}).status_code == 200
    assert app.listeners.shadowed[("guarded.get", "auth")] == 2


def test_an_open_entry_may_try_an_authorizer_in_shadow():
    class Open(Service):
        @entry(no_auth=True, auth=Token(mode="shadow"))
        def get(self):
            return "in"

    app = App(Open())
    assert app.test_client().get("/").status_code == 200
    assert app.listeners.shadowed == {("open.get", "auth"): 1}


def test_a_deadline_in_shadow_gives_no_deadline():
    class Late(Service):
        @entry(no_auth=True)
        def get(self):
            clock.advance(10)
            return "late"

    clock = VirtualClock()
    app = App(Late(), policies=[Deadline(1, mode="shadow")], clock=clock)
    assert app.call("late.get").value == "late"


@given(calls=st.lists(st.booleans(), max_size=40), mode=st.sampled_from(["shadow", "off"]))
@settings(max_examples=60, deadline=None)
def test_a_service_behaves_the_same_with_policies_in_shadow_and_without_them(calls, mode):
    policies = [Breaker(window=4, minimum_calls=2, mode=mode), Retry(mode=mode), Deadline(0.5, mode=mode)]

    def outcomes(policies, drive):
        service = Work(name="work")
        app = App(service, policies=policies, clock=VirtualClock())
        seen = []
        for fails in calls:
            service.fails = fails
            outcome = drive(app, "work.get", 1)
            seen.append(outcome.monoid)
        return seen, service.calls

    assert outcomes(policies, sync_drive) == outcomes([], sync_drive)


def test_the_property_holds_on_the_async_driver_too():
    service = Work(name="work")
    app = App(service, policies=[Breaker(window=2, minimum_calls=2, mode="shadow")], clock=VirtualClock())
    for fails in (True, True, False, True):
        service.fails = fails
        assert (async_drive(app, "work.get").monoid[1]) is not fails
