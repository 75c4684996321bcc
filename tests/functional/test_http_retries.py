"""What is repeated, left alone or ended: retry, breaker and deadline of HTTP calls."""

from __future__ import annotations

import random
import socket

import httpx
import pytest

from tests.functional.caller import Caller
from tests.functional.server import Answer
from unimicro import App, Breaker, Budget, Deadline, Retry, Service, VirtualClock, entry, failure_of
from unimicro.functional import Http


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 418, 429, 500, 501, 502, 503, 504])
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


def test_retries_stay_within_their_budget(of):
    requests = []

    def busy(request):
        requests.append(request)
        return httpx.Response(503)

    transport = httpx.MockTransport(busy)
    caller = Caller(
        of,
        retry=Retry(budget=Budget(ratio=0.1, per_second=0)),
        breaker=None,
        client=httpx.Client(transport=transport),
        async_client=httpx.AsyncClient(transport=transport),
    )
    for _ in range(200):
        caller.get("http://stock")
    assert 210 <= len(requests) <= 220


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


def test_each_attempt_waits_no_longer_than_the_rest_of_the_time(of):
    limits = []

    def busy(request):
        limits.append(request.extensions["timeout"])
        return httpx.Response(503 if len(limits) == 1 else 200, headers={"Retry-After": "3"})

    transport = httpx.MockTransport(busy)
    clients = {
        "client": httpx.Client(transport=transport),
        "async_client": httpx.AsyncClient(transport=transport),
    }
    assert Caller(of, **clients).get("http://stock", timeout=5).is_right()
    assert limits == [dict.fromkeys(("connect", "read", "write", "pool"), left) for left in (5, 2)]


def test_a_sync_call_ends_at_its_deadline_however_slowly_the_answer_comes():
    clock = VirtualClock()
    sent = []

    class Slow(httpx.SyncByteStream):
        def __iter__(self):
            for second in range(60):
                sent.append(second)
                clock.advance(1)
                yield b"x"

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Slow()))
    http = Http(client=httpx.Client(transport=transport), clock=clock, timeout=5)
    assert failure_of(http.get("http://stock")).code == "deadline_exceeded"
    assert sent == [0, 1, 2, 3, 4]


def test_after_the_deadline_nothing_is_sent(of, server):
    clock = VirtualClock()
    caller = Caller(of, clock=clock)

    outcomes = []

    class Late(Service):
        @entry(no_auth=True, deadline=Deadline(2.0))
        def get(self):
            clock.advance(2)
            outcomes.append(caller.get(server.url))

    App(Late(), clock=clock).call("late.get")
    failure = failure_of(outcomes[0])
    assert (failure.code, failure.message) == (
        "deadline_exceeded",
        "not started: the deadline has passed",
    )
    assert server.requests == []
