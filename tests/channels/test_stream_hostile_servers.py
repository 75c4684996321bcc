"""The channel ``stream`` against servers that break the rules, fall silent, or are none."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import msgpack
import pytest

from tests.channels.stream_servers import deadline, frames_of, hello, proxy_to, scripted, send
from unimicro.channels.client.interface import owner_of
from unimicro.channels.client.manager import adisconnect
from unimicro.channels.stream_frames import (
    ANSWER,
    CALL,
    CANCEL,
    FAILED,
    GOAWAY,
    MOST_IN_PARTS,
    PART,
    REFUSED,
)
from unimicro.errors import DeadlineExceeded, Internal, Unavailable, Unknown
from unimicro.pipeline.deadline import Deadline


def against(script, scenario, subprotocols=("unimicro.stream.v1",), **client):
    """Run ``scenario(proxy)`` against a WebSocket server that runs ``script(websocket, number)``."""

    async def body():
        async with scripted(script, subprotocols) as address, proxy_to(address, **client) as proxy:
            return await scenario(proxy)

    return asyncio.run(asyncio.wait_for(body(), 30))


def first_of(*addresses):
    """A proxy that asks the others only where the first has not begun a call."""
    return proxy_to(*addresses, config={"selector": "first"})


def answering(*replies):
    """A server that says hello and sends ``replies(id)``, octets or frames, for each call."""

    async def script(websocket, _):
        await hello(websocket)
        async for frame in frames_of(websocket):
            if frame[0] == CALL:
                for reply in replies:
                    made = reply(frame[1])
                    await (websocket.send(made) if isinstance(made, bytes | str) else send(websocket, made))

    return script


echoing = answering(lambda number: [ANSWER, number, "x"])


# -- what breaks the rules ---------------------------------------------------------------------

BROKEN = {
    "nothing": lambda number: b"",
    "no msgpack": lambda number: b"\xc1",
    "a length without end": lambda number: b"\xdd\xff\xff\xff\xff",
    "no frame": lambda number: b"\x91\x01",
    "a frame of clients": lambda number: [CANCEL, number],
    "an unknown frame": lambda number: [99, number],
    "a second hello": lambda number: [0, 1, 1],
    "no problem document": lambda number: [FAILED, number, 5],
    "text": lambda number: "[]",
    "a message that is too large": lambda number: bytes(300_000),
    "an empty part": lambda number: [PART, number, 5, b""],
    "parts with a gap": lambda number: msgpack.packb([[PART, number, 9, b"x"], [PART, number, 5, b"x"]]),
    "parts of no answer": lambda number: [PART, number, 0, b"\x90"],
    "parts of another answer": lambda number: [PART, number, 0, msgpack.packb([ANSWER, number + 1, "x"])],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_rules_ends_the_connection_and_its_calls(name, caplog):
    closed = []

    async def script(websocket, number):
        try:
            await answering(BROKEN[name])(websocket, number)
        finally:
            closed.append(websocket.close_code)

    async def scenario(proxy):
        with pytest.raises(Unavailable, match="the connection broke"):
            await proxy.same("x")

    against(script, scenario)
    assert closed[0] in (1002, 1003, 1007, 1009)
    assert not [
        record for record in caplog.records if record.levelno >= logging.WARNING and record.name == "unimicro"
    ]


def test_frames_of_unknown_calls_are_ignored():
    strange = (
        lambda number: [ANSWER, number + 10**6, "wrong"],
        lambda number: [FAILED, number + 10**6, {"code": "internal"}],
        lambda number: [PART, number + 10**6, 10**15, b"x"],
        lambda number: [ANSWER, number, "x"],
        lambda number: [ANSWER, number, "again"],
    )

    async def scenario(proxy):
        return await asyncio.gather(*(proxy.same("x") for _ in range(50)))

    assert against(answering(*strange), scenario) == ["x"] * 50


def test_parts_that_never_end_are_no_more_than_a_result_may_have():
    announced = answering(lambda number: [PART, number, 10**12, b"x" * 60_000])

    async def scenario(proxy):
        for _ in range(2 * MOST_IN_PARTS):
            with pytest.raises(Internal, match="the answer is longer than 1000000 bytes"):
                await proxy.same("x")

    against(announced, scenario, max_bytes=1_000_000)


def test_parts_that_do_not_go_on_end_with_their_calls():
    begun = answering(lambda number: [PART, number, 500_000, b"x" * 60_000])

    async def scenario(proxy):
        for _ in range(2 * MOST_IN_PARTS):
            with pytest.raises(DeadlineExceeded):
                await proxy.same("x")

    against(begun, scenario, policies=[Deadline(0.02)])


def test_a_flood_of_answers_does_not_keep_a_call_from_its_deadline():
    async def script(websocket, _):
        await hello(websocket)
        while True:
            await websocket.send(msgpack.packb([[ANSWER, number, "x" * 100] for number in range(1000, 2000)]))

    async def scenario(proxy):
        with pytest.raises(DeadlineExceeded):
            await proxy.same("x")

    against(script, scenario, policies=[Deadline(0.2)])


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (5, "has another result than declared: expected str, got int"),
        (None, "got null"),
        (msgpack.ExtType(5, b"x"), "has a result that cannot be read"),
    ],
)
def test_a_result_of_the_wrong_type_is_a_failure_of_that_call(result, text):
    async def scenario(proxy):
        with pytest.raises(Internal, match=text):
            await proxy.same("x")

    against(answering(lambda number: [ANSWER, number, result]), scenario)


def test_an_odd_problem_document_is_an_unknown_failure():
    async def scenario(proxy):
        with pytest.raises(Unknown):
            await proxy.same("x")

    against(answering(lambda number: [FAILED, number, {"code": 5, "status": "x"}]), scenario)


def test_a_refused_call_goes_to_another_server_whatever_it_is():
    refusing = answering(lambda number: [REFUSED, number, {"code": "unavailable", "detail": "going"}])

    async def body():
        async with (
            scripted(refusing) as one,
            scripted(echoing) as two,
            first_of(one, two) as proxy,
        ):
            return await proxy.same("x")

    assert asyncio.run(asyncio.wait_for(body(), 30)) == "x"


def test_calls_that_a_server_has_not_read_when_it_closes_after_goaway_go_elsewhere():
    async def leaving(websocket, _):
        await hello(websocket)
        async for frame in frames_of(websocket):
            if frame[0] == CALL:
                await send(websocket, [GOAWAY, "bye"])
                await websocket.close(1001)

    async def body():
        async with (
            scripted(leaving) as one,
            scripted(echoing) as two,
            first_of(one, two) as proxy,
        ):
            return await proxy.same("x")

    assert asyncio.run(asyncio.wait_for(body(), 30)) == "x"


def test_a_call_is_not_repeated_where_a_server_closes_without_goaway():
    calls = []

    async def leaving(websocket, _):
        await hello(websocket)
        async for frame in frames_of(websocket):
            calls.append(frame)
            await websocket.close(1001)

    async def body():
        async with scripted(leaving) as one, scripted(leaving) as two, first_of(one, two) as proxy:
            with pytest.raises(Unavailable, match="broke"):
                await proxy.same("x")

    asyncio.run(asyncio.wait_for(body(), 30))
    assert len(calls) == 1


def test_what_a_lost_connection_had_not_been_given_yet_goes_elsewhere():
    """The first server does not read: of a large call only a part has been sent."""

    async def stuck(websocket, _):
        await hello(websocket)
        websocket.transport.pause_reading()
        await asyncio.sleep(0.1)
        websocket.transport.abort()

    async def body():
        async with scripted(stuck) as one, scripted(whole_answers) as two, first_of(one, two) as proxy:
            return await proxy.same("x" * 9_000_000)

    async def whole_answers(websocket, _):
        await hello(websocket)
        async for frame in frames_of(websocket):
            if frame[0] == PART and frame[2] == 0:
                await send(websocket, [ANSWER, frame[1], "arrived"])

    assert asyncio.run(asyncio.wait_for(body(), 30)) == "arrived"


# -- connecting --------------------------------------------------------------------------------


def test_a_server_that_sends_something_before_hello_is_none():
    async def script(websocket, _):
        await send(websocket, [ANSWER, 1, "x"])
        await websocket.wait_closed()

    async def scenario(proxy):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await proxy.same("x")

    against(script, scenario, connect_timeout=100)


def test_a_server_that_does_not_choose_the_subprotocol_is_none():
    async def scenario(proxy):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await proxy.same("x")

    against(answering(), scenario, subprotocols=())


@asynccontextmanager
async def plain_tcp(handle):
    """The address of a TCP server."""
    tasks = set()

    async def guarded(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def not_found(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def garbage(reader, writer):
    writer.write(bytes(range(256)) * 400)
    await writer.drain()
    await reader.read()


async def at_once(reader, writer):
    pass


async def silent(reader, writer):
    await reader.read()
    await asyncio.sleep(30)


@pytest.mark.parametrize("handle", [not_found, garbage, at_once])
def test_what_is_no_server_of_stream_cannot_be_reached(handle):
    async def body():
        async with plain_tcp(handle) as address, proxy_to(address) as proxy:
            with pytest.raises(Unavailable, match="cannot be reached"):
                await proxy.same("x")

    asyncio.run(asyncio.wait_for(body(), 20))


def test_a_server_that_does_not_answer_the_handshake_is_given_up():
    async def body():
        async with plain_tcp(silent) as address:
            async with proxy_to(address, connect_timeout=0.05) as proxy:
                with pytest.raises(Unavailable, match="cannot be reached"):
                    await proxy.same("x")
            async with proxy_to(address, policies=[Deadline(0.05)]) as proxy:
                with pytest.raises(DeadlineExceeded, match="not sent"):
                    await proxy.same("x")

    asyncio.run(asyncio.wait_for(body(), 20))


def test_attempts_to_connect_are_spaced_and_calls_between_fail_at_once():
    attempts = []

    async def counting(reader, writer):
        attempts.append(1)

    async def body():
        async with plain_tcp(counting) as address, proxy_to(address, backoff=1000, backoff_cap=1000) as proxy:
            for _ in range(20):
                with pytest.raises(Unavailable) as told:
                    await proxy.same("x")
        return told.value.retry_after

    assert 0 < asyncio.run(asyncio.wait_for(body(), 20)) <= 1000
    assert len(attempts) == 1


def test_a_server_that_accepts_and_closes_at_once_is_not_hammered():
    attempts = []

    async def leaving(websocket, _):
        attempts.append(1)
        await hello(websocket)

    async def scenario(proxy):
        for _ in range(20):
            with pytest.raises(Unavailable):
                await proxy.same("x")

    against(leaving, scenario, backoff=1000, backoff_cap=1000)
    assert len(attempts) <= 3


def test_a_server_that_ends_connections_without_an_answer_is_not_hammered():
    attempts = []

    async def leaving(websocket, _):
        attempts.append(1)
        await hello(websocket)
        async for _ in frames_of(websocket):
            return

    async def scenario(proxy):
        for _ in range(20):
            with pytest.raises(Unavailable):
                await proxy.same("x")

    against(leaving, scenario, backoff=1000, backoff_cap=1000)
    assert attempts == [1]


def test_calls_that_come_while_it_connects_share_the_attempt():
    async def scenario(proxy):
        return await asyncio.gather(*(proxy.same("x") for _ in range(20)))

    connected = []

    async def script(websocket, number):
        connected.append(number)
        await echoing(websocket, number)

    assert against(script, scenario) == ["x"] * 20
    assert connected == [1]


# -- silence -----------------------------------------------------------------------------------


def test_a_server_that_never_answers_costs_a_call_its_deadline_and_no_more():
    async def scenario(proxy):
        began = time.monotonic()
        results = await asyncio.gather(*(proxy.same("x") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(result, DeadlineExceeded) for result in results)
        return time.monotonic() - began

    assert against(answering(), scenario, policies=[Deadline(0.1)]) >= 0.1


def test_each_call_ends_at_its_own_deadline():
    async def scenario(proxy):
        ended = []

        async def call(seconds):
            with deadline(seconds), pytest.raises(DeadlineExceeded):
                await proxy.same("x")
            ended.append(seconds)

        await asyncio.gather(*map(call, (0.15, 0.05, 0.1)))
        return ended

    assert against(answering(), scenario) == [0.05, 0.1, 0.15]


class Deaf:
    """A server that hears nothing any more till the client has left; ``patient``: it has not in time."""

    def __init__(self):
        self.left = asyncio.Event()
        self.patient = False

    async def serve(self, websocket, meanwhile=None):
        websocket.transport.pause_reading()
        for _ in range(1000):
            if self.left.is_set():
                break
            if meanwhile is not None:
                await meanwhile()
            await asyncio.sleep(0.01)
        self.patient = not self.left.is_set()
        websocket.transport.abort()


@pytest.mark.parametrize("pings", [False, True])
def test_a_server_that_hears_nothing_is_noticed_without_a_deadline(pings):
    """The connection is half-open: nothing that the client sends arrives; the server is silent, or pings."""
    deaf = Deaf()

    async def script(websocket, number):
        if number > 1:
            await echoing(websocket, number)
        await hello(websocket)
        await deaf.serve(websocket, websocket.ping if pings else None)

    async def scenario(proxy):
        with pytest.raises(Unavailable, match="broke"):
            await proxy.same("x")
        deaf.left.set()
        return await proxy.same("x")

    assert against(script, scenario, ping_interval=0.03, ping_timeout=0.03, backoff=0) == "x"
    assert not deaf.patient


def test_without_ping_interval_a_silent_server_is_never_given_up():
    deaf = Deaf()

    async def script(websocket, _):
        await hello(websocket)
        await deaf.serve(websocket)

    async def scenario(proxy):
        with deadline(0.2), pytest.raises(DeadlineExceeded):
            await proxy.same("x")
        deaf.left.set()

    against(script, scenario, ping_interval=0, ping_timeout=0.03)


def test_an_idle_connection_is_kept_as_long_as_the_server_answers_pings():
    connected = []

    async def script(websocket, number):
        connected.append(number)
        await echoing(websocket, number)

    async def scenario(proxy):
        await proxy.same("x")
        await asyncio.sleep(0.3)
        return await proxy.same("x")

    assert against(script, scenario, ping_interval=0.02, ping_timeout=0.1) == "x"
    assert connected == [1]


# -- closing -----------------------------------------------------------------------------------


def test_closing_does_not_wait_long_for_a_call_that_is_not_answered(monkeypatch):
    monkeypatch.setattr("unimicro.channels.client.stream.CLOSE_TIMEOUT", 0.05)

    async def scenario(proxy):
        call = asyncio.create_task(proxy.same("x"))
        await asyncio.sleep(0.05)
        await adisconnect(proxy)
        with pytest.raises(Unavailable):
            await call

    against(answering(), scenario)


def test_a_server_that_does_not_close_is_left(monkeypatch):
    monkeypatch.setattr("unimicro.channels.client.stream_socket.CLOSE_TIMEOUT", 0.05)
    deaf = Deaf()

    async def script(websocket, _):
        await hello(websocket)
        async for frame in frames_of(websocket):
            await send(websocket, [ANSWER, frame[1], "x"], [GOAWAY, "bye"])
            await deaf.serve(websocket)

    async def scenario(proxy):
        await proxy.same("x")
        (route,) = owner_of(proxy)._ways.values()
        dialer = route[1].current[0].connection._dialers[asyncio.get_running_loop()]
        (link,) = dialer._links
        await link.socket.gone
        deaf.left.set()
        return dialer.link

    assert against(script, scenario) is None
    assert not deaf.patient
