"""The service's own token: obtained once, renewed in time, kept where others find it."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest

from tests.pipeline.issuer import EPOCH, clock
from unimicro import Breaker, Failure, Left, Retry, Right, VirtualClock, failure_of
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.pipeline.self_token import SelfToken, StoredToken
from unimicro.stores.token_file import FileTokenStore

SECRET = "s3cr3t:/&="


@pytest.fixture
def tokens(issuer):
    """The issuer gives t1, t2, ...; each lives 1000 s."""
    issuer.requests = []

    def give(headers, body):
        issuer.requests.append((headers, {name: value[0] for name, value in parse_qs(body.decode()).items()}))
        return 200, {"access_token": f"t{len(issuer.requests)}", "token_type": "Bearer", "expires_in": 1000}

    issuer.give = give
    issuer.answers["/token"] = give
    return issuer


def self_token(issuer, time=None, **settings):
    """Renewed exactly 100 s before expiry, unless told otherwise."""
    given = {"clock": time or clock(), "window": (100.0, 100.0), **settings}
    return SelfToken(f"{issuer.url}/token", "me", SECRET, **given)


def sync_get(own):
    return own.token()


def async_get(own):
    return asyncio.run(asyncio.wait_for(own.atoken(), 20))


@pytest.fixture(params=[sync_get, async_get], ids=["sync", "async"])
def get(request):
    return request.param


def test_a_token_is_obtained_once(get, tokens):
    own = self_token(tokens)
    assert not tokens.asked
    assert [get(own).value for _ in range(3)] == ["t1"] * 3
    assert tokens.asked["/token"] == 1


def test_the_request_is_that_of_client_credentials(get, tokens):
    get(self_token(tokens, audience="orders", scope="a b"))
    headers, form = tokens.requests[0]
    assert form == {"grant_type": "client_credentials", "audience": "orders", "scope": "a b"}
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"me:s3cr3t%3A%2F%26%3D"
    get(self_token(tokens, client_auth="post"))
    headers, form = tokens.requests[1]
    assert form == {"grant_type": "client_credentials", "client_id": "me", "client_secret": SECRET}
    assert headers["authorization"] is None


def test_it_is_renewed_before_it_expires(get, tokens):
    time = clock()
    own = self_token(tokens, time)
    assert get(own).value == "t1"
    time.advance(899)
    assert get(own).value == "t1"
    time.advance(2)
    assert [get(own).value for _ in range(2)] == ["t2"] * 2


def test_the_time_of_renewal_is_drawn_from_the_window(get, tokens):
    time, drawn = clock(), []

    def draw(low, high):
        drawn.append((low, high))
        return 250.0

    own = self_token(tokens, time, window=(300.0, 60.0), draw=draw)
    get(own)
    assert drawn == [(60.0, 300.0)]
    time.advance(749)
    assert get(own).value == "t1"
    time.advance(2)
    assert get(own).value == "t2"


def test_many_processes_renew_at_different_times(tokens):
    moments = set()
    for _ in range(20):
        own = self_token(tokens, window=(300.0, 60.0))
        own.token()
        moments.add(own._held[1])
        assert EPOCH + 700 <= own._held[1] <= EPOCH + 940
    assert len(moments) == 20


def test_a_token_that_lives_shorter_than_the_window_is_used_all_the_same(get, tokens):
    tokens.answers["/token"] = lambda headers, body: (
        200,
        tokens.give(headers, body)[1] | {"expires_in": "100"},
    )
    time = clock()
    own = self_token(tokens, time, window=(300.0, 300.0))
    assert [get(own).value for _ in range(3)] == ["t1"] * 3
    time.advance(49)
    assert get(own).value == "t1"
    time.advance(2)
    assert get(own).value == "t2"


def test_without_a_lifetime_five_minutes_are_assumed(get, tokens):
    tokens.answers["/token"] = lambda headers, body: (
        200,
        {"access_token": tokens.give(headers, body)[1]["access_token"]},
    )
    time = clock()
    own = self_token(tokens, time)
    get(own)
    time.advance(199)
    assert get(own).value == "t1"
    time.advance(2)
    assert get(own).value == "t2"


# -- failures --------------------------------------------------------------------------------------


def test_a_failure_that_may_pass_is_tried_again(get, tokens):
    answers = [(503, {}), (500, {})]
    tokens.answers["/token"] = lambda headers, body: answers.pop() if answers else tokens.give(headers, body)
    time = clock()
    assert get(self_token(tokens, time)).value == "t1"
    assert tokens.asked["/token"] == 3
    assert len(time.waits) == 2


@pytest.mark.parametrize(
    ("answer", "code", "requests"),
    [
        ((401, {"error": "invalid_client"}), "permission_denied", 1),
        ((400, {"error": "invalid_scope"}), "permission_denied", 1),
        ((503, {}), "unavailable", 3),
        ((200, {}), "internal", 3),
        ((200, {"access_token": 5}), "internal", 3),
        ((200, {"access_token": "t", "expires_in": "soon"}), "internal", 3),
        ((200, {"access_token": "t", "expires_in": 0}), "internal", 3),
        ((200, {"access_token": "t", "expires_in": None}), "internal", 3),
        ((200, b"t"), "internal", 3),
        ((302, {}), "permission_denied", 1),
    ],
    ids=str,
)
def test_what_is_no_token_is_a_failure(get, tokens, answer, code, requests):
    tokens.answers["/token"] = answer
    assert failure_of(get(self_token(tokens))).code == code
    assert tokens.asked["/token"] == requests


def test_a_server_that_asks_to_wait_is_waited_for(get, tokens):
    answers = [(429, {})]
    tokens.headers["retry-after"] = "7"
    tokens.answers["/token"] = lambda headers, body: answers.pop() if answers else tokens.give(headers, body)
    time = clock()
    assert get(self_token(tokens, time)).value == "t1"
    assert time.waits == [7]


def test_a_server_that_is_not_there_is_unavailable(get):
    own = SelfToken("http://127.0.0.1:1/token", "me", SECRET, clock=clock())
    assert failure_of(get(own)).code == "unavailable"


def test_the_breaker_opens_and_closes(get, tokens):
    tokens.answers["/token"] = (500, {})
    time = clock()
    breaker = Breaker(minimum_calls=2, window=2, open_seconds=30)
    own = self_token(tokens, time, policies=[breaker])
    for _ in range(4):
        assert get(own).is_left()
    assert tokens.asked["/token"] == 2
    assert failure_of(get(own)).layer == "breaker"
    tokens.answers["/token"] = tokens.give
    time.advance(60)
    assert get(own).value == "t1"


def test_the_old_token_serves_while_it_cannot_be_renewed(get, tokens, caplog):
    time = clock()
    own = self_token(tokens, time, policies=[Retry(attempts=1)], draw=lambda low, high: high)
    assert get(own).value == "t1"
    tokens.answers["/token"] = (500, {})
    time.advance(901)
    assert [get(own).value for _ in range(3)] == ["t1"] * 3
    # Not tried again for every call.
    assert tokens.asked["/token"] == 2
    assert "not renewed" in caplog.text
    time.advance(50)
    assert get(own).value == "t1"
    assert tokens.asked["/token"] == 3
    time.advance(50)
    assert failure_of(get(own)).code == "unavailable"
    tokens.answers["/token"] = tokens.give
    assert get(own).value == "t2"


def test_a_refused_token_is_discarded(get, tokens, tmp_path):
    own = self_token(tokens, store=FileTokenStore(tmp_path / "token"))
    assert get(own).value == "t1"
    own.discard("t1")
    assert get(own).value == "t2"
    own.discard("t1")
    assert get(own).value == "t2"
    assert tokens.asked["/token"] == 2


# -- single flight ---------------------------------------------------------------------------------


def test_threads_that_ask_together_make_one_request(tokens):
    tokens.gate.clear()
    own = self_token(tokens)
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(own.token) for _ in range(8)]
        assert tokens.arrived.wait(20)
        tokens.gate.set()
        assert [call.result(20).value for call in calls] == ["t1"] * 8
    assert tokens.asked["/token"] == 1


def test_tasks_and_threads_that_ask_together_make_one_request(tokens):
    tokens.gate.clear()
    own = self_token(tokens)

    async def many():
        tasks = [asyncio.create_task(own.atoken()) for _ in range(20)]
        threads = [asyncio.create_task(asyncio.to_thread(own.token)) for _ in range(3)]
        await asyncio.to_thread(tokens.arrived.wait, 20)
        tokens.gate.set()
        return await asyncio.gather(*tasks, *threads)

    outcomes = asyncio.run(asyncio.wait_for(many(), 30))
    assert [outcome.value for outcome in outcomes] == ["t1"] * 23
    assert tokens.asked["/token"] == 1


def test_those_who_ask_together_share_a_failure(tokens):
    tokens.answers["/token"] = (401, {})
    tokens.gate.clear()
    own = self_token(tokens)

    async def many():
        tasks = [asyncio.create_task(own.atoken()) for _ in range(5)]
        await asyncio.to_thread(tokens.arrived.wait, 20)
        tokens.gate.set()
        return await asyncio.gather(*tasks)

    outcomes = asyncio.run(asyncio.wait_for(many(), 30))
    assert [failure_of(outcome).code for outcome in outcomes] == ["permission_denied"] * 5
    assert tokens.asked["/token"] == 1


def test_a_cancelled_request_is_made_by_the_next(tokens):
    tokens.gate.clear()
    own = self_token(tokens)

    async def cancel_the_first():
        first = asyncio.create_task(own.atoken())
        await asyncio.to_thread(tokens.arrived.wait, 20)
        second = asyncio.create_task(own.atoken())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        tokens.gate.set()
        return await second

    assert asyncio.run(asyncio.wait_for(cancel_the_first(), 30)).is_right()


def test_a_call_between_the_look_and_the_request_spares_the_request(tokens):
    class Interrupted(VirtualClock):
        between = None

        def time(self):
            between, self.between = self.between, None
            if between is not None:
                between()
            return super().time()

    time = Interrupted(epoch=EPOCH)
    own = self_token(tokens, time)
    own.token()
    time.advance(901)
    time.between = own.token
    assert own.token().value == "t2"
    assert tokens.asked["/token"] == 2


def test_nobody_waits_for_a_renewal_while_the_old_token_lives(tokens):
    time = clock()
    own = self_token(tokens, time)
    own.token()
    time.advance(901)
    tokens.gate.clear()
    tokens.arrived.clear()
    with ThreadPoolExecutor(1) as threads:
        renewing = threads.submit(own.token)
        assert tokens.arrived.wait(20)
        assert own.token().value == "t1"
        assert asyncio.run(own.atoken()).value == "t1"
        tokens.gate.set()
        assert renewing.result(20).value == "t2"


# -- stores ----------------------------------------------------------------------------------------


def test_processes_share_a_stored_token(get, tokens, tmp_path):
    time, store = clock(), FileTokenStore(tmp_path / "token")
    one, two = self_token(tokens, time, store=store), self_token(tokens, time, store=store)
    assert [get(one).value, get(two).value] == ["t1", "t1"]
    assert tokens.asked["/token"] == 1
    time.advance(901)
    assert [get(one).value, get(two).value] == ["t2", "t2"]
    assert tokens.asked["/token"] == 2
    time.advance(2000)
    assert get(self_token(tokens, time, store=store)).value == "t3"


def test_the_file_is_for_its_owner_only(tokens, tmp_path):
    path = tmp_path / "token"
    self_token(tokens, store=FileTokenStore(path)).token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"token": "t1", "expires_at": EPOCH + 1000}
    assert [file.name for file in tmp_path.iterdir()] == ["token"]


class Broken:
    def __init__(self, fail):
        self.fail = fail

    def read(self):
        return self.fail()

    def write(self, token):
        return self.fail()


def left():
    return Left(Failure("unavailable", "no store"))


def raises():
    raise OSError("s3cr3t")


@pytest.mark.parametrize("fail", [left, raises, lambda: Right(5)])
def test_a_store_that_is_out_of_order_is_harmless(get, tokens, fail, caplog):
    own = self_token(tokens, store=Broken(fail))
    assert [get(own).value for _ in range(2)] == ["t1"] * 2
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"token": "x", "expires_at": "y"}'])
def test_a_file_that_is_spoilt_is_replaced(get, tokens, tmp_path, content):
    path = tmp_path / "token"
    path.write_text(content)
    assert get(self_token(tokens, store=FileTokenStore(path))).value == "t1"
    assert "t1" in path.read_text()


def test_a_folder_that_is_missing_is_logged(get, tokens, tmp_path, caplog):
    assert get(self_token(tokens, store=FileTokenStore(tmp_path / "no" / "token"))).value == "t1"
    assert "cannot be written" in caplog.text


# -- settings --------------------------------------------------------------------------------------


def test_the_settings_come_from_the_environment(get, tokens):
    environ = {
        "OAUTH_TOKEN_URL": f"{tokens.url}/token",
        "OAUTH_CLIENT_ID": "me",
        "OAUTH_CLIENT_SECRET": SECRET,
        "OAUTH_AUDIENCE": "orders",
    }
    assert get(SelfToken.from_environment(environ=environ, scope="a")).value == "t1"
    assert tokens.requests[0][1]["audience"] == "orders"
    assert tokens.requests[0][1]["scope"] == "a"
    del environ["OAUTH_CLIENT_SECRET"]
    with pytest.raises(ConfigurationError, match="OAUTH_CLIENT_SECRET"):
        SelfToken.from_environment(environ=environ)


def test_no_secret_is_shown_or_logged(get, tokens, caplog):
    caplog.set_level("DEBUG", logger="unimicro")
    own = self_token(tokens)
    get(own)
    tokens.answers["/token"] = (401, {"error": SECRET})
    other = self_token(tokens)
    shown = repr(own) + repr(get(other)) + repr(own._held) + repr(StoredToken("t1", 1.0)) + caplog.text
    assert SECRET not in shown
    assert "t1" not in shown


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"token_url": "http://issuer.example/token"}, "token_url must be https"),
        ({"token_url": ""}, "token_url"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"client_auth": "header"}, "client_auth"),
        ({"window": (60.0, 300.0)}, "window"),
        ({"window": (60.0, 0.0)}, "window"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "5"}, "SelfToken.timeout"),
        ({"timeout": True}, "SelfToken.timeout"),
        ({"timeout": float("inf")}, "SelfToken.timeout"),
        ({"window": (float("inf"), 60.0)}, "SelfToken.window"),
        ({"window": 60.0}, "SelfToken.window"),
        ({"window": ("300", "60")}, "SelfToken.window"),
        ({"window": (300.0, float("nan"))}, "SelfToken.window"),
        ({"patience": 0}, "SelfToken.patience"),
        ({"token_url": "http://issuer.example/token", "allow_http": "false"}, "SelfToken.allow_http"),
        ({"scope": 5}, "SelfToken.scope"),
        ({"audience": ["a"]}, "SelfToken.audience"),
    ],
)
def test_impossible_settings_are_refused(settings, named):
    given = {"token_url": "https://issuer.example/token", "client_id": "me", "client_secret": SECRET}
    with pytest.raises(DefinitionError, match=named) as refused:
        SelfToken(**{**given, **settings})
    assert SECRET not in str(refused.value)


def test_a_server_that_asks_to_wait_for_a_day_is_not_waited_for(get, tokens):
    tokens.answers["/token"] = (503, {})
    tokens.headers["retry-after"] = "86400"
    time = clock()
    own = self_token(tokens, time)
    before = time.now()
    failed = failure_of(get(own))
    assert (failed.code, failed.retry_after) == ("unavailable", 86400)
    assert time.now() == before
    assert tokens.asked["/token"] == 1


def test_whoever_asks_waits_no_longer_than_the_patience(get, tokens):
    tokens.answers["/token"] = (503, {})
    tokens.headers["retry-after"] = "8"
    time = clock()
    own = self_token(tokens, time, patience=20.0, policies=(Retry(attempts=9),))
    before = time.now()
    assert failure_of(get(own)).code == "unavailable"
    assert time.now() - before == 16


@pytest.mark.parametrize(
    "content", ['{"token": null, "expires_at": 9e9}', '{"token": "", "expires_at": 9e9}',
                '{"token": 5, "expires_at": 9e9}', '{"token": "x", "expires_at": 1' + "0" * 400 + "}",
                '{"token": "x", "expires_at": true}', "[1]", '"x"', "null"]
)  # fmt: skip
def test_a_file_that_holds_no_token_says_so(tmp_path, content):
    path = tmp_path / "token"
    path.write_text(content)
    outcome = FileTokenStore(path).read()
    assert failure_of(outcome).code == "unavailable"
