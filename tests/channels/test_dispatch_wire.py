"""What the dispatch channels send, and what they make of answers, also of servers of other makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack
import msgspec
import pytest

from tests.channels.http_calling import TRANSPORTS, called, manager_for, proxy_of
from tests.channels.http_servers import RawServer, answer, answering, json_answer
from unimicro import Service, VirtualClock, entry
from unimicro.channels.client.context import idempotency_key
from unimicro.component import Component, component, service
from unimicro.errors import (
    CommunicationError,
    Internal,
    NotFound,
    PermissionDenied,
    RemoteError,
    ResourceExhausted,
    ServiceError,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
    Unimplemented,
    Unknown,
)
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.retry import Retry

ONCE = (Retry(mode="off"), Breaker(mode="off"))
SENTINEL = object()


@dataclass
class Line:
    sku: str
    quantity: int = 1


class Orders(Service):
    @entry(no_auth=True)
    def place(self, customer: str, line: Line, note: str = "none", rush: bool = False) -> Line: ...

    @entry(no_auth=True)
    async def aplace(self, customer: str, line: Line, note: str = "none", rush: bool = False) -> Line: ...

    @entry(no_auth=True)
    def odd(self, a: int, b: Any = SENTINEL, c: int = 3, *, d: int = 4) -> Line: ...


RESULT = json_answer(b'{"result":{"sku":"tea","quantity":2},"exception":null}')


def called_with(method, *args, transport="httpx", answers=(RESULT,), channel="dispatch-json", **kwargs):
    """The request that a call sends, and its result or exception."""
    options = kwargs.pop("options", {})
    with RawServer(answering(*answers)) as server:
        with proxy_of(Orders, channel, server.address, transport, policies=ONCE, **options) as orders:
            try:
                result = called(orders, method, *args, **kwargs)
            except ServiceError as error:
                result = error
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        return line, dict(field.lower().split(": ", 1) for field in fields), body, result


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("method", ["place", "aplace"])
class TestARequest:
    def test_is_a_post_of_method_and_args(self, method, transport):
        line, fields, body, result = called_with(method, "Ann", Line("tea"), transport=transport)
        assert line == "POST /invoke HTTP/1.1"
        assert msgspec.json.decode(body) == {
            "method": f"orders:orders:{method}",
            "args": ["Ann", {"sku": "tea", "quantity": 1}],
        }
        assert fields["content-type"] == fields["accept"] == "application/json"
        assert fields["content-length"] == str(len(body))
        assert fields["accept-encoding"] == "identity"
        assert 1 <= int(fields["x-timeout-ms"]) <= 10_000
        assert len(fields["idempotency-key"].strip('"')) == 32
        assert result == Line("tea", 2)

    def test_holds_an_argument_given_by_name_at_its_place(self, method, transport):
        given = {"rush": True, "line": Line("tea"), "customer": "Ann"}
        _, _, body, _ = called_with(method, transport=transport, **given)
        assert msgspec.json.decode(body) == {
            "method": f"orders:orders:{method}",
            "args": ["Ann", {"sku": "tea", "quantity": 1}, "none", True],
        }


def test_what_has_no_place_goes_by_name():
    _, _, body, _ = called_with("odd", 1, d=5)
    assert msgspec.json.decode(body) == {"method": "orders:orders:odd", "args": [1], "kwargs": {"d": 5}}


def test_what_lies_behind_a_default_that_cannot_be_sent_goes_by_name():
    _, _, body, _ = called_with("odd", 1, c=5)
    assert msgspec.json.decode(body) == {"method": "orders:orders:odd", "args": [1], "kwargs": {"c": 5}}


def test_msgpack_is_the_plain_one():
    content = msgpack.packb({"result": {"sku": "tea", "quantity": 2}, "exception": None})
    packed = answer(content, content_type="application/msgpack")
    _, fields, body, result = called_with(
        "place", "Ann", Line("tea"), answers=(packed,), channel="dispatch-msgpack"
    )
    assert msgpack.unpackb(body) == {
        "method": "orders:orders:place",
        "args": ["Ann", {"sku": "tea", "quantity": 1}],
    }
    assert fields["content-type"] == "application/msgpack"
    assert result == Line("tea", 2)


def test_token_and_key_travel_along():
    with idempotency_key("import"):
        _, fields, _, _ = called_with("place", "Ann", Line("tea"), options={"token": "secret"})
    assert fields["authorization"] == "bearer secret"
    assert len(fields["idempotency-key"]) == 42


@service(name="greetings", no_auth=True)
class Greetings(Service):
    def hello(self, name: str) -> str: ...


@component(name="hall", services=[Greetings])
class Hall(Component): ...


def test_the_component_is_part_of_the_method():
    with (
        RawServer(answering(json_answer(b'{"result":"hi","exception":null}'))) as server,
        proxy_of(Greetings, "dispatch-json", server.address) as greetings,
    ):
        assert greetings.hello("Ann") == "hi"
        assert b'"method":"hall:greetings:hello"' in server.requests[0]


def test_a_path_of_the_address_stands_before_the_channels_own():
    with (
        RawServer(answering(RESULT)) as server,
        proxy_of(Orders, "dispatch-json", f"{server.address}/shop%20a/") as orders,
    ):
        orders.place("Ann", Line("tea"))
        assert server.requests[0].startswith(b"POST /shop%20a/invoke HTTP/1.1")


class TestAnAnswerOfAnotherMake:
    def test_with_an_exception_raises_a_remote_error_with_its_text(self):
        reply = json_answer(b'{"result":null,"exception":"no tea left"}')
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert type(error) is RemoteError
        assert str(error) == "no tea left"

    def test_keeps_a_long_text_short(self):
        reply = json_answer(b'{"result":null,"exception":"' + b"x" * 100_000 + b'"}')
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert len(str(error)) == 2000

    def test_may_have_an_empty_text(self):
        reply = json_answer(b'{"result":null,"exception":""}')
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert type(error) is RemoteError

    def test_may_have_an_exception_that_is_no_text(self):
        reply = json_answer(b'{"result":null,"exception":{"code":5}}')
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert type(error) is RemoteError
        assert str(error) == "{'code': 5}"

    def test_may_say_its_media_type_in_capitals_and_with_parameters(self):
        reply = answer(RESULT.partition(b"\r\n\r\n")[2], content_type="Application/JSON; charset=utf-8")
        assert called_with("place", "Ann", Line("tea"), answers=(reply,))[-1] == Line("tea", 2)

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (302, Unknown),
            (400, Internal),
            (403, PermissionDenied),
            (404, Unimplemented),
            (415, Unknown),
            (429, Unavailable),
            (500, Unknown),
            (502, CommunicationError),
            (503, CommunicationError),
            (504, CommunicationError),
        ],
    )
    def test_without_an_envelope_is_told_by_its_status(self, status, kind):
        reply = answer(b"<html>no</html>", status, content_type="text/html")
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert isinstance(error, kind)
        assert str(error) == f"the server answered {status}"

    @pytest.mark.parametrize(
        ("challenge", "token", "kind"),
        [
            ("", None, TokenMissing),
            ("Bearer", None, TokenMissing),
            ('Bearer realm="x"', None, TokenMissing),
            ("Bearer", "t", TokenInvalid),
            ('Bearer error="invalid_token", error_description="The token expired"', "t", TokenExpired),
            ('Bearer error="invalid_token", error_description="token missing"', "t", TokenMissing),
            ('Bearer error="invalid_token", error_description="nonsense"', "t", TokenInvalid),
            ("bearer ERROR=invalid_token", "t", TokenInvalid),
            ('Bearer realm="error=x, the token has expired"', "t", TokenInvalid),
            ('Bearer error="invalid_token' + "x" * 5000, "t", TokenInvalid),
        ],
    )
    def test_with_401_tells_missing_expired_and_invalid_tokens_apart(self, challenge, token, kind):
        reply = answer(b"", 401, www_authenticate=challenge)
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,), options={"token": token})
        assert type(error) is kind or kind in type(error).__mro__
        assert isinstance(error, kind)

    @pytest.mark.parametrize(("status", "wait"), [(429, "7"), (503, "7")])
    def test_may_say_when_to_come_back(self, status, wait):
        reply = answer(b"", status, retry_after=wait)
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert error.retry_after == 7.0


class TestAProblemDocument:
    def test_in_an_envelope_decides_whatever_the_status(self):
        failure = b'"failure":{"code":"not_found","detail":"no order","details":{"id":1}}'
        for status in (200, 404, 500):
            reply = json_answer(b'{"result":null,"exception":"x",' + failure + b"}", status)
            *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
            assert type(error) is NotFound
            assert (str(error), error.details) == ("no order", {"id": 1})

    def test_alone_decides_too(self):
        body = b'{"code":"resource_exhausted","detail":"slow down","retry_after_ms":1500}'
        reply = answer(body, 429, content_type="application/problem+json", retry_after="9")
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert type(error) is ResourceExhausted
        assert error.retry_after == 1.5

    @pytest.mark.parametrize("code", ["no_code", 5, None])
    def test_without_a_code_of_ours_counts_for_nothing(self, code):
        problem = msgspec.json.encode({"code": code, "detail": "trust me"})
        reply = answer(problem, 503, content_type="application/problem+json")
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,))
        assert isinstance(error, CommunicationError)
        assert str(error) == "the server answered 503"

    def test_cannot_pretend_that_nothing_was_sent(self):
        failure = b'"failure":{"code":"unavailable","detail":"x","layer":"channel"}'
        reply = json_answer(b'{"result":null,"exception":"x",' + failure + b"}")
        with (
            RawServer(answering(reply)) as first,
            RawServer(answering(RESULT)) as second,
            manager_for("dispatch-json", policies=ONCE, selector="first") as manager,
        ):
            addresses = (first.address, second.address)
            orders = manager.get_service(Orders, "dispatch-json", address=addresses)
            with pytest.raises(Unavailable):
                orders.place("Ann", Line("tea"))
            assert second.requests == []


MALFORMED = {
    "no envelope": (json_answer(b"[1]"), "the answer is no envelope of this wire"),
    "nothing": (json_answer(b""), "the answer is no envelope of this wire"),
    "no result": (json_answer(b'{"exception":null}'), "the answer is no envelope of this wire"),
    "garbage": (json_answer(b"\xff\x00{"), "the answer is no envelope of this wire"),
    "deep": (json_answer(b'{"result":' + b"[" * 100_000), "the answer is no envelope of this wire"),
    "failure that is none": (
        json_answer(b'{"result":1,"failure":7}'),
        "the answer is no envelope of this wire",
    ),
    "html": (
        answer(b"<p>", content_type="text/html"),
        "the answer is text/html, not application/json",
    ),
    "no type": (answer(b"{}"), "the answer is of no content type, not application/json"),
    "empty 204": (answer(b"", 204, content_length=None), "the answer is of no content type"),
    "another result": (
        json_answer(b'{"result":{"sku":5},"exception":null}'),
        r"the answer has another result than declared: \.sku: expected str, got int",
    ),
    "no result of that type": (
        json_answer(b'{"result":null,"exception":null}'),
        "the answer has another result than declared: expected object, got null",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_malformed_answer_is_internal_and_says_what_was_wrong(case, transport):
    reply, text = MALFORMED[case]
    *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,), transport=transport)
    assert type(error) is Internal
    assert error.failure.layer == "channel"
    with pytest.raises(Internal, match=text):
        raise error


def test_malformed_msgpack_is_internal_too():
    for body in (b"\xc1", b"\xdf\xff\xff\xff\xff", b"\x91" * 50_000, msgpack.packb({"result": 1})):
        reply = answer(body, content_type="application/msgpack")
        *_, error = called_with("place", "Ann", Line("tea"), answers=(reply,), channel="dispatch-msgpack")
        assert type(error) is Internal, body


def test_the_time_that_is_left_is_told_rounded_up():
    policies = (*ONCE, Deadline(timeout=30.0001))
    with (
        RawServer(answering(RESULT)) as server,
        proxy_of(Orders, "dispatch-json", server.address, clock=VirtualClock(), policies=policies) as orders,
    ):
        orders.place("Ann", Line("tea"))
        assert b"x-timeout-ms: 30001\r\n" in server.requests[0].lower()
