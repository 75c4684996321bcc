"""What ``get`` and ``post`` send."""

from __future__ import annotations

import json

import pytest

from tests.functional.caller import Caller
from tests.functional.server import Answer
from unimicro import failure_of


def test_get_brings_status_headers_and_body(caller, server):
    server.answers = [Answer(200, b'{"tea": 1}', (("Content-Type", "application/json"), ("X-Kind", "a")))]
    reply = caller.get(f"{server.url}/stock", params={"kind": ["a", "b"]}, headers={"X-Tenant": "t"}).value
    assert (reply.status, reply.headers["x-kind"], reply.body) == (200, "a", b'{"tea": 1}')
    assert reply.json().value == {"tea": 1}
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/stock?kind=a&kind=b")
    assert request.headers["x-tenant"] == "t"


def test_the_query_of_the_address_stays(caller, server):
    caller.get(f"{server.url}/stock?kind=a")
    assert server.requests[0].path == "/stock?kind=a"


def test_post_sends_json(caller, server):
    caller.post(server.url, json={"tea": 1}, headers={"X-Tenant": "t"})
    (request,) = server.requests
    assert (request.method, json.loads(request.body)) == ("POST", {"tea": 1})
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-tenant"] == "t"


def test_post_sends_a_form(caller, server):
    caller.post(server.url, form={"tea": "1 & 2", "cup": ["a", "b"]})
    (request,) = server.requests
    assert request.body == b"tea=1+%26+2&cup=a&cup=b"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_content_type_of_the_caller_stays(caller, server):
    caller.post(server.url, json={}, headers={"Content-Type": "application/merge-patch+json"})
    assert server.requests[0].headers["content-type"] == "application/merge-patch+json"


def test_settings_are_those_of_every_request_and_a_call_may_differ(of, server):
    caller = Caller(of, base_url=f"{server.url}/v1/", headers={"Authorization": "secret", "X-Kind": "a"})
    caller.get("/stock")
    caller.post("orders", json=1, headers={"x-kind": "b"})
    caller.get("")
    assert [request.path for request in server.requests] == ["/v1/stock", "/v1/orders", "/v1"]
    assert [request.headers["x-kind"] for request in server.requests] == ["a", "b", "a"]
    assert {request.headers["authorization"] for request in server.requests} == {"secret"}


def test_another_server_does_not_get_the_headers_of_this_one(of, server):
    caller = Caller(of, base_url="http://127.0.0.1:1", headers={"Authorization": "secret"})
    assert failure_of(caller.get(f"{server.url}/steal")).code == "internal"
    assert server.requests == []


def test_cookies_are_not_kept_and_redirects_not_followed(caller, server):
    server.answers = [Answer(302, b"", (("Set-Cookie", "session=1"), ("Location", "/elsewhere"))), Answer()]
    assert caller.get(server.url).value.status == 302
    caller.get(server.url)
    assert [request.path for request in server.requests] == ["/", "/"]
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    "url", ["nowhere", "ftp://127.0.0.1/x", "http://", "http://127.0.0.1:port", "/stock"]
)
def test_an_address_that_is_none_is_internal(caller, url):
    assert failure_of(caller.get(url)).code == "internal"
    assert caller.clock.waits == []


def test_a_header_that_cannot_be_sent_is_named_and_its_value_is_not_logged(caller, server, caplog):
    for value in ("secret\r\nx: y", "secret ", "secrét", 7):
        assert failure_of(caller.get(server.url, headers={"X-Token": value})).code == "internal"
    assert failure_of(caller.get(server.url, headers={"X Token": "secret"})).code == "internal"
    assert server.requests == []
    assert "X-Token" in caplog.text
    assert "secr" not in caplog.text


def test_a_body_that_cannot_be_encoded_is_internal(caller, server):
    assert failure_of(caller.post(server.url, json=object())).code == "internal"
