"""Listeners: told of transitions, retries and rejections, whatever driver and kind of stage."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from tests.core.helpers import failure
from unimicro import App, Breaker, Deadline, Do, Failure, Left, Right, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, Unavailable
from unimicro.pipeline.listeners import Listeners


class Recorder:
    def __init__(self):
        self.rejections, self.retries, self.transitions = [], [], []

    def on_reject(self, rejection):
        self.rejections.append(rejection)

    def on_retry(self, retrying):
        self.retries.append(retrying)

    def on_transition(self, transition):
        self.transitions.append(transition)


def only_even(invocation):
    if invocation.arguments["number"] % 2:
        return Left(Failure("failed_precondition", "odd", layer="only_even"))
    return Right(invocation)


def asks_a_store(invocation):
    allowed = yield Do(lambda: invocation.arguments["number"] < 100)
    if not allowed:
        return Left(Failure("resource_exhausted", "too large", layer="asks_a_store", retry_after=3))
    return (yield invocation)


class Work(Service):
    @entry(no_auth=True, stages=[only_even, asks_a_store], breaker=Breaker(window=2, minimum_calls=2))
    def get(self, number: int = 0, *, down: bool = False):
        if down:
            raise Unavailable("down")
        return number

    @entry(deadline=Deadline(1))
    def get_own(self):
        return "mine"


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def app(recorder):
    return App(Work(), listeners=[recorder], clock=VirtualClock())


def rejected(recorder):
    return [(each.layer, each.failure.code, each.shadow) for each in recorder.rejections]


def test_a_guard_s_refusal_is_told(app, recorder, drive):
    drive(app, "work.get", 1)
    assert rejected(recorder) == [("only_even", "failed_precondition", False)]


def test_a_flow_s_refusal_is_told_with_when_to_come_back(app, recorder, drive):
    drive(app, "work.get", 100)
    assert rejected(recorder) == [("asks_a_store", "resource_exhausted", False)]
    assert recorder.rejections[0].failure.retry_after == 3


def test_arguments_that_do_not_fit_are_a_rejection_too(app, recorder, drive):
    drive(app, "work.get", "many")
    assert rejected(recorder) == [("arguments", "invalid_argument", False)]


def test_a_breaker_s_refusal_is_told_once_and_its_opening_too(app, recorder, drive):
    for _ in range(3):
        outcome = drive(app, "work.get", 2, down=True)
    assert failure(outcome).layer == "breaker"
    assert rejected(recorder) == [("breaker", "unavailable", False)]
    (opening,) = recorder.transitions
    assert (opening.before, opening.after) == ("closed", "open")


def test_a_failure_of_the_service_is_no_rejection(app, recorder, drive):
    drive(app, "work.get", 2, down=True)
    drive(app, "work.get", 2)
    assert recorder.rejections == []


def test_an_authorizer_s_refusal_is_told(app, recorder):
    assert app.test_client().get("/own").status_code == 401
    assert rejected(recorder) == [("auth", "unauthenticated", False)]


def test_details_are_frozen(app, recorder, drive):
    drive(app, "work.get", 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recorder.rejections[0].layer = "another"


def test_a_listener_that_raises_is_logged_and_changes_nothing(drive, caplog):
    class Broken:
        def on_reject(self, rejection):
            raise RuntimeError("the metrics server is away")

    recorder = Recorder()
    app = App(Work(), listeners=[Broken(), recorder], clock=VirtualClock())
    with caplog.at_level(logging.ERROR, "unimicro"):
        assert failure(drive(app, "work.get", 1)).code == "failed_precondition"
    assert "a listener raised on Rejection" in caplog.text
    assert len(recorder.rejections) == 1


def test_an_object_that_listens_to_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="a listener has on_transition, on_retry, on_reject"):
        App(Work(), listeners=[object()])


def test_without_listeners_no_stage_is_wrapped():
    with_none, with_one = App(Work()), App(Work(), listeners=[Recorder()])

    def runs(app):
        return [stage.run for stage in app.stages_of("work.get")]

    assert not Listeners().hear_rejections
    assert all("heard" not in getattr(run, "__name__", "") for run in runs(with_none))
    assert any("heard" in getattr(run, "__name__", "") for run in runs(with_one))
