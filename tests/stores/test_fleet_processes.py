"""Two processes and one circuit, over each of the stores that processes share."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count

import pytest

from tests.servers import programs
from tests.stores.dynamodb import REGION, create_table, credentials
from tests.stores.fleet import CIRCUIT, DONE, FAILED, REFUSED, Process
from unimicro.plugins import builtin

_tables = count()


def redis_table(server):
    return {
        "kind": "redis",
        "url": f"redis://127.0.0.1:{server.port}/0",
        "prefix": f"fleet-{next(_tables)}:",
        "timeout": 5.0,
    }


@pytest.fixture
def redis(redis_server):
    return redis_table(redis_server)


@pytest.fixture
def consul(consul_server):
    return {
        "kind": "consul",
        "url": f"http://127.0.0.1:{consul_server.port}",
        "prefix": f"fleet-{next(_tables)}/",
        "timeout": 5.0,
    }


@pytest.fixture
def dynamodb(dynamodb_server, monkeypatch):
    for name, value in credentials().items():
        monkeypatch.setenv(name, value)
    name = f"fleet-{next(_tables)}"
    endpoint = create_table(dynamodb_server.port, name).meta.endpoint_url
    return {"kind": "dynamodb", "table": name, "endpoint": endpoint, "region": REGION, "timeout": 5.0}


@contextmanager
def two_processes(table, **breaker):
    with Process(table, {}, **breaker) as first, Process(table, {}, **breaker) as second:
        yield first, second


def stored(table):
    """The record of the circuit, as a third process sees it."""
    settings = {name: value for name, value in table.items() if name != "kind"}
    return builtin.load(builtin.STORES[table["kind"]]["breaker"])(**settings).read(CIRCUIT)


@pytest.mark.parametrize("kind", ["redis", "dynamodb", "consul"])
def test_what_one_process_finds_out_the_other_obeys(kind, request):
    table = request.getfixturevalue(kind)
    with two_processes(table, open_seconds=2.0, jitter=0.0, store_timeout=5.0) as (first, second):
        assert [first.call(), second.call()] == [DONE, DONE]
        assert stored(table) is None, "a circuit in good health writes nothing"
        assert [first.call("fail"), first.call("fail")] == [FAILED, FAILED]
        assert first.call() == REFUSED
        assert second.comes_to(REFUSED, seconds=1)
        assert stored(table).state == "open"
        assert first.comes_to(DONE, seconds=5)
        assert second.comes_to(DONE, seconds=5)
        assert stored(table).state == "closed"


def test_while_the_store_is_down_each_process_goes_on_alone_and_afterwards_they_agree(tmp_path):
    with programs.redis(tmp_path) as server:
        table = redis_table(server)
        with two_processes(table, open_seconds=60.0) as (first, second):
            assert [first.call(), second.call()] == [DONE, DONE]
            server.kill()
            assert [first.call(), second.call()] == [DONE, DONE]
            assert [first.call("fail"), first.call("fail")] == [FAILED, FAILED]
            assert first.call() == REFUSED
            assert second.stays(DONE, seconds=0.6)
            server.start()
            assert first.stays(REFUSED, seconds=0.6)
            assert second.comes_to(REFUSED, seconds=10)
            assert first.call() == REFUSED
            assert stored(table).state == "open"


def test_what_was_agreed_before_the_store_went_down_holds(tmp_path):
    with (
        programs.redis(tmp_path) as server,
        two_processes(redis_table(server), open_seconds=60.0) as (first, second),
    ):
        first.call("fail")
        first.call("fail")
        assert second.comes_to(REFUSED, seconds=1)
        server.kill()
        assert first.stays(REFUSED, seconds=0.6)
        assert second.stays(REFUSED, seconds=0.6)
