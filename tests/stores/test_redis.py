"""The stores in Redis, against a real one."""

from __future__ import annotations

import socket
from contextlib import closing
from functools import partial

import pytest

from tests.stores.breaker_laws import OPEN, SharedBreakerStoreLaws
from tests.stores.idempotency_laws import NOW, IdempotencyStoreLaws, record
from unimicro.errors import ConfigurationError
from unimicro.pipeline.ports import GRACE
from unimicro.stores.redis import RedisBreakerStore, RedisIdempotencyStore

BOTH = pytest.mark.parametrize("kind", [RedisBreakerStore, RedisIdempotencyStore])
URL = "redis://127.0.0.1:6379/0"


@pytest.fixture
def url(redis_server):
    return f"redis://127.0.0.1:{redis_server.port}/0"


@pytest.fixture
def client(url):
    import redis

    with closing(redis.Redis.from_url(url)) as client:
        yield client


class TestRedisBreakerStore(SharedBreakerStoreLaws):
    @pytest.fixture
    def make_store(self, url):
        # The shared machine of the tests may be slow; what is too slow has a test of its own.
        return partial(RedisBreakerStore, url=url, timeout=10)


class TestRedisIdempotencyStore(IdempotencyStoreLaws):
    @pytest.fixture
    def store(self, url):
        return RedisIdempotencyStore(url=url, timeout=10)

    def test_a_record_is_forgotten_some_time_after_its_end(self, store, key, client):
        store.claim(key, record("first", seconds=30), NOW)
        assert client.pttl(f"unimicro:idempotency:{key}") == pytest.approx((30 + GRACE) * 1000, abs=20_000)
        store.complete(key, record("first", seconds=86_400, answer=b"done"), NOW + 10)
        left = client.pttl(f"unimicro:idempotency:{key}")
        assert left == pytest.approx((86_390 + GRACE) * 1000, abs=20_000)

    def test_nothing_of_an_old_answer_is_left_in_a_new_claim(self, store, key):
        store.claim(key, record("first"), NOW)
        store.complete(key, record("first", seconds=1000, answer=b"done"), NOW)
        store.claim(key, record("second", seconds=2000), NOW + 1000)
        assert store.claim(key, record("third", seconds=2000), NOW + 1000) == record("second", seconds=2000)


def test_a_circuit_is_readable_with_the_tools_of_redis(url, client):
    RedisBreakerStore(url=url, prefix="readable:").swap("orders.place", OPEN)
    stored = client.hgetall("readable:breaker:orders.place")
    assert stored[b"version"] == b"1"
    assert b'"state":"open"' in stored[b"record"]


def test_a_record_of_a_newer_version_with_more_members_is_read(url, client):
    text = '{"state": "open", "version": 7, "retry_at": 5, "reason": "slow"}'
    client.hset("newer:breaker:orders.place", mapping={"version": 7, "record": text})
    found = RedisBreakerStore(url=url, prefix="newer:").read("orders.place")
    assert (found.state, found.version, found.retry_at, found.openings) == ("open", 7, 5.0, 0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": 1, "version": 1}', '{"state": "open"}'])
def test_a_record_that_is_none_of_ours_is_an_error_and_no_circuit(url, client, text):
    client.hset("strange:breaker:orders.place", mapping={"version": 1, "record": text})
    with pytest.raises(ValueError):  # noqa: PT011 - its text is msgspec's
        RedisBreakerStore(url=url, prefix="strange:").read("orders.place")


def test_a_store_outlives_the_scripts_that_redis_forgets(url, client):
    store = RedisBreakerStore(url=url, prefix="forgetful:")
    store.swap("orders.place", OPEN)
    client.script_flush()
    assert store.swap("orders.place", OPEN._replace(version=2)) is True


def test_nothing_is_connected_before_it_is_used():
    RedisBreakerStore(url="redis://127.0.0.1:1/0")


@pytest.mark.timeout(4)  # below the package's own limit
def test_a_redis_that_does_not_answer_is_an_error_and_asked_once():
    import redis

    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        store = RedisBreakerStore(url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.05)
        with pytest.raises(redis.RedisError):
            store.read("orders.place")
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_redis_that_is_not_there_is_an_error():
    import redis

    with pytest.raises(redis.RedisError):
        RedisBreakerStore(url="redis://127.0.0.1:1/0").read("orders.place")


@BOTH
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("url", ""),
        ("url", 7),
        ("url", "127.0.0.1:6379"),
        ("url", "http://127.0.0.1:6379"),
        ("url", "redis://127.0.0.1:6379?tiemout=1"),
        ("url", "redis://127.0.0.1:6379?socket_timeout=99"),
        ("url", "redis://127.0.0.1:6379?decode_responses=True"),
        ("url", "redis://127.0.0.1:6379/orders"),
        ("prefix", ""),
        ("prefix", 7),
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", True),
        ("timeout", "soon"),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
    ],
)
def test_an_impossible_setting_is_refused_by_name(kind, setting, value):
    with pytest.raises(ConfigurationError, match=f"^{setting} "):
        kind(**{"url": URL, setting: value})


@BOTH
def test_the_address_of_the_environment_is_taken_where_none_is_set(kind, monkeypatch):
    monkeypatch.setenv("REDIS_URL", URL)
    kind()
    monkeypatch.setenv("REDIS_URL", "http://127.0.0.1")
    kind(url=URL)
    with pytest.raises(ConfigurationError, match=r"^url must begin"):
        kind()
    monkeypatch.delenv("REDIS_URL")
    with pytest.raises(ConfigurationError, match=r"^url must be set"):
        kind()


@BOTH
def test_a_refused_url_is_not_repeated_for_it_holds_a_password(kind):
    with pytest.raises(ConfigurationError) as refused:
        kind(url="redis://user:pass:word@127.0.0.1:port/0")
    assert "word" not in str(refused.value)
    assert refused.value.__suppress_context__
