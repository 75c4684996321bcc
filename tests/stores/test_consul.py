"""The store in Consul's key-value pairs, against a real agent."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from tests.stores.breaker_laws import OPEN, PROBE, SharedBreakerStoreLaws
from unimicro.errors import ConfigurationError
from unimicro.stores.circuit_json import circuit_to_json
from unimicro.stores.consul import ConsulBreakerStore


@pytest.fixture
def url(consul_server):
    return f"http://127.0.0.1:{consul_server.port}"


class TestConsulBreakerStore(SharedBreakerStoreLaws):
    @pytest.fixture
    def make_store(self, url):
        return partial(ConsulBreakerStore, url=url, timeout=10)


@pytest.fixture
def requests_seen(monkeypatch):
    """The header fields of each request that a store sends."""
    seen, send = [], HTTPConnection.request
    monkeypatch.setattr(
        HTTPConnection,
        "request",
        lambda self, *args, **options: seen.append(options["headers"]) or send(self, *args, **options),
    )
    return seen


def test_the_address_and_token_given_win_over_the_environment(url, requests_seen, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-the-environment")
    assert ConsulBreakerStore(url=url, token="given", timeout=10).read("nothing") is None
    assert ConsulBreakerStore(url=url, timeout=10).read("nothing") is None
    assert [headers["X-Consul-Token"] for headers in requests_seen] == ["given", "of-the-environment"]


def test_a_circuit_written_by_another_between_look_and_write_is_not_overwritten(url, monkeypatch):
    from consul import Consul

    store = ConsulBreakerStore(url=url, prefix="between/", timeout=10)
    store.swap("orders.place", OPEN)
    put = Consul.KV.put

    def late_put(self, key, value, cas):
        # Deleted and written anew: the version is the same again, Consul's index is not.
        urlopen(Request(f"{url}/v1/kv/{quote(key)}", method="DELETE"), timeout=10).close()
        put(self, key, circuit_to_json(OPEN._replace(retry_at=9.0)))
        return put(self, key, value, cas=cas)

    monkeypatch.setattr(Consul.KV, "put", late_put)
    assert store.swap("orders.place", PROBE) is False
    assert store.read("orders.place").retry_at == 9


def test_nothing_is_connected_before_it_is_used():
    ConsulBreakerStore(url="http://127.0.0.1:1")


def test_an_agent_that_does_not_answer_is_an_error_and_asked_once():
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        store = ConsulBreakerStore(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        with pytest.raises(OSError, match="timed out"):
            store.read("orders.place")
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_redirect_does_not_take_the_token_to_another_server():
    with (
        socket.create_server(("127.0.0.1", 0)) as agent,
        socket.create_server(("127.0.0.1", 0)) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        store = ConsulBreakerStore(url=f"http://127.0.0.1:{agent.getsockname()[1]}", token="secret")
        reading = threads.submit(store.read, "orders.place")
        agent.settimeout(10)
        connection = agent.accept()[0]
        connection.recv(65536)
        location = f"http://127.0.0.1:{other.getsockname()[1]}/"
        connection.sendall(
            f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        connection.close()
        with pytest.raises(ValueError, match="Expecting value"):
            reading.result(10)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_an_agent_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="refused"):
        ConsulBreakerStore(url="http://127.0.0.1:1").swap("orders.place", OPEN)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("url", ""),
        ("url", "127.0.0.1:8500"),
        ("url", "http://127.0.0.1"),
        ("url", "http://127.0.0.1:port"),
        ("url", "http://127.0.0.1:8500/v1"),
        ("url", "http://127.0.0.1:8500?token=secret"),
        ("url", "http://127.0.0.1:8500/#v1"),
        ("url", "http://user:secret@127.0.0.1:8500"),
        ("url", "http://127.0.0.1:0"),
        ("url", "http://no blanks:8500"),
        ("url", "http://[::1"),
        ("token", ""),
        ("token", 7),
        ("prefix", ""),
        ("prefix", "/unimicro"),
        ("timeout", 0),
        ("timeout", "soon"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(setting, value):
    with pytest.raises(ConfigurationError, match=f"^{setting} ") as refused:
        ConsulBreakerStore(**{setting: value})
    assert "secret" not in str(refused.value)
