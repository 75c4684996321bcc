"""``get`` and ``post``: what is sent, what comes back, and what is repeated."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from typing import Any

import httpx
import pytest

from tests.functional.server import Answer
from unimicro import App, Breaker, Deadline, Failure, Retry, Service, VirtualClock, entry, failure_of
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.functional import Http, Reply, ReplyError, aget, apost, get, lift, pipeline, post


class Caller:
    """An ``Http`` in one colour, on a virtual clock; it leaves no connection open."""

    def __init__(self, of: Any, **settings: Any) -> None:
        self.of = of
        self.clock = VirtualClock()
        self.http = Http(**{"clock": self.clock, "keep_alive": False, **settings})

    def get(self, *args: Any, **kwargs: Any) -> Any:
        method = self.http.get if self.of.__name__ == "Sync" else self.http.aget
        return self.of.run(method(*args, **kwargs))

    def post(self, *args: Any, **kwargs: Any) -> Any:
        method = self.http.post if self.of.__name__ == "Sync" else self.http.apost
        return self.of.run(method(*args, **kwargs))


@pytest.fixture
def caller(of):
    return Caller(of)


# -- what is sent ------------------------------------------------------------------------------


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


def test_a_header_that_cannot_be_sent_is_named_and_its_value_is_not_logged(caller, server, caplog):
    for value in ("secret\r\nx: y", "secret ", "secrét", 7):
        assert failure_of(caller.get(server.url, headers={"X-Token": value})).code == "internal"
    assert failure_of(caller.get(server.url, headers={"X Token": "secret"})).code == "internal"
    assert server.requests == []
    assert "X-Token" in caplog.text
    assert "secr" not in caplog.text


def test_a_body_that_cannot_be_encoded_is_internal(caller, server):
    assert failure_of(caller.post(server.url, json=object())).code == "internal"


# -- what comes back ---------------------------------------------------------------------------

STATUSES = {
    400: "internal",
    401: "unauthenticated",
    403: "permission_denied",
    404: "unimplemented",
    408: "unknown",
    409: "unknown",
    418: "unknown",
    429: "unavailable",
    500: "unknown",
    501: "unknown",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_without_a_code_of_ours_stands_for_one(of, server, status):
    server.answers = [Answer(status, b"secret")]
    failure = failure_of(Caller(of, retry=None).get(server.url))
    assert failure.code == STATUSES[status]
    assert failure.status != 408
    assert "secret" not in str(failure.to_problem())
    assert isinstance(failure.cause, ReplyError)
    assert failure.cause.reply.body == b"secret"


def problem(code: str, **fields: Any) -> bytes:
    return json.dumps(Failure(code, "said so", **fields).to_problem()).encode()


PROBLEM = (("Content-Type", "application/problem+json; charset=utf-8"),)


def test_a_problem_document_is_the_failure_that_it_describes(of, server):
    sent = {"details": {"left": 3}, "error_type": "OutOfStock", "retry_after": 2.0, "layer": "rate_limit"}
    server.answers = [Answer(429, problem("resource_exhausted", **sent), PROBLEM)]
    failure = failure_of(Caller(of, retry=None).get(server.url))
    assert failure == Failure("resource_exhausted", "said so", **sent)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"title": "busy", "detail": "secret"}', PROBLEM),
        (b'{"code": "odd"}', PROBLEM),
        (b"{", PROBLEM),
        (b"[]", PROBLEM),
        (problem("not_found"), (("Content-Type", "application/json"),)),
    ],
)
def test_a_document_without_a_code_of_ours_says_no_more_than_the_status(of, server, body, headers):
    server.answers = [Answer(503, body, headers)]
    assert failure_of(Caller(of, retry=None).get(server.url)) == Failure(
        "unavailable", "the server answered 503"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("Wed, 15 Nov 2023 00:00:00 GMT", 6400),
        ("Wed, 15 Nov 2000 00:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_when_to_come_back_is_read(of, server, value, seconds):
    server.answers = [Answer(503, b"", (("Retry-After", value),))]
    assert failure_of(Caller(of, retry=None).get(server.url)).retry_after == seconds


def test_no_server_is_unavailable(of):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    failure = failure_of(Caller(of, retry=None).get(url))
    assert failure.code == "unavailable"
    assert isinstance(failure.cause, httpx.ConnectError)


def test_a_broken_connection_is_unavailable(of, server):
    server.answers = [Answer(drop=True)]
    assert failure_of(Caller(of, retry=None).get(server.url)).code == "unavailable"


def test_a_server_that_says_nothing_is_given_up(of):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        caller = Caller(of, clock=None)
        failure = failure_of(caller.get(url, timeout=0.05))
    assert (failure.code, failure.status) == ("deadline_exceeded", 504)


def test_an_answer_above_the_limit_is_refused_and_not_asked_for_again(of, server):
    server.answers = [Answer(200, b"x" * 1001)]
    failure = failure_of(Caller(of, max_bytes=1000).get(server.url))
    assert failure == Failure("internal", "the answer is longer than 1000 bytes", details={"retry": False})
    assert len(server.requests) == 1
    assert Caller(of, max_bytes=1001).get(server.url).is_right()


def test_an_answer_that_is_packed_unasked_is_refused(caller, server):
    server.answers = [Answer(200, b"x", (("Content-Encoding", "gzip"),))]
    assert failure_of(caller.get(server.url)).code == "internal"
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_packed_answer_that_was_asked_for_is_unpacked(caller, server):
    import gzip

    server.answers = [Answer(200, gzip.compress(b"tea"), (("Content-Encoding", "gzip"),)), Answer(200, b"x")]
    assert caller.get(server.url, headers={"Accept-Encoding": "gzip"}).value.body == b"tea"


def test_a_packed_answer_that_cannot_be_unpacked_is_internal(caller, server):
    server.answers = [Answer(200, b"this is not packed", (("Content-Encoding", "gzip"),))]
    assert failure_of(caller.get(server.url, headers={"Accept-Encoding": "gzip"})).code == "internal"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain", "é"),
        ("é".encode("latin-1"), 'text/plain; charset="ISO-8859-1"; x=y', "é"),
        (b"\xff", "text/plain; charset=nonsense", "\ufffd"),
    ],
)
def test_text_is_in_the_charset_of_the_answer(caller, server, body, content_type, text):
    server.answers = [Answer(200, body, (("Content-Type", content_type),))]
    assert caller.get(server.url).value.text == text


def test_a_body_that_is_no_json_is_left(caller, server):
    server.answers = [Answer(200, b"{")]
    assert failure_of(caller.get(server.url).bind(Reply.json)).code == "internal"


# -- what is repeated --------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_a_get_is_repeated_only_where_that_may_help(caller, server, status):
    server.answers = [Answer(status), Answer(200)]
    repeated = caller.get(server.url).is_right()
    assert repeated == (status in (408, 429, 500, 502, 503, 504))
    assert len(server.requests) == 1 + repeated
    assert len(caller.clock.waits) == repeated


def test_a_get_is_repeated_over_a_broken_connection(caller, server):
    server.answers = [Answer(drop=True), Answer(drop=True), Answer(200)]
    assert caller.get(server.url).is_right()


@pytest.mark.parametrize("answer", [Answer(503), Answer(drop=True), Answer(429)])
def test_a_post_is_sent_once(caller, server, answer):
    server.answers = [answer, Answer(200)]
    assert caller.post(server.url, json=1).is_left()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "said", [{"idempotent": True}, {"headers": {"Idempotency-Key": '"k"'}}], ids=["idempotent", "key"]
)
def test_a_post_that_may_be_repeated_is_and_with_the_same_key(caller, server, said):
    server.answers = [Answer(503), Answer(drop=True), Answer(200)]
    assert caller.post(server.url, json={"tea": 1}, **said).is_right()
    assert len({(request.body, request.headers.get("idempotency-key")) for request in server.requests}) == 1
    assert len(server.requests) == 3


def test_an_empty_key_is_none(caller, server):
    server.answers = [Answer(503), Answer(200)]
    assert caller.post(server.url, headers={"Idempotency-Key": ""}).is_left()


def test_the_server_says_how_long_to_wait(caller, server):
    server.answers = [Answer(503, b"", (("Retry-After", "3"),)), Answer(200)]
    assert caller.get(server.url).is_right()
    assert caller.clock.waits == [3.0]


def test_a_wait_beyond_the_time_limit_is_not_begun(caller, server):
    server.answers = [Answer(503, b"", (("Retry-After", "11"),)), Answer(200)]
    assert failure_of(caller.get(server.url)).retry_after == 11
    assert caller.clock.waits == []
    assert caller.get(server.url, timeout=20).is_right()


def test_retries_can_be_set_or_left_out(of, server):
    random.seed(1)
    server.answers = [Answer(503)]
    for retry, requests in ((None, 1), (Retry(mode="off"), 1), (Retry(attempts=5), 5)):
        server.requests.clear()
        Caller(of, retry=retry, breaker=None).get(server.url)
        assert len(server.requests) == requests


def test_listeners_hear_of_retries_and_transitions(of, server):
    heard = []

    class Listener:
        def on_retry(self, retrying):
            heard.append((retrying.operation, retrying.attempt))

        def on_transition(self, transition):
            heard.append((transition.circuit, transition.after))

    server.answers = [Answer(503)]
    breaker = Breaker(window=2, minimum_calls=2)
    Caller(of, name="stock", breaker=breaker, listeners=[Listener()]).get(server.url)
    assert heard == [("stock", 1), ("stock", "open"), ("stock", 2)]


# -- the breaker -------------------------------------------------------------------------------

TRIPS = Breaker(window=2, minimum_calls=2, open_seconds=5, jitter=0)


def test_a_server_that_fails_is_left_alone_for_a_while(of, server):
    caller = Caller(of, retry=None, breaker=TRIPS, name="stock")
    server.answers = [Answer(503), Answer(503), Answer(200)]
    for _ in range(2):
        caller.post(server.url)
    failure = failure_of(caller.get(server.url))
    assert (failure.layer, failure.policy, failure.retry_after) == ("breaker", "stock", 5)
    assert len(server.requests) == 2
    caller.clock.advance(5)
    assert caller.get(server.url).is_right()


def test_each_server_has_a_circuit_of_its_own(of, server):
    caller = Caller(of, retry=None, breaker=TRIPS)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for _ in range(2):
        caller.get(url)
    assert failure_of(caller.get(url)).layer == "breaker"
    assert caller.get(server.url).is_right()


def test_what_the_server_has_not_does_not_open_it(of, server):
    caller = Caller(of, retry=None, breaker=TRIPS)
    server.answers = [Answer(404)]
    assert {failure_of(caller.get(server.url)).code for _ in range(5)} == {"unimplemented"}


def test_without_a_breaker_every_call_is_made(of, server):
    caller = Caller(of, retry=None, breaker=None)
    server.answers = [Answer(503)]
    for _ in range(9):
        caller.get(server.url)
    assert len(server.requests) == 9


# -- deadlines ---------------------------------------------------------------------------------


def service_with(http: Http, url: str) -> Service:
    class Shop(Service):
        @entry(no_auth=True, deadline=Deadline(2.0))
        def get(self):
            return http.get(url)

        @entry(no_auth=True, deadline=Deadline(2.0))
        async def get_later(self):
            return await http.aget(url)

    return Shop()


@pytest.mark.parametrize("operation", ["shop.get", "shop.get_later"])
def test_a_call_ends_with_the_invocation_that_is_served(operation, server):
    clock = VirtualClock()
    http = Http(clock=clock, keep_alive=False)
    server.answers = [Answer(503, b"", (("Retry-After", "3"),)), Answer(200)]
    app = App(service_with(http, server.url), clock=clock)
    assert failure_of(app.call(operation)).retry_after == 3
    assert clock.waits == []
    app.kill()


def test_after_the_deadline_nothing_is_sent(of, server):
    clock = VirtualClock()
    caller = Caller(of, clock=clock)

    class Late(Service):
        @entry(no_auth=True, deadline=Deadline(2.0))
        def get(self):
            clock.advance(2)
            outcome = caller.get(server.url)
            assert failure_of(outcome).code == "deadline_exceeded"

    App(Late(), clock=clock).call("late.get")
    assert server.requests == []


# -- connections -------------------------------------------------------------------------------


def test_connections_are_kept_and_closed(server):
    with Http() as http:
        for _ in range(3):
            http.get(server.url)
    assert server.connections == 1
    http.get(server.url)
    http.close()
    assert server.connections == 2

    async def calls():
        async with Http() as ahttp:
            for _ in range(3):
                await ahttp.aget(server.url)

    asyncio.run(calls())
    assert server.connections == 3


def test_each_event_loop_has_connections_of_its_own(server):
    http = Http()

    async def calls():
        for _ in range(2):
            assert (await http.aget(server.url)).is_right()
        await http.aclose()

    asyncio.run(calls())
    asyncio.run(calls())
    assert server.connections == 2


def test_the_plain_functions_leave_no_connection(server):
    assert get(server.url).is_right()
    assert post(server.url, json=1).is_right()
    assert asyncio.run(aget(server.url)).is_right()
    assert asyncio.run(apost(server.url, form={"a": 1})).is_right()
    assert [request.method for request in server.requests] == ["GET", "POST", "GET", "POST"]
    assert server.connections == 4


def test_a_client_may_be_given(of):
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(503 if len(seen) == 1 else 200, text="tea")

    transport = httpx.MockTransport(answer)
    sync = httpx.Client(transport=transport, base_url="http://stock", headers={"X-Kind": "a"})
    asynchronous = httpx.AsyncClient(transport=transport, base_url="http://stock", headers={"X-Kind": "a"})
    caller = Caller(of, client=sync, async_client=asynchronous)
    assert caller.get("/tea").value.text == "tea"
    assert [str(request.url) for request in seen] == ["http://stock/tea"] * 2
    assert seen[0].headers["x-kind"] == "a"


def test_what_a_given_transport_raises_is_internal(of, caplog):
    def broken(_):
        raise KeyError("secret")

    transport = httpx.MockTransport(broken)
    caller = Caller(
        of,
        retry=None,
        client=httpx.Client(transport=transport),
        async_client=httpx.AsyncClient(transport=transport),
    )
    assert failure_of(caller.get("http://stock")).code == "internal"


def test_a_cancelled_call_is_cancelled():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        async def story():
            async with Http(breaker=TRIPS) as http:
                for _ in range(3):
                    call = asyncio.ensure_future(http.aget(url))
                    await asyncio.sleep(0.01)
                    call.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await call

        asyncio.run(story())


# -- settings and style ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"timeout": 0}, "Http.timeout"),
        ({"timeout": float("inf")}, "Http.timeout"),
        ({"timeout": "1"}, "Http.timeout"),
        ({"max_bytes": 0}, "Http.max_bytes"),
        ({"max_bytes": True}, "Http.max_bytes"),
        ({"headers": {"a b": "c"}}, "Http.headers"),
        ({"listeners": [3]}, "listener"),
        ({"breaker": Breaker(mode="sometimes")}, "Breaker.mode"),
        ({"breaker": Breaker(store="fleet")}, "no store 'fleet'"),
    ],
)
def test_impossible_settings_are_refused(settings, told):
    with pytest.raises(ConfigurationError, match=told):
        Http(**settings)


def test_an_impossible_call_is_refused(caller):
    with pytest.raises(DefinitionError, match=r"Http\.timeout"):
        caller.get("http://127.0.0.1", timeout=-1)
    with pytest.raises(DefinitionError, match="not both"):
        caller.post("http://127.0.0.1", json=1, form={})


def test_calls_are_steps(server):
    server.answers = [Answer(200, b'{"tea": 3}')]
    stock = pipeline(Http(keep_alive=False).get, Reply.json, lift(lambda found: found["tea"]))
    assert stock(server.url).value == 3
