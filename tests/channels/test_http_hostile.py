"""Servers that break, drip, flood and lie, over each transport and in both colours."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import threading
import time
from contextlib import suppress

import pytest

from tests.channels.http_calling import TRANSPORTS, called, manager_for, proxy_of
from tests.channels.http_servers import LIMIT, RawServer, answer, answering, json_answer
from unimicro import Service, entry
from unimicro.errors import CommunicationError, DeadlineExceeded, Internal, UnimicroError, Unknown
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.retry import Retry

ONCE = (Retry(mode="off"), Breaker(mode="off"))
OK = json_answer(b'{"result":"ok","exception":null}')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHANNEL = "dispatch-json"


class Shop(Service):
    @entry(no_auth=True)
    def buy(self, text: str = "") -> str: ...

    @entry(no_auth=True)
    async def abuy(self, text: str = "") -> str: ...

    @entry(no_auth=True, safe=True)
    def look(self, text: str = "") -> str: ...

    @entry(no_auth=True, safe=True)
    async def alook(self, text: str = "") -> str: ...


every_way = pytest.mark.parametrize(
    ("method", "transport"), [(m, t) for m in ("buy", "abuy") for t in TRANSPORTS], ids=str
)
safely = pytest.mark.parametrize(
    ("method", "transport"), [(m, t) for m in ("look", "alook") for t in TRANSPORTS], ids=str
)


def sending(*parts, every=0.0, stays=False):
    """A script that answers each connection's first request with parts, then closes."""

    def script(server, connection, _):
        server.read_request(connection)
        for part in parts:
            connection.sendall(part)
            if every and threading.Event().wait(every):
                break
        while stays and connection.recv(65536):
            pass

    return script


def call(server, method, transport, timeout=LIMIT, **settings):
    policies = (*ONCE, Deadline(timeout=timeout))
    with proxy_of(Shop, CHANNEL, server.address, transport, policies=policies, settings=settings) as shop:
        return called(shop, method)


def resetting(server, connection, _):
    server.read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BREAKING = {
    "nothing": sending(),
    "garbage": sending(b"\x00\xff garbage\r\n\r\n"),
    "a reset": resetting,
    "half a head": sending(b"HTTP/1.1 200 OK\r\ncont"),
    "half a body": sending(HEAD + b'content-length: 500\r\n\r\n{"result"'),
    "half a chunk": sending(HEAD + b'transfer-encoding: chunked\r\n\r\nff\r\n{"result"'),
    "no chunk": sending(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n"),
    "two lengths": sending(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}1"),
    "no status": sending(b"HTTP/1.1 99 X\r\ncontent-length: 2\r\n\r\nhi"),
    "a flood of header": sending(HEAD + b"a: " + b"x" * 2_000_000 + b"\r\n\r\n"),
}


@every_way
@pytest.mark.parametrize("case", BREAKING)
def test_a_connection_that_breaks_is_unavailable(case, method, transport):
    with RawServer(BREAKING[case]) as server:
        with pytest.raises(CommunicationError, match=r"^the connection broke$"):
            call(server, method, transport)
        assert server.connections == 1


SLOW = {
    "never": sending(stays=True),
    "a head byte by byte": sending(*[bytes([octet]) for octet in HEAD * 9], every=0.05),
    "a body byte by byte": sending(HEAD + b"content-length: 500\r\n\r\n", *[b"x"] * 100, every=0.05),
    "chunks without end": sending(
        HEAD + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 100, every=0.05
    ),
    "interim answers only": sending(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 100, every=0.05),
}


@every_way
@pytest.mark.parametrize("case", SLOW)
def test_an_answer_that_comes_too_late_is_not_waited_for(case, method, transport):
    with RawServer(SLOW[case]) as server:
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            call(server, method, transport, timeout=0.2)
        assert time.monotonic() - begun < 3  # the server would take more than 5


@every_way
def test_a_request_that_is_not_read_is_given_up_at_the_deadline(method, transport):
    def never_reads(server, connection, _):
        done.wait(LIMIT)

    done = threading.Event()
    with RawServer(never_reads) as server:
        policies = (*ONCE, Deadline(timeout=0.3))
        with (
            proxy_of(Shop, CHANNEL, server.address, transport, policies=policies) as shop,
            pytest.raises(DeadlineExceeded),
        ):
            called(shop, method, "x" * 8_000_000)
        done.set()


TOO_LONG = {
    "by its length": answer(b"x" * 3000, content_type="application/json"),
    "chunk by chunk": HEAD
    + b"transfer-encoding: chunked\r\n\r\n"
    + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 3
    + b"0\r\n\r\n",
    "without a length": HEAD + b"connection: close\r\n\r\n" + b"x" * 3000,
}


@every_way
@pytest.mark.parametrize("case", TOO_LONG)
def test_an_answer_that_is_too_long_is_not_read_whole(case, method, transport):
    with (
        RawServer(sending(TOO_LONG[case])) as server,
        pytest.raises(Internal, match="the answer is longer than 2000 bytes"),
    ):
        call(server, method, transport, max_bytes=2000)


@every_way
def test_an_answer_of_just_the_longest_length_is_read(method, transport):
    with RawServer(answering(OK)) as server:
        assert call(server, method, transport, max_bytes=len(OK.partition(b"\r\n\r\n")[2])) == "ok"


@every_way
def test_an_answer_that_is_compressed_unasked_is_refused(method, transport):
    bomb = gzip.compress(b" " * 50_000_000, 9)
    reply = answer(bomb, content_type="application/json", content_encoding="gzip")
    with (
        RawServer(answering(reply)) as server,
        pytest.raises(Internal, match="the answer is compressed, which was not asked for"),
    ):
        call(server, method, transport)


@every_way
def test_a_status_counts_also_where_the_body_cannot_be_read(method, transport):
    packed = answer(gzip.compress(b"x"), 503, content_encoding="gzip")
    endless = answer(b"x" * 3000, 503)
    for reply in (packed, endless):
        with (
            RawServer(answering(reply)) as server,
            pytest.raises(CommunicationError, match="the server answered 503"),
        ):
            call(server, method, transport, max_bytes=2000)


@every_way
def test_a_redirect_is_not_followed(method, transport):
    with RawServer(answering(OK)) as elsewhere:
        moved = answer(b"", 302, location=f"{elsewhere.address}/invoke")
        with RawServer(answering(moved)) as server, pytest.raises(Unknown, match="the server answered 302"):
            call(server, method, transport)
        assert elsewhere.connections == 0


@every_way
def test_interim_answers_are_passed_over(method, transport):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    with RawServer(answering(interim + OK)) as server:
        assert call(server, method, transport) == "ok"


@every_way
def test_a_switch_of_protocols_breaks_the_connection(method, transport):
    switch = b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    with RawServer(sending(switch)) as server, pytest.raises(CommunicationError, match="connection broke"):
        call(server, method, transport)


@every_way
def test_an_old_server_that_closes_after_each_answer_is_understood(method, transport):
    reply = OK.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"content-length", b"x-length")
    with RawServer(sending(reply)) as server:
        assert call(server, method, transport) == "ok"


@every_way
def test_header_fields_that_are_no_text_do_no_harm(method, transport):
    reply = OK.replace(b"\r\n", b"\r\nx-odd: \xe9\xff\r\nretry-after: \xff\r\n", 1)
    with RawServer(answering(reply)) as server:
        assert call(server, method, transport) == "ok"


# -- connections ---------------------------------------------------------------------------------


@every_way
def test_without_a_connection_the_next_instance_is_asked_whatever_the_operation_does(method, transport):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with RawServer(answering(OK)) as server, manager_for(CHANNEL, transport, selector="first") as manager:
        shop = manager.get_service(Shop, CHANNEL, address=(nobody, server.address))
        assert called(shop, method) == "ok"
        assert len(server.requests) == 1


@every_way
def test_connecting_takes_no_longer_than_is_said(method, transport):
    with socket.socket() as full, socket.socket() as first, RawServer(answering(OK)) as server:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())  # now no more are let in, and none is refused
        silent = f"http://127.0.0.1:{full.getsockname()[1]}"
        settings = {"connect_timeout": 0.1}
        with manager_for(CHANNEL, transport, selector="first", settings=settings) as manager:
            shop = manager.get_service(Shop, CHANNEL, address=(silent, server.address))
            assert called(shop, method) == "ok"


@every_way
def test_nobody_there_is_a_communication_error_that_names_no_address(method, transport):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with proxy_of(Shop, CHANNEL, f"http://127.0.0.1:{port}", transport, policies=ONCE) as shop:
        with pytest.raises(CommunicationError) as caught:
            called(shop, method)
        assert str(caught.value) == "the server cannot be reached"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_one_connection_serves_calls_one_after_the_other(transport):
    with RawServer(answering(OK)) as server, manager_for(CHANNEL, transport) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)
        assert [shop.buy() for _ in range(3)] == ["ok"] * 3
        assert server.connections == 1

        async def calls():
            results = [await shop.abuy() for _ in range(3)]
            await manager.aclose()
            return results

        assert asyncio.run(calls()) == ["ok"] * 3
        assert server.connections == 2


class Busy:
    """A script that counts how many requests it has at once."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __call__(self, server, connection, _):
        while server.read_request(connection):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            threading.Event().wait(0.005)
            with self.lock:
                self.now -= 1
            connection.sendall(OK)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_calls_at_once_share_a_limited_number_of_connections(transport):
    settings, busy = {"max_connections": 4}, Busy()
    with RawServer(busy) as server, manager_for(CHANNEL, transport, settings=settings) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)

        async def calls():
            results = await asyncio.gather(*(shop.abuy() for _ in range(30)))
            await manager.aclose()
            return results

        assert asyncio.run(calls()) == ["ok"] * 30
        results = []
        threads = [threading.Thread(target=lambda: results.append(shop.buy())) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert results == ["ok"] * 30
        assert 2 <= busy.most <= 4


def closing_on_the_second_request(server, connection, number):
    """As a server does whose idle connection ends just when a request arrives."""
    server.read_request(connection)
    connection.sendall(OK)
    server.read_request(connection)
    if number > 1:
        connection.sendall(OK)


@safely
def test_a_safe_call_on_a_connection_that_just_ended_is_sent_once_more(method, transport):
    with RawServer(closing_on_the_second_request) as server:
        assert twice(server, method, transport) == ["ok", "ok"]
        assert (server.connections, len(server.requests)) == (2, 3)


@every_way
def test_any_other_call_is_not(method, transport):
    with RawServer(closing_on_the_second_request) as server:
        with pytest.raises(CommunicationError, match="the connection broke"):
            twice(server, method, transport)
        assert (server.connections, len(server.requests)) == (1, 2)


def twice(server, method, transport):
    with manager_for(CHANNEL, transport, policies=ONCE) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)
        if method in ("buy", "look"):
            return [getattr(shop, method)() for _ in range(2)]

        async def calls():
            try:
                return [await getattr(shop, method)() for _ in range(2)]
            finally:
                await manager.aclose()

        return asyncio.run(calls())


@safely
def test_a_safe_call_on_a_new_connection_is_sent_once(method, transport):
    with RawServer(sending()) as server:
        with pytest.raises(CommunicationError):
            call(server, method, transport)
        assert server.connections == 1


@every_way
def test_a_connection_that_the_server_closed_while_idle_is_not_used(method, transport):
    def closes(server, connection, _):
        server.read_request(connection)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    closed = threading.Event()
    with RawServer(closes) as server, manager_for(CHANNEL, transport, policies=ONCE) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)

        async def calls():
            for _ in range(3):
                closed.clear()
                result = getattr(shop, method)()
                assert (await result if method == "abuy" else result) == "ok"
                await asyncio.to_thread(closed.wait, LIMIT)
                await asyncio.sleep(0.02)  # for the end to arrive at this side
            await manager.aclose()

        asyncio.run(calls())
        assert server.connections == 3


NOT_ASKED_FOR = json_answer(b'{"result":"of nobody","exception":null}')
BEYOND = {
    "another answer": OK + NOT_ASKED_FOR,
    "another answer after chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + NOT_ASKED_FOR,
    "the body of a 204": b"HTTP/1.1 204 X\r\n\r\n" + NOT_ASKED_FOR,
    "the body of a 304": b"HTTP/1.1 304 X\r\ncontent-length: 99\r\n\r\n" + NOT_ASKED_FOR,
    "a line": OK + b"\r\n",
    "an interim answer": OK + b"HTTP/1.1 100 Continue\r\n\r\n",
}


@every_way
@pytest.mark.parametrize("case", BEYOND)
def test_what_comes_behind_an_answer_is_not_the_answer_to_the_next_call(case, method, transport):
    with (
        RawServer(answering(BEYOND[case], OK)) as server,
        manager_for(CHANNEL, transport, policies=ONCE) as manager,
    ):
        assert second_result(manager, method, server.address) == "ok"
        assert (server.connections, len(server.requests)) == (2, 2)


def second_result(manager, method, address):
    """That of the second of two calls; the first may fail."""
    shop = manager.get_service(Shop, CHANNEL, address=address)
    if method == "buy":
        with suppress(UnimicroError):
            shop.buy()
        return shop.buy()

    async def calls():
        with suppress(UnimicroError):
            await shop.abuy()
        try:
            return await shop.abuy()
        finally:
            await manager.aclose()

    return asyncio.run(calls())


# -- cancellation ----------------------------------------------------------------------------------


def until_gone(seen):
    def script(server, connection, _):
        server.read_request(connection)
        seen["asked"].set()
        if connection.recv(1) == b"":
            seen["gone"].set()

    return script


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_that_is_cancelled_ends_its_connection(transport):
    seen = {"asked": threading.Event(), "gone": threading.Event()}
    with RawServer(until_gone(seen)) as server, manager_for(CHANNEL, transport) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)

        async def cancelled():
            task = asyncio.create_task(shop.abuy())
            assert await asyncio.to_thread(seen["asked"].wait, LIMIT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(seen["gone"].wait, LIMIT)
            await manager.aclose()

        asyncio.run(cancelled())


@every_way
def test_a_call_that_is_late_ends_its_connection(method, transport):
    seen = {"asked": threading.Event(), "gone": threading.Event()}
    with RawServer(until_gone(seen)) as server:
        with pytest.raises(DeadlineExceeded):
            call(server, method, transport, timeout=0.1)
        assert seen["gone"].wait(LIMIT)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_waits_for_a_connection_until_its_deadline_only(transport):
    seen = {"asked": threading.Event(), "gone": threading.Event()}
    with (
        RawServer(until_gone(seen)) as server,
        manager_for(
            CHANNEL, transport, settings={"max_connections": 1}, policies=(*ONCE, Deadline(timeout=0.3))
        ) as manager,
    ):
        shop = manager.get_service(Shop, CHANNEL, address=server.address)

        async def calls():
            results = await asyncio.gather(*(shop.abuy() for _ in range(3)), return_exceptions=True)
            await manager.aclose()
            return results

        assert {type(result) for result in asyncio.run(calls())} == {DeadlineExceeded}
        assert len(server.requests) <= 2
