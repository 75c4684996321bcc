"""``/stream`` on the server: what it answers to frames, good and bad, over ASGI in memory."""

import asyncio
import logging

import msgpack
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.channels.stream_peers import LIMIT, Disconnected, call_octets, in_memory
from tests.channels.stream_service import depot
from unimicro.channels.stream_frames import (
    ANSWER,
    CALL,
    CANCEL,
    FAILED,
    GOAWAY,
    MOST_IN_PARTS,
    PART,
    PART_BYTES,
    REFUSED,
    SUBPROTOCOL,
    message_of,
    part_frame,
)
from unimicro.testing.serving import ServerThread


def with_wire(scenario, headers=(), room=0, **settings):
    """Run ``scenario(wire, service, app)`` on a connection to a depot whose hello has been read."""

    async def run():
        app = depot(**settings)
        async with in_memory(app.asgi, headers, room=room) as wire:
            await wire.hello()
            return await scenario(wire, app.services[0], app)

    return asyncio.run(asyncio.wait_for(run(), 30))


def call(number, method, *args, **kwargs):
    return call_octets(number, f"app:depot:{method}", args, **kwargs)


async def turns(count):
    """Let everything else run."""
    for _ in range(count):
        await asyncio.sleep(0)


# -- the handshake -----------------------------------------------------------------------------


def handshake(headers=(), **options):
    async def run():
        async with in_memory(depot().asgi, headers, **options) as wire:
            return wire.accepted

    return asyncio.run(run())


def test_the_subprotocol_is_chosen():
    assert handshake() == {"type": "websocket.accept", "subprotocol": "unimicro.stream.v1"}


@pytest.mark.parametrize("offered", [(), ("unimicro.stream.v2", "graphql-ws")])
def test_a_client_that_does_not_offer_the_subprotocol_is_refused(offered):
    refused = handshake(subprotocols=offered)
    assert refused["type"] == "websocket.close"
    assert "unimicro.stream.v1" in refused["reason"]


@pytest.mark.parametrize(
    "origin",
    [b"https://evil.example", b"null", b"http://testserver.evil.example", b"http://testserver:81", b""],
)
def test_a_page_of_another_origin_is_refused(origin):
    refused = handshake([(b"origin", origin)])
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
    assert "origins" in refused["reason"]


def test_a_page_of_the_same_origin_may_connect():
    assert handshake([(b"origin", b"http://TestServer")])["type"] == "websocket.accept"


@pytest.mark.parametrize("refused", [{}, {"subprotocols": [SUBPROTOCOL], "origin": "http://evil.example"}])
def test_a_stranger_whose_handshakes_are_refused_writes_no_errors_into_the_log(refused, caplog):
    with ServerThread(depot()) as server:
        for _ in range(3):
            with pytest.raises(InvalidStatus) as told:
                connect(server.address.replace("http", "ws") + "/stream", **refused)
            assert told.value.response.status_code == 403
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_another_path_is_no_stream():
    assert handshake(path="/streams")["type"] == "websocket.close"


def test_hello_tells_the_limits():
    async def run():
        app = depot(channels={"stream": {"max_calls": 7}}, max_body_bytes=1234)
        async with in_memory(app.asgi) as wire:
            return await wire.hello()

    assert asyncio.run(run()) == [0, 7, 1234]


# -- calls -------------------------------------------------------------------------------------


def test_a_call_is_answered_under_its_id():
    async def scenario(wire, *_):
        await wire.message(call(2**63 - 1, "same", "a"))
        return await wire.next()

    assert with_wire(scenario) == [ANSWER, 2**63 - 1, "a"]


def test_calls_of_one_message_are_answered_in_one_message():
    async def scenario(wire, *_):
        await wire.message(*(call(n, "same", str(n)) for n in range(1, 33)))
        await wire.next()
        return len(wire.frames)

    assert with_wire(scenario) == 31


def test_a_quick_call_overtakes_a_slow_one():
    async def scenario(wire, service, _):
        await wire.message(call(1, "slow", 1))
        await wire.message(call(2, "same", "quick"))
        first = await wire.next()
        service.go.set()
        return first, await wire.next()

    assert with_wire(scenario) == ([ANSWER, 2, "quick"], [ANSWER, 1, 1])


def test_a_declared_error_is_a_failed_frame_with_its_problem_document():
    async def scenario(wire, *_):
        await wire.message(call(1, "sell", "x"))
        return await wire.next()

    kind, number, problem = with_wire(scenario)
    assert (kind, number, problem["type"]) == (FAILED, 1, "urn:unimicro:error:Sold")


def test_fields_of_the_handshake_are_the_defaults_of_every_call():
    async def scenario(wire, *_):
        await wire.message(call(1, "guarded"), call(2, "guarded", headers={"authorization": "bad"}))
        return await wire.answers(2)

    answers = with_wire(scenario, [(b"authorization", b"good")])
    assert answers[1] == [ANSWER, 1, "in"]
    assert answers[2][2]["code"] == "permission_denied"


def test_fields_of_the_connection_are_none_of_a_call():
    async def scenario(wire, *_):
        await wire.message(call(1, "fields"))
        return await wire.next()

    names = [
        "cookie",
        "idempotency-key",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "content-length",
        "via",
    ]
    _, _, fields = with_wire(scenario, [(name.encode(), b"x") for name in names])
    assert fields == {"via": "x"}


def test_a_call_without_a_token_is_not_let_in():
    async def scenario(wire, *_):
        await wire.message(call(1, "guarded"))
        return (await wire.next())[2]["code"]

    assert with_wire(scenario) == "unauthenticated"


# -- cancellation ------------------------------------------------------------------------------


def test_a_cancelled_call_is_cancelled_in_the_service_and_not_answered():
    async def scenario(wire, service, _):
        await wire.message(call(1, "slow", 1))
        await service.until(lambda: service.began)
        await wire.message([CANCEL, 1])
        await service.until(lambda: service.cancelled)
        await wire.message(call(2, "same", "next"))
        return await wire.next()

    assert with_wire(scenario) == [ANSWER, 2, "next"]


def test_cancels_of_unknown_calls_are_ignored():
    async def scenario(wire, *_):
        await wire.message([CANCEL, 9], call(1, "same", "a"), [CANCEL, 1], [CANCEL, 1])
        await wire.message(call(2, "same", "b"))
        return await wire.next()

    assert with_wire(scenario) == [ANSWER, 2, "b"]


def test_calls_of_a_lost_connection_are_cancelled():
    async def run():
        app = depot()
        service = app.services[0]
        async with in_memory(app.asgi) as wire:
            await wire.message(call(1, "slow", 1), call(2, "slow", 2))
            await service.until(lambda: len(service.began) == 2)
        assert sorted(service.cancelled) == [1, 2]

    asyncio.run(run())


def test_a_call_is_cancelled_at_its_deadline():
    async def scenario(wire, service, _):
        await wire.message(call(1, "slow", 1, headers={"x-timeout-ms": "30"}))
        answer = await wire.next()
        return answer[2]["code"], service.cancelled

    assert with_wire(scenario) == ("deadline_exceeded", [1])


# -- limits ------------------------------------------------------------------------------------


def test_a_call_beyond_the_limit_is_refused_and_the_others_go_on():
    async def scenario(wire, service, _):
        await wire.message(call(1, "slow", 1), call(2, "slow", 2), call(3, "slow", 3))
        refused = await wire.next()
        service.go.set()
        return refused, sorted(await wire.answers(2))

    refused, answered = with_wire(scenario, channels={"stream": {"max_calls": 2}})
    assert (refused[0], refused[1], refused[2]["code"]) == (FAILED, 3, "resource_exhausted")
    assert answered == [1, 2]


def test_calls_that_do_not_end_when_they_are_cancelled_cannot_pile_up():
    async def scenario(wire, service, _):
        service.deaf = True
        for number in range(1, 4):
            await wire.message(call(number, "slow", number))
            await service.until(lambda number=number: number in service.began)
            await wire.message([CANCEL, number])
        for number in range(4, 9):
            await wire.message(call(number, "slow", number))
        await turns(200)
        began = list(service.began)
        service.go.set()
        answers = await wire.answers(5)
        return began, [number for number, answer in answers.items() if answer[0] == ANSWER]

    settings = {"channels": {"stream": {"max_calls": 2}}}
    assert with_wire(scenario, **settings) == ([1, 2, 3], [4, 5])


@pytest.mark.parametrize("size", [900, 5000, 200_000])
def test_arguments_above_the_limit_are_refused_and_the_connection_goes_on(size):
    async def scenario(wire, *_):
        await wire.put(1, call(1, "same", "x" * size))
        refused = await wire.whole()
        await wire.put(2, call(2, "same", "x" * 700))
        return refused, await wire.whole()

    refused, taken = with_wire(scenario, max_body_bytes=800)
    assert (refused[1], refused[2]["status"]) == (1, 413)
    assert taken == [ANSWER, 2, "x" * 700]


def test_a_client_that_does_not_read_gets_no_further_calls_served():
    async def run():
        app = depot(channels={"stream": {"max_calls": 4}})
        async with in_memory(app.asgi, room=1) as wire:
            for number in range(1, 1001):
                await wire.message(call(number, "same", "x"))
            await turns(1000)
            waiting = wire.to_server.qsize()
            await turns(1000)
            assert wire.to_server.qsize() == waiting > 900
            await wire.hello()
            assert len(await wire.answers(1000)) == 1000

    asyncio.run(asyncio.wait_for(run(), 30))


# -- large calls -------------------------------------------------------------------------------


def test_large_calls_and_answers_go_in_parts():
    value = "ä" * 3_000_000

    async def scenario(wire, *_):
        await wire.put(1, call(1, "same", value))
        return await wire.whole()

    assert with_wire(scenario) == [ANSWER, 1, value]


def test_small_answers_go_between_the_parts_of_large_ones():
    async def scenario(wire, *_):
        await wire.message(call(1, "large", 5_000_000), call(2, "large", 5_000_000))
        order = []
        for number in range(3, 8):
            await wire.message(call(number, "same", "small"))
            while not order or order[-1] != number:
                order.append((await wire.next())[1])
        return order

    order = with_wire(scenario, room=1)
    assert len(order) < 60
    # Those in parts take turns.
    large = [number for number in order if number < 3]
    assert {1, 2} == {*large[:2]} == {*large[2:4]}


def test_a_transport_that_takes_everything_does_not_hold_up_small_answers():
    async def scenario(wire, *_):
        await wire.message(call(1, "large", 30_000_000))
        await wire.next()
        await wire.message(call(2, "same", "small"))
        order = []
        while not order or order[-1] != 2:
            order.append((await wire.next())[1])
        return len(order)

    assert with_wire(scenario) < 30_000_000 / PART_BYTES / 2


def test_a_cancel_ends_the_parts_of_an_answer():
    async def scenario(wire, *_):
        await wire.message(call(1, "large", 50_000_000))
        frames = [await wire.next() for _ in range(3)]
        await wire.message([CANCEL, 1], call(2, "same", "next"))
        while frames[-1][0] == PART:
            frames.append(await wire.next())
        return len(frames), frames[-1], wire.frames

    count, last, left = with_wire(scenario, room=1)
    assert last == [ANSWER, 2, "next"]
    assert count < 40
    assert not left


def test_a_cancel_forgets_the_parts_of_a_call():
    async def scenario(wire, *_):
        for number in range(1, 100):
            await wire.message(part_frame(number, 100_000, bytes(10)), [CANCEL, number])
        await wire.message(call(200, "same", "x"))
        return await wire.next()

    assert with_wire(scenario) == [ANSWER, 200, "x"]


# -- what breaks the rules ---------------------------------------------------------------------


def part(number, left, size):
    return part_frame(number, left, bytes(size))


LARGE = call(1, "same", "x" * 70_000)

BROKEN = {
    "nothing": ([b""], 1007),
    "no msgpack": ([b"\xc1\xc1"], 1007),
    "cut off": ([message_of([call(1, "same", "x")])[:-1]], 1007),
    "a length without end": ([b"\xdd\xff\xff\xff\xff"], 1007),
    "nesting without end": ([b"\x91\x96\x01\x01\xa1a\x80" + b"\x91" * 200_000 + b"\x90\x80"], 1007),
    "something behind": ([message_of([call(1, "same", "x")]) + b"\x90"], 1007),
    "text that is no Unicode": ([b"\x91\x96\x01\x01\xa1\xff\x80\x90\x80"], 1007),
    "a message that is too large": ([bytes(300_000)], 1009),
    "no array": ([b"\x80"], 1002),
    "no frame": ([b"\x91\x01"], 1002),
    "an unknown frame": ([msgpack.packb([[99, 1]])], 1002),
    "a frame of servers": ([msgpack.packb([[ANSWER, 1, 2]])], 1002),
    "too few elements": ([msgpack.packb([[CALL, 1, "a", {}, []]])], 1002),
    "an id of nought": ([msgpack.packb([[CALL, 0, "a", {}, [], {}]])], 1002),
    "an id that is none": ([msgpack.packb([[CALL, "1", "a", {}, [], {}]])], 1002),
    "headers that are no texts": ([msgpack.packb([[CALL, 1, "a", {"a": 1}, [], {}]])], 1002),
    "an id in use": ([message_of([call(1, "slow", 1)]), message_of([call(1, "slow", 2)])], 1002),
    "an id in use by parts": ([message_of([part(1, 9, 9), call(1, "slow", 1)])], 1002),
    "parts with an id in use": ([message_of([call(1, "slow", 1), part(1, 9, 9)])], 1002),
    "an empty part": ([message_of([part(1, 9, 0)])], 1002),
    "a part that is too large": ([message_of([part(1, 9, PART_BYTES + 1)])], 1002),
    "parts with a gap": ([message_of([part(1, 90, 9), part(1, 80, 9)])], 1002),
    "parts that grow": ([message_of([part(1, 90, 9), part(1, 90, 9)])], 1002),
    "too many in parts": ([message_of([part(n, 9, 9) for n in range(1, MOST_IN_PARTS + 2)])], 1002),
    "parts of no call": ([message_of([part(1, 9, 9), part(1, 0, 9)])], 1002),
    "parts of another call": ([message_of([part_frame(2, 0, call(1, "same", "x"))])], 1002),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_rules_ends_the_connection_with_a_reason(name, caplog):
    messages, code = BROKEN[name]

    async def scenario(wire, *_):
        for message in messages:
            await wire.send(message)
        while True:
            await wire.next()

    with pytest.raises(Disconnected) as told:
        with_wire(scenario)
    assert told.value.code == code
    assert 0 < len(told.value.reason.encode()) <= 123
    assert not [record for record in caplog.records if record.exc_info]


def test_text_ends_the_connection():
    async def scenario(wire, *_):
        await wire.to_server.put({"type": "websocket.receive", "text": "[]"})
        await wire.next()

    with pytest.raises(Disconnected) as told:
        with_wire(scenario)
    assert told.value.code == 1003


def test_further_elements_of_frames_are_ignored():
    async def scenario(wire, *_):
        await wire.message([CALL, 1, "a:depot:same", {}, ["x"], {}, "more"])
        return await wire.next()

    assert with_wire(scenario) == [ANSWER, 1, "x"]


def test_a_connection_that_can_no_longer_be_written_to_ends_quietly(caplog):
    async def run():
        app = depot()
        messages = [{"type": "websocket.connect"}, {"type": "websocket.receive", "bytes": message_of([])}]

        async def receive():
            if messages:
                return messages.pop(0)
            return await asyncio.get_running_loop().create_future()

        async def send(message):
            if message["type"] == "websocket.send":
                raise OSError("gone")

        scope = {
            "type": "websocket",
            "path": "/stream",
            "headers": [],
            "subprotocols": ["unimicro.stream.v1"],
        }
        await asyncio.wait_for(app.asgi(scope, receive, send), 10)

    asyncio.run(run())
    assert not caplog.records


# -- draining ----------------------------------------------------------------------------------


def test_a_drain_ends_calls_under_way_refuses_others_and_closes():
    async def scenario(wire, service, app):
        await wire.message(call(1, "slow", 1))
        await service.until(lambda: service.began)
        draining = asyncio.create_task(app.door("fastapi").stream.drain(LIMIT))
        goaway = await wire.next()
        await wire.message(call(2, "slow", 2))
        refused = await wire.next()
        service.go.set()
        answer = await wire.next()
        with pytest.raises(Disconnected) as told:
            await wire.next()
        await draining
        return goaway[0], refused[:2], refused[2]["code"], answer, told.value.code, service.began

    assert with_wire(scenario) == (GOAWAY, [REFUSED, 2], "unavailable", [ANSWER, 1, 1], 1001, [1])


def test_a_drain_gives_up_calls_that_take_too_long():
    async def scenario(wire, service, app):
        await wire.message(call(1, "slow", 1))
        await service.until(lambda: service.began)
        await app.door("fastapi").stream.drain(0.02)
        frames = [await wire.next() for _ in range(2)]
        with pytest.raises(Disconnected) as told:
            await wire.next()
        return [frame[0] for frame in frames], frames[1][2]["code"], told.value.code, service.cancelled

    assert with_wire(scenario) == ([GOAWAY, FAILED], "unavailable", 1001, [1])


def test_a_draining_server_takes_no_connections():
    async def run():
        app = depot()
        _ = app.asgi
        await app.door("fastapi").stream.drain(LIMIT)
        async with in_memory(app.asgi) as wire:
            return wire.accepted["type"], wire.accepted["reason"]

    assert asyncio.run(run()) == ("websocket.close", "the server is going away")


def test_a_drain_does_not_wait_for_a_client_that_does_not_read(monkeypatch):
    monkeypatch.setattr("unimicro.channels.stream_connection.CLOSE_LIMIT", 0.02)

    async def run():
        app = depot()
        async with in_memory(app.asgi, room=1) as wire:
            await wire.message(*(call(n, "same", "x") for n in range(1, 9)))
            await asyncio.wait_for(app.door("fastapi").stream.drain(0.02), 10)
            await asyncio.wait_for(wire.serving, 10)

    asyncio.run(run())
