"""The two halves that doors with a JSON wire format share, through the in-memory message door."""

from __future__ import annotations

import json
import math

import pytest

from unimicro import App, JsonDoor, Response, Service, entry
from unimicro.errors import NotFound
from unimicro.routes.memory import Message


class Shop(Service):
    """Answers and fails in odd ways."""

    @entry(no_auth=True)
    def echo(self, quantity: int = 1, *, sku: str = "tea") -> dict[str, object]:
        return {"quantity": quantity, "sku": sku}

    @entry(no_auth=True)
    def lines(self) -> Response:
        return Response("one\ntwo", 201, {"X-Count": "2"})

    @entry(no_auth=True)
    def nan(self) -> float:
        return math.nan

    @entry(no_auth=True)
    def odd_details(self) -> None:
        raise NotFound("there is no tea", details={"shelf": object()})

    @entry(no_auth=True)
    def odd_text(self) -> None:
        raise NotFound("there is no \ud800")


@pytest.fixture
def door():
    return App(Shop(), config={"max_body_bytes": 100}).door("memory")


def reply(door, method, body=b"{}", **headers):
    return json.loads(door.handle(Message(f"shop.{method}", body, headers)).body)


def problem(door, method, body=b"{}", **headers):
    return reply(door, method, body, **headers)["error"]["failure"]


def test_the_message_door_is_one_of_them(door):
    assert isinstance(door, JsonDoor)


@pytest.mark.parametrize(
    ("body", "quantity", "sku"),
    [
        (b"{}", 1, "tea"),
        (b'{"args": [2]}', 2, "tea"),
        (b'{"args": [2], "kwargs": {"sku": "cup"}}', 2, "cup"),
    ],
)
def test_a_call_has_args_kwargs_both_or_neither(door, body, quantity, sku):
    assert reply(door, "echo", body)["result"] == {"quantity": quantity, "sku": sku}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 90, 400),
        (b"[]", 400),
        (b'{"args": 1}', 422),
        (b'{"kwargs": []}', 422),
        (b'{"kwargs": {"price": 1}}', 422),
        (b'{"kwargs": {"sku": "%b"}}' % (b"x" * 100), 413),
    ],
)
def test_a_body_that_is_no_call_is_refused(door, body, status):
    refused = problem(door, "echo", body)
    assert (refused["code"], refused["status"]) == ("invalid_argument", status)


def test_only_the_body_of_a_response_is_carried_and_a_line_stays_one_line(door):
    answer = door.handle(Message("shop.lines")).body
    assert b"\n" not in answer
    assert json.loads(answer)["result"] == "one\ntwo"


def test_a_number_that_json_does_not_have_is_null(door):
    assert reply(door, "nan") == {"result": None, "error": None}


def test_details_without_a_wire_form_do_not_hide_the_failure(door):
    failure = problem(door, "odd_details")
    assert (failure["code"], failure["detail"]) == ("not_found", "there is no tea")
    assert "details" not in failure


def test_text_that_is_no_unicode_does_not_hide_the_failure(door):
    failure = problem(door, "odd_text")
    assert (failure["code"], failure["detail"]) == ("not_found", r"there is no \ud800")


def test_a_failure_names_the_trace_of_the_caller(door):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    failure = problem(door, "odd_details", traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    assert failure["trace_id"] == trace_id
