"""Connections, given clients and settings of HTTP calls."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import weakref

import httpx
import pytest

from tests.functional.caller import Caller
from tests.functional.server import Answer
from unimicro import Breaker, Retry, failure_of
from unimicro.errors import ConfigurationError, DefinitionError, MissingExtra
from unimicro.functional import Http, Reply, aget, apost, get, lift, pipeline, post


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_loops_that_are_left_with_connections_open_leave_nothing_behind(server):
    loops = weakref.WeakSet()

    async def call(http):
        loops.add(asyncio.get_running_loop())
        assert (await http.aget(server.url)).is_right()

    def calls():
        http = Http()
        for _ in range(5):
            asyncio.run(call(http))
        gc.collect()
        assert len(loops) <= 1

    calls()
    gc.collect()  # what was left warns of itself here


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


def test_a_cancelled_call_is_cancelled_and_says_nothing_of_the_server():
    async def story(silent):
        silent.setblocking(False)
        loop = asyncio.get_running_loop()
        async with Http(breaker=Breaker(window=2, minimum_calls=2)) as http:
            for _ in range(3):
                call = asyncio.ensure_future(http.aget(f"http://127.0.0.1:{silent.getsockname()[1]}"))
                connection, _ = await asyncio.wait_for(loop.sock_accept(silent), 10)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(story(silent))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"timeout": 0}, "Http.timeout"),
        ({"timeout": float("inf")}, "Http.timeout"),
        ({"timeout": "1"}, "Http.timeout"),
        ({"max_bytes": 0}, "Http.max_bytes"),
        ({"max_bytes": True}, "Http.max_bytes"),
        ({"headers": {"a b": "c"}}, "Http.headers"),
        ({"base_url": "stock"}, "Http.base_url"),
        ({"base_url": 3}, "Http.base_url"),
        ({"retry": 3}, "Http.retry"),
        ({"breaker": Retry()}, "Http.breaker"),
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


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"unimicro\[client\]"):
        Http()


def test_nothing_is_imported_before_it_is_needed():
    program = """
import sys
from unimicro import Try, circuit, lift
from unimicro.functional import aget, get, pipeline, tried
assert circuit("stock")(int)("1").value == 1
print(" ".join({"httpx", "asyncio", "msgspec"} & sys.modules.keys()))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout.strip() == ""


def test_calls_are_steps(server):
    server.answers = [Answer(200, b'{"tea": 3}')]
    stock = pipeline(Http(keep_alive=False).get, Reply.json, lift(lambda found: found["tea"]))
    assert stock(server.url).value == 3
