"""Direct invocation, unknown events, plugins' events, and a set-up that fails."""

import logging

import pytest

from tests.lambda_adapter.service import SECRET, Context, Echo, handler, load, make_app
from unimicro import App, hookimpl


def ask(event, app=None):
    return (app.lambda_handler if app else handler)(event, Context())


@pytest.mark.parametrize("name", ["direct_operation", "direct_method"])
def test_an_operation_is_called_by_name(name):
    assert ask(load(name)) == {"result": 5, "exception": None}


@pytest.mark.parametrize(
    "arguments",
    [
        {"args": [2, 3]},
        {"args": [2], "kwargs": {"right": 3}},
        {"kwargs": {"left": 2, "right": 3}},
        {"args": {"left": 2}, "kwargs": {"right": 3}},
    ],
)
def test_arguments_come_by_position_by_name_or_both(arguments):
    assert ask({"operation": "echo.add", **arguments})["result"] == 5


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"operation": 5}, "operation"),
        ({"operation": None}, "operation"),
        ({"method": "echo:add"}, "operation"),
        ({"operation": "echo.add", "args": "x"}, "args"),
        ({"operation": "echo.add", "kwargs": []}, "kwargs"),
        ({"operation": "echo.add", "args": {"left": 1}, "kwargs": 5}, "kwargs"),
        ({"operation": "echo.add", "args": ["x", 1]}, "left"),
        ({"operation": "echo.add", "args": [1, 2], "headers": {"authorization": 5}}, "headers"),
    ],
)
def test_a_malformed_call_is_refused_and_the_fault_named(event, name):
    answer = ask(event)
    assert answer["result"] is None
    assert answer["exception"].startswith("invalid_argument: ")
    assert [error["name"] for error in answer["failure"]["errors"]] == [name]


def test_an_unknown_operation_is_unimplemented():
    assert ask({"operation": "echo.nothing"})["failure"]["code"] == "unimplemented"


def test_a_protected_operation_wants_its_token():
    assert ask({"operation": "echo.locked"})["failure"]["code"] == "unauthenticated"
    authorized = {"operation": "echo.locked", "headers": {"Authorization": "good"}}
    assert ask(authorized)["result"] == "open"


def test_a_returned_status_carries_its_body_alone():
    assert ask({"operation": "echo.cookies"}) == {"result": "yum", "exception": None}


@pytest.mark.parametrize("operation", ["echo.broken", "echo.unencodable"])
def test_an_exception_is_internal_and_its_text_stays_inside(operation):
    answer = ask({"operation": operation})
    assert answer["failure"]["code"] == "internal"
    assert SECRET not in str(answer)


def test_a_call_is_bounded_by_lambdas_own_limit():
    answer = handler({"operation": "echo.add", "args": [1, 2]}, Context(remaining=100))
    assert answer["failure"]["code"] == "deadline_exceeded"


def test_an_unknown_event_is_refused_by_its_keys_and_no_value_is_told(caplog):
    with caplog.at_level(logging.WARNING, logger="unimicro"):
        answer = ask({"source": "s3cr3t", "detail": {"password": "s3cr3t"}})
    assert answer["failure"]["code"] == "unimplemented"
    assert "source, detail" in answer["exception"]
    assert "source, detail" in caplog.text
    assert "s3cr3t" not in str(answer) + caplog.text


@pytest.mark.parametrize("name", ["unknown_warm_up", "unknown_no_records"])
def test_a_sample_of_an_unknown_event_is_a_typed_failure(name):
    answer = ask(load(name))
    assert (answer["result"], answer["failure"]["code"]) == (None, "unimplemented")


@pytest.mark.parametrize("event", ["ping", 5, None, [1, 2], True])
def test_an_event_that_is_no_object_is_an_invalid_argument(event):
    answer = ask(event)
    assert answer["failure"]["code"] == "invalid_argument"
    assert type(event).__name__ in answer["exception"]


def test_an_event_with_very_many_long_keys_gets_a_short_answer():
    assert len(ask({f"{n}" * 1000: 1 for n in range(1000)})["exception"]) < 2000


class Queue:
    """A plugin with an event of its own, which would be an HTTP event otherwise."""

    @hookimpl
    def unimicro_register_lambda_events(self, app, register):
        def matches(event):
            return event["odd"] == "yes" if "odd" in event else False

        def respond(event, context):
            if "broken" in event:
                raise RuntimeError(SECRET)
            return {"plugin": app.call("echo.add", 1, 1).value, "id": context.aws_request_id}

        register("odd", matches, respond)


def test_a_plugins_event_is_recognised_before_all_others():
    app = make_app(plugins=[Queue()])
    event = {**load("http_v2_minimal"), "odd": "yes"}
    assert ask(event, app) == {"plugin": 2, "id": Context.aws_request_id}
    assert ask(load("http_v2_minimal"), app)["body"] == "root"


def test_a_plugin_that_raises_is_answered_with_a_failure(caplog):
    app = make_app(plugins=[Queue()])
    with caplog.at_level(logging.ERROR, logger="unimicro"):
        answer = ask({"odd": "yes", "broken": 1}, app)
    assert answer["failure"]["code"] == "internal"
    assert SECRET not in str(answer)
    assert SECRET in caplog.text
    assert "'odd'" in caplog.text


class Counting(Echo):
    def __init__(self, failures=0):
        super().__init__(name="echo")
        self.failures = failures
        self.set_up = 0

    def setup(self):
        self.set_up += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError(SECRET)


def test_the_services_are_set_up_by_the_first_event_and_only_once():
    service = Counting()
    app = App(service, config={})
    lambda_handler = app.lambda_handler
    assert service.set_up == 0
    for _ in range(2):
        assert lambda_handler(load("http_v2_minimal"), None)["body"] == "root"
    assert service.set_up == 1


@pytest.mark.parametrize("name", ["http_v2_minimal", "rest_v1_console", "alb_multi"])
def test_a_set_up_that_fails_is_a_500_and_is_tried_again(name):
    service = Counting(failures=1)
    app = App(service, config={})
    answer = ask(load(name), app)
    assert answer["statusCode"] == 500
    assert SECRET not in str(answer)
    assert ask(load(name), app)["statusCode"] == 200
    assert service.set_up == 2


def test_an_interrupt_is_not_answered():
    class Stopping(Echo):
        def setup(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(load("http_v2_minimal"), App(Stopping(), config={}))
