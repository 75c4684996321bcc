"""A client that goes away cancels what runs for it, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time

import httpx
import msgpack
import pytest

from unimicro import App, Breaker, Service, entry
from unimicro.testing.serving import ServerThread

SECONDS = 10
IMPLEMENTATIONS = ["h11", "httptools"]


class Slow(Service):
    def __init__(self):
        super().__init__()
        self.begun, self.cancelled, self.ended, self.go_on = (threading.Event() for _ in range(4))

    async def _wait(self):
        self.begun.set()
        try:
            await asyncio.sleep(SECONDS * 3)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @entry(no_auth=True, breaker=Breaker(minimum_calls=2))
    async def get_waiting(self) -> str:
        await self._wait()
        return "late"

    @entry(no_auth=True)
    async def get_stubborn(self) -> str:
        try:
            await self._wait()
        except asyncio.CancelledError:
            return "all the same"
        return "late"

    @entry(no_auth=True)
    async def get_failing(self) -> str:
        try:
            await self._wait()
        except asyncio.CancelledError:
            raise RuntimeError("while it ended") from None
        return "late"

    @entry(no_auth=True)
    def get_blocking(self) -> str:
        self.begun.set()
        self.go_on.wait(SECONDS)
        self.ended.set()
        return "late"

    @entry(no_auth=True)
    async def get_quick(self, delay: float = 0.0) -> str:
        await asyncio.sleep(delay)
        return "quick"


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def served(request):
    app = App(Slow())
    with ServerThread(app, http=request.param) as server:
        yield server, app


@pytest.fixture
def running(served):
    server, app = served
    service = app.services[0]
    for event in (service.begun, service.cancelled, service.ended, service.go_on):
        event.clear()
    return server, service, app


def rest(method):
    return f"GET /{method.removeprefix('get_')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def invoke(method, form="json"):
    call = {"method": f"a:slow:{method}"}
    body = json.dumps(call).encode() if form == "json" else msgpack.packb(call)
    fields = f"Host: x\r\nContent-Type: application/{form}\r\nContent-Length: {len(body)}"
    return f"POST /invoke HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body


REQUESTS = {
    "rest": rest,
    "json": invoke,
    "msgpack": lambda method: invoke(method, "msgpack"),
}
ways = pytest.mark.parametrize("way", list(REQUESTS))


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), SECONDS)


def until(condition):
    limit = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def read_answer(connection):
    """One answer with a Content-Length."""
    connection.settimeout(SECONDS)
    octets = b""
    while b"\r\n\r\n" not in octets:
        octets += connection.recv(4096)
    head, _, body = octets.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
    )
    while len(body) < length:
        body += connection.recv(4096)
    return head.split(b"\r\n")[0], body[:length], body[length:]


@ways
def test_the_handler_of_a_client_that_goes_away_is_cancelled(running, way, caplog):
    server, service, _ = running
    with caplog.at_level(logging.INFO), connected(server) as connection:
        connection.sendall(REQUESTS[way]("get_waiting"))
        assert service.begun.wait(SECONDS)
        connection.close()
        assert service.cancelled.wait(SECONDS)
        assert httpx.get(server.address + "/quick").text == "quick"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_connection_that_is_reset_is_one_that_is_gone(running):
    server, service, _ = running
    with connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.sendall(invoke("get_waiting"))
        assert service.begun.wait(SECONDS)
    assert service.cancelled.wait(SECONDS)


def test_the_breaker_forgets_the_call(running):
    server, service, app = running
    for _ in range(3):
        service.begun.clear()
        service.cancelled.clear()
        with connected(server) as connection:
            connection.sendall(invoke("get_waiting"))
            assert service.begun.wait(SECONDS)
        assert service.cancelled.wait(SECONDS)
    circuit = app.circuit("slow.get_waiting")
    assert (circuit.tally().calls, circuit.state) == (0, "closed")


def test_other_calls_on_other_connections_go_on(running):
    server, service, _ = running
    with connected(server) as one, connected(server) as other:
        one.sendall(invoke("get_waiting"))
        assert service.begun.wait(SECONDS)
        other.sendall(b"GET /quick?delay=0.4 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.15)
        one.close()
        assert service.cancelled.wait(SECONDS)
        assert read_answer(other)[:2] == (b"HTTP/1.1 200 OK", b"quick")


def test_a_connection_that_stays_is_used_again_after_slow_calls(running):
    """What waits for the client to go must not take the next request from it."""
    server, _, _ = running
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(b"GET /quick?delay=0.2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(connection)[:2] == (b"HTTP/1.1 200 OK", b"quick")
        connection.sendall(invoke("get_quick"))
        assert json.loads(read_answer(connection)[1])["result"] == "quick"


def test_pipelined_requests_are_answered_in_their_order(running):
    server, _, _ = running
    with connected(server) as connection:
        connection.sendall(
            b"GET /quick?delay=0.3 HTTP/1.1\r\nHost: x\r\n\r\n" + invoke("get_quick") + rest("get_quick")
        )
        first = read_answer(connection)
        assert first[1] == b"quick"
        seen = first[2]
        connection.settimeout(SECONDS)
        while seen.count(b"quick") < 2:
            seen += connection.recv(4096)
        assert seen.index(b'"result"') < seen.rindex(b"quick")


def test_a_handler_that_goes_on_all_the_same_does_no_harm(running, caplog):
    server, service, _ = running
    for method in ("get_stubborn", "get_failing"):
        service.begun.clear()
        service.cancelled.clear()
        with connected(server) as connection:
            connection.sendall(invoke(method))
            assert service.begun.wait(SECONDS)
        assert service.cancelled.wait(SECONDS)
    assert httpx.get(server.address + "/quick").text == "quick"
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_the_result_of_a_blocking_method_is_dropped_quietly(running, caplog):
    server, service, _ = running
    with connected(server) as connection:
        connection.sendall(invoke("get_blocking"))
        assert service.begun.wait(SECONDS)
        time.sleep(0.15)
    time.sleep(0.1)
    service.go_on.set()
    assert service.ended.wait(SECONDS)
    assert httpx.get(server.address + "/quick").text == "quick"
    assert caplog.records == []


def test_calls_that_are_cancelled_by_hundreds_leave_nothing_behind(running):
    server, service, _ = running
    from unimicro.channels import disconnects

    async def storm():
        for _ in range(4):
            connections = []
            for _ in range(50):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(invoke("get_waiting"))
                connections.append(writer)
            await asyncio.sleep(0.2)
            for writer in connections:
                writer.transport.abort()

    asyncio.run(asyncio.wait_for(storm(), 60))
    assert service.cancelled.wait(SECONDS)
    seen = {}

    def look():
        seen.update(vars(disconnects._of_thread))

    def settled():
        server.call_soon(look)
        return seen and not seen["clients"].running

    until(settled)
    assert not seen["clients"].watched


def test_a_cancellation_from_elsewhere_is_not_taken_for_a_client_that_left():
    from unimicro.channels.disconnects import while_connected

    async def run():
        async def receive():
            await asyncio.sleep(SECONDS)
            return {"type": "http.disconnect"}

        before = asyncio.all_tasks()
        task = asyncio.create_task(while_connected(receive, asyncio.sleep(SECONDS), lambda: "gone"))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(run(), SECONDS))


def test_a_server_that_cancels_and_a_client_that_leaves_at_once_is_a_cancellation():
    from unimicro.channels.disconnects import while_connected

    async def run():
        left = asyncio.Event()

        async def receive():
            await left.wait()
            task.cancel()
            return {"type": "http.disconnect"}

        task = asyncio.create_task(while_connected(receive, asyncio.sleep(SECONDS), lambda: "gone"))
        await asyncio.sleep(0.15)
        left.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, SECONDS)

    asyncio.run(run())


def test_what_else_a_server_says_meanwhile_does_not_matter():
    from unimicro.channels.disconnects import while_connected

    async def run():
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        return await while_connected(receive, asyncio.sleep(0.2, "result"), lambda: "gone")

    assert asyncio.run(asyncio.wait_for(run(), SECONDS)) == "result"
