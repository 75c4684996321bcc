"""What a method returns, as an HTTP answer."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pydantic
import pytest

from tests.core.helpers import code_of, failure
from unimicro import App, Failure, Left, Response, Service, entry
from unimicro.routes.request import HttpRequest


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    price: Decimal


class Model(pydantic.BaseModel):
    at: datetime


def app_of(result: Any, returns: Any = None, **options: Any) -> App:
    """An app whose ``GET /`` returns ``result``, annotated ``returns`` unless that is ``None``."""

    def get(self):
        return result

    if returns is not None:
        get.__annotations__["return"] = returns
    return App(type("S", (Service,), {"get": entry(no_auth=True, **options)(get)})())


def answer(result: Any, returns: Any = None, **options: Any) -> Any:
    return app_of(result, returns, **options).test_client().get("/")


TEXT, JSON, BINARY = "text/plain; charset=utf-8", "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("result", "content_type", "body"),
    [
        ("text é", TEXT, "text é".encode()),
        ("", TEXT, b""),
        (b"\xff\x00", BINARY, b"\xff\x00"),
        (bytearray(b"ab"), BINARY, b"ab"),
        (memoryview(b"ab"), BINARY, b"ab"),
        ({"a": "é"}, JSON, '{"a":"é"}'.encode()),
        ([1, None, True], JSON, b"[1,null,true]"),
        (5, JSON, b"5"),
        (1.5, JSON, b"1.5"),
        (False, JSON, b"false"),
        (Line("a", Decimal("1.50")), JSON, b'{"sku":"a","price":"1.50"}'),
        ([Line("a", Decimal(1))], JSON, b'[{"sku":"a","price":"1"}]'),
        (Model(at=datetime(2026, 1, 2, tzinfo=UTC)), JSON, b'{"at":"2026-01-02T00:00:00Z"}'),
        ({"m": Model(at=datetime(2026, 1, 2))}, JSON, b'{"m":{"at":"2026-01-02T00:00:00"}}'),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), JSON, b'"2026-01-02T03:00:00Z"'),
        (date(2026, 1, 2), JSON, b'"2026-01-02"'),
        (timedelta(seconds=90), JSON, b'"PT90S"'),
        (UUID(int=1), JSON, b'"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.10"), JSON, b'"1.10"'),
        (Colour.RED, JSON, b'"red"'),
        ({5}, JSON, b"[5]"),
        ({"a": float("nan")}, JSON, b'{"a":null}'),
        ({1: "a"}, JSON, b'{"1":"a"}'),
        ((1, 2, 3, 4), JSON, b"[1,2,3,4]"),
    ],
)
def test_a_result_has_its_type_and_bytes(result, content_type, body):
    got = answer(result)
    assert (got.status_code, got.headers["content-type"], got.data) == (200, content_type, body)


def test_none_is_no_content():
    got = answer(None)
    assert (got.status_code, got.data, "content-type" in got.headers) == (204, b"", False)


@pytest.mark.parametrize(
    ("result", "status", "headers"),
    [
        (("body", 201), 201, {}),
        (("body", HTTPStatus.CREATED), 201, {}),
        (("body", 202, {"X-A": "b"}), 202, {"x-a": "b"}),
        (("body", 202, [("X-A", "b"), ("X-A", "c")]), 202, {"x-a": "b, c"}),
        (("body", 202, None), 202, {}),
        (Response("body", 203), 203, {}),
        (Response("body", headers={"X-A": "b"}), 200, {"x-a": "b"}),
        (Response("body", headers={"Content-Type": "text/html"}), 200, {"content-type": "text/html"}),
    ],
)
def test_a_result_may_bring_status_and_headers(result, status, headers):
    got = answer(result)
    assert (got.status_code, got.text) == (status, "body")
    assert headers.items() <= dict(got.headers).items()


def test_an_annotated_pair_of_body_and_status():
    for returns in (
        tuple[str, int],
        tuple[dict[str, Any], int, dict[str, str]],
        tuple[str, HTTPStatus],
        tuple,
    ):
        body: Any = {"a": 1} if "dict" in str(returns) else "a"
        result = (body, 201, {}) if "dict" in str(returns) else (body, 201)
        assert answer(result, returns).status_code == 201
    assert answer(("a", 201), tuple[str, int] | None).status_code == 201
    assert answer(Response("a", 201), Response | str).status_code == 201


@pytest.mark.parametrize(
    ("result", "returns"),
    [
        ((3, 200), tuple[int, int]),
        ((3.5, 404), tuple[float, int]),
        (("a", 200), list[Any]),
        (("a", 404, "b"), tuple[str, int, str]),
        (("a", True), tuple[str, bool]),
        ((1, 2), tuple[int, ...]),
    ],
)
def test_the_annotation_says_that_a_tuple_is_data(result, returns):
    got = answer(result, returns)
    assert (got.status_code, got.json) == (200, list(result))


@pytest.mark.parametrize("status", [0, -1, 3, 99, 100, 101, 199, 600, 10**6])
def test_a_status_that_cannot_be_sent_is_internal(status, caplog):
    assert code_of(answer(("text", status))) == (500, "internal")
    assert str(status) in caplog.text


def test_a_status_of_400_or_above_is_a_failure_that_keeps_its_body():
    app = app_of(({"why": "gone"}, 404, {"X-A": "b"}))
    got = app.test_client().get("/")
    assert (got.status_code, got.json, got.headers["x-a"]) == (404, {"why": "gone"}, "b")
    assert failure(app.call("s.get")).code == "not_found"


def test_a_returned_status_brings_the_header_that_it_demands():
    assert answer(("no", 401)).headers["www-authenticate"] == "Bearer"
    assert answer(("busy", 503)).headers["retry-after"] == "1"
    assert answer(("busy", 429, {"retry-after": "7"})).headers["retry-after"] == "7"
    own = {"WWW-Authenticate": "Basic"}
    assert answer(("no", 401, own)).headers.getall("www-authenticate") == ("Basic",)


def test_in_process_a_response_is_its_body():
    assert app_of(("body", 201)).call("s.get").value == "body"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nSet-Cookie: c=d"),
        ("X-A", "b\nc"),
        ("X-A", "b\x00"),
        ("X-A", "snow ☃"),
        ("X-A\r\nB", "c"),
        ("X A", "b"),
        ("", "b"),
        ("X-A", 5),
        ("X-A", None),
    ],
)
def test_a_header_that_http_does_not_allow_is_refused(name, value):
    for headers in ({name: value}, [(name, value)]):
        got = answer(("body", 200, headers))
        assert code_of(got) == (500, "internal")
        assert "set-cookie" not in got.headers
    assert code_of(answer(("body", 404, {name: value}))) == (500, "internal")


def test_the_header_of_a_refusal_is_left_out_where_http_does_not_allow_it():
    def refuse(invocation):
        return Left(Failure("aborted", headers={"X-Bad": "a\r\nSet-Cookie: b=c", "X-Good": "d"}))

    got = answer("never", stages=[refuse])
    assert code_of(got) == (409, "aborted")
    assert (got.headers.get("x-good"), "x-bad" in got.headers, "set-cookie" in got.headers) == (
        "d",
        False,
        False,
    )


def test_cookies_are_kept_apart():
    got = answer(("body", 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
    assert got.headers.getall("set-cookie") == ("a=1", "b=2")


@pytest.mark.parametrize("body", ["body", None, b"xy"])
def test_a_content_length_of_the_service_is_not_trusted(body):
    got = answer(Response(body, 200, {"Content-Length": "9999"}))
    assert "content-length" not in got.headers


def test_a_content_type_may_be_declared():
    assert answer("<p>", content_type="text/html").headers["content-type"] == "text/html; charset=utf-8"
    assert (
        answer("<p>", content_type="text/html; charset=ascii").headers["content-type"]
        == "text/html; charset=ascii"
    )
    assert answer(b"\x89", content_type="image/png").headers["content-type"] == "image/png"
    assert (
        answer({"a": 1}, content_type="application/hal+json").headers["content-type"]
        == "application/hal+json"
    )


def head(app: App, method: str = "HEAD") -> Any:
    return app.door("http").handle(HttpRequest(method, "/"))


def test_head_is_get_without_its_body():
    app = app_of("some text")
    got, expected = head(app), head(app, "GET")
    assert (got.status, got.headers, got.length) == (expected.status, expected.headers, 9)
    assert (got.body, expected.body) == (b"", b"some text")
    assert app.test_client().head("/nowhere").status_code == 404
    assert app.test_client().head("/nowhere").data == b""


def test_no_content_has_neither_body_nor_length():
    for result in (None, Response("ignored", 204), Response(None, 304)):
        got = head(app_of(result), "GET")
        assert (got.body, got.length) == (b"", None)


def test_an_answer_says_whether_it_is_text():
    assert head(app_of("text"), "GET").is_text
    assert head(app_of({"a": 1}), "GET").is_text
    assert not head(app_of(b"text"), "GET").is_text
    assert not head(app_of("text", binary=True), "GET").is_text
    assert not head(app_of(Response("text", 200, {"Content-Encoding": "br"})), "GET").is_text
    assert head(app_of(b"<a/>", content_type="image/svg+xml"), "GET").is_text


def test_too_large_a_number_of_headers_is_no_problem():
    got = answer(("body", 200, [(f"X-{n}", "v") for n in range(500)]))
    assert got.headers["x-499"] == "v"


def test_a_result_that_contains_itself_is_an_internal_error():
    class Loop(Service):
        @entry(no_auth=True)
        def get(self) -> dict:
            result: dict = {}
            result["self"] = result
            return result

    assert App(Loop(), config={}).test_client().get("/").status_code == 500
