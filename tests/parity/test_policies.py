"""A sequence of requests meets the same policies behind every door: the same statuses, headers and bytes."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.parity.doors import OverSocket, on_uvicorn, on_werkzeug, through_lambda, through_test_client
from unimicro import (
    App,
    Breaker,
    Bulkhead,
    Cache,
    Deadline,
    Fallback,
    Idempotency,
    RateLimit,
    Response,
    Retry,
    Service,
    Timeout,
    VirtualClock,
    current_invocation,
    entry,
)
from unimicro.errors import NotFound, Unavailable
from unimicro.metadata import Metadata

KEY = {"idempotency-key": '"k-1"'}


@dataclass
class Receipt:
    number: int
    amount: Decimal


class Till(Service):
    """Counts what it does; its clock stands still unless it moves it."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.effects = 0

    def count(self):
        self.effects += 1
        return self.effects

    @entry(no_auth=True, idempotency=Idempotency(required=True))
    def post_receipt(self, *, amount: Decimal) -> Receipt:
        return Receipt(self.count(), amount)

    @entry(no_auth=True, idempotency=Idempotency())
    def post_response(self, amount: int = 0) -> Response:
        return Response({"number": self.count()}, 201, {"X-Number": str(self.effects)})

    @entry(no_auth=True, idempotency=Idempotency())
    def post_missing(self) -> None:
        raise NotFound(f"there is no till {self.count()}")

    @entry(no_auth=True, idempotency=Idempotency())
    def post_broken(self) -> None:
        raise Unavailable(f"broken {self.count()}", retry_after=3)

    @entry(no_auth=True, rate_limit=RateLimit(2, per=60))
    def get_limited(self) -> int:
        return self.count()

    @entry(no_auth=True, breaker=Breaker("drawer", window=2, minimum_calls=2, jitter=0))
    def get_drawer(self) -> str:
        raise Unavailable("the drawer is stuck")

    @entry(no_auth=True, safe=True, retry=Retry(attempts=3, base=1, backoff="constant"))
    async def get_retried(self) -> str:
        invocation = current_invocation()
        if invocation.attempt < 3:
            raise Unavailable("not yet")
        return f"attempt {invocation.attempt} after {invocation.last_failure.code}"

    @entry(no_auth=True, timeout=Timeout(1))
    async def get_slow(self) -> str:
        await self.clock.asleep(5)
        return "late"

    @entry(no_auth=True, deadline=Deadline(1))
    async def get_slower(self) -> str:
        await self.clock.asleep(5)
        return "late"

    @entry(no_auth=True, safe=True, cache=Cache(ttl=60))
    def get_cached(self, name: str = "") -> Receipt:
        return Receipt(self.count(), Decimal("0.10"))

    @entry(no_auth=True, fallback=Fallback("yesterday's"))
    def get_fallback(self) -> str:
        raise Unavailable("no news")

    @entry(no_auth=True, bulkhead=Bulkhead(1))
    def get_bulkhead(self) -> int:
        return self.count()


POST, GET = "POST", "GET"
JSON = {"content-type": "application/json"}

SEQUENCES = {
    "a key is needed": [(POST, "/receipt", JSON, b'{"amount":"1"}', 400)],
    "a repeated call is answered as the first": [
        (POST, "/receipt", {**JSON, **KEY}, b'{"amount":"1.50"}', 200),
        (POST, "/receipt", {**JSON, **KEY}, b'{"amount":"1.50"}', 200),
        (POST, "/receipt", {**JSON, "idempotency-key": "k-1"}, b'{"amount":"1.50"}', 200),
        (POST, "/receipt", {**JSON, "idempotency-key": "k-2"}, b'{"amount":"1.50"}', 200),
    ],
    "a key is for one payload": [
        (POST, "/receipt", {**JSON, **KEY}, b'{"amount":"1.50"}', 200),
        (POST, "/receipt", {**JSON, **KEY}, b'{"amount":"2.50"}', 422),
    ],
    "status and headers are kept too": [(POST, "/response", KEY, b"", 201)] * 2,
    "a permanent failure is kept": [(POST, "/missing", KEY, b"", 404)] * 2,
    "a failure that may pass is not": [(POST, "/broken", KEY, b"", 503)] * 2,
    "a key that is too long": [(POST, "/response", {"idempotency-key": "k" * 300}, b"", 400)],
    "a rate is kept to": [(GET, "/limited", {}, b"", 200)] * 2 + [(GET, "/limited", {}, b"", 429)],
    "a circuit opens": [(GET, "/drawer", {}, b"", 503)] * 3,
    "a retry sees its attempt": [(GET, "/retried", {}, b"", 200)],
    "an attempt is cut off": [(GET, "/slow", {}, b"", 504)],
    "a call is cut off": [(GET, "/slower", {}, b"", 504)],
    "a caller's own deadline has passed": [(GET, "/limited", {"x-timeout-ms": "0"}, b"", 504)],
    "an answer is cached": [
        (GET, "/cached?name=a", {}, b"", 200),
        (GET, "/cached?name=a", {}, b"", 200),
        (GET, "/cached?name=b", {}, b"", 200),
        ("HEAD", "/cached?name=a", {}, b"", 200),
    ],
    "a fallback stands in": [(GET, "/fallback", {}, b"", 200)],
    "a bulkhead has its place back": [(GET, "/bulkhead", {}, b"", 200)] * 2,
}


def app_of():
    clock = VirtualClock()
    return App(Till(clock), clock=clock)


def through(send, sequence):
    answers = [send(method, target, dict(headers), body) for method, target, headers, body, _ in sequence]
    # Problem documents of a server's own id would differ; there is none.
    assert not any(re.search(rb'"trace_id"', body) for _, _, body in answers)
    return answers


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_every_door_gives_the_same_answers(sequence):
    expected = through(through_test_client(app_of()), sequence)
    assert [status for status, _, _ in expected] == [status for *_, status in sequence]
    assert through(through_lambda(app_of()), sequence) == expected
    with on_uvicorn(app_of()) as port:
        assert through(OverSocket(port), sequence) == expected
    with on_werkzeug(app_of()) as port:
        assert through(OverSocket(port), sequence) == expected


def test_a_repeated_call_has_one_effect():
    sequence = SEQUENCES["a repeated call is answered as the first"]
    first, second, bare, other = through(through_test_client(app_of()), sequence)
    assert first == second == bare
    assert json.loads(first[2]) == {"number": 1, "amount": "1.50"}
    assert json.loads(other[2]) == {"number": 2, "amount": "1.50"}


@pytest.mark.parametrize(
    ("name", "layer", "policy"),
    [
        ("a rate is kept to", "rate_limit", "till.get_limited"),
        ("a circuit opens", "breaker", "drawer"),
        ("an attempt is cut off", "timeout", "timeout"),
        ("a call is cut off", "deadline", "deadline"),
        ("a key is needed", "idempotency", "key"),
    ],
)
def test_a_refusal_says_which_layer_and_which_policy(name, layer, policy):
    _, fields, body = through(through_test_client(app_of()), SEQUENCES[name])[-1]
    problem = json.loads(body)
    assert (problem["layer"], problem.get("policy", "")) == (layer, policy)
    if layer in ("rate_limit", "breaker"):
        assert int(dict(fields)["retry-after"]) >= 1
        assert problem["retry_after_ms"] > 0


def test_a_key_that_is_given_twice_is_no_key():
    door = app_of().door("http")
    twice = Metadata([("idempotency-key", "a"), ("idempotency-key", "b")])
    answer = door.handle(door.request("POST", "/response", "", twice, b"", None))
    assert answer.status == 400
    assert b"Idempotency-Key was given more than once" in answer.body


def test_a_fallback_is_neither_kept_nor_cached():
    class News(Service):
        read = 0

        @entry(no_auth=True, safe=True, idempotency=Idempotency(), cache=Cache(), fallback=Fallback("old"))
        def post_news(self) -> str:
            self.read += 1
            if self.read == 1:
                raise Unavailable("no news")
            return "new"

    client = App(News()).test_client()
    answers = [client.post("/news", headers=KEY).data for _ in range(3)]
    assert answers == [b"old", b"new", b"new"]
