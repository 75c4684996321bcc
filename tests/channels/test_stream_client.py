"""The channel ``stream`` against real servers: calls, deadlines, cancellation, reconnecting, draining."""

import asyncio
import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.channels.stream_servers import deadline, proxy_to, served
from tests.channels.stream_service import Depot, Node, Sold, depot
from unimicro.channels.client.manager import ServiceManager
from unimicro.errors import (
    ConfigurationError,
    DeadlineExceeded,
    DefinitionError,
    Internal,
    InvalidArgument,
    Unauthenticated,
    Unavailable,
)
from unimicro.forms import Upload
from unimicro.pipeline.deadline import Deadline


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario, 40))


def with_depot(scenario, server=None, **client):
    """Run ``scenario(proxy, service, app)`` with a proxy of a depot on uvicorn."""

    async def body():
        app = depot(**(server or {}))
        async with served(app) as address, proxy_to(address, **client) as proxy:
            return await scenario(proxy, app.services[0], app)

    return run(body())


def connections(app):
    return app.door("fastapi").stream._connections


# -- calls -------------------------------------------------------------------------------------


def test_typed_values_arrive_and_come_back():
    async def scenario(proxy, *_):
        return await proxy.echo(Node("a", [Node("b")])), await proxy.echo(tree=Node("c"))

    assert with_depot(scenario) == (Node("a", [Node("b")]), Node("c"))


def test_calls_at_once_share_one_connection_and_get_their_own_answers():
    async def scenario(proxy, _, app):
        values = [str(number) for number in range(2000)]
        got = await asyncio.gather(*map(proxy.same, values))
        return got == values, len(connections(app))

    assert with_depot(scenario) == (True, 1)


def test_a_declared_error_is_raised_as_itself():
    async def scenario(proxy, *_):
        with pytest.raises(Sold, match="sku-1"):
            await proxy.sell("sku-1")

    with_depot(scenario)


def test_the_token_travels_with_each_call():
    async def body():
        app = depot()
        async with served(app) as address:
            async with ServiceManager(token="good") as manager:
                proxy = manager.get_service(Depot, "stream", address=address)
                assert await proxy.guarded() == "in"
            async with ServiceManager() as manager:
                proxy = manager.get_service(Depot, "stream", address=address)
                with pytest.raises(Unauthenticated):
                    await proxy.guarded()

    run(body())


def test_no_log_shows_a_token_or_an_argument(caplog):
    async def body():
        async with served(depot()) as address, ServiceManager(token="t0ken") as manager:
            proxy = manager.get_service(Depot, "stream", address=address)
            await proxy.same("h1dd3n")

    with caplog.at_level(logging.DEBUG):
        run(body())
    assert "t0ken" not in caplog.text
    assert "h1dd3n" not in caplog.text
    # The package websockets would show the octets of small messages.
    assert not [record for record in caplog.records if "websocket" in record.name]


def test_a_slow_call_does_not_hold_up_others():
    async def scenario(proxy, service, _):
        slow = asyncio.create_task(proxy.slow(1))
        await service.until(lambda: service.began)
        assert await proxy.same("quick") == "quick"
        service.go.set()
        return await slow

    assert with_depot(scenario) == 1


# -- large ones --------------------------------------------------------------------------------


def test_small_calls_end_before_large_ones_that_were_begun_before_them():
    """Ten megabytes each way; told by the order in which the calls end."""

    async def scenario(proxy, *_):
        ended = []

        async def call(name, value):
            assert await proxy.same(value) == value
            ended.append(name)

        large = [asyncio.create_task(call("large", "x" * 10_000_000)) for _ in range(2)]
        await asyncio.sleep(0)
        for number in range(20):
            await call(number, "small")
        await asyncio.gather(*large)
        return ended

    assert with_depot(scenario, {"max_body_bytes": 11_000_000}) == [*range(20), "large", "large"]


def test_a_result_above_max_bytes_is_a_failure_and_the_connection_goes_on():
    async def scenario(proxy, _, app):
        with pytest.raises(Internal, match="the answer is longer than 100000 bytes"):
            await proxy.large(5_000_000)
        assert len(await proxy.large(90_000)) == 90_000
        return len(connections(app))

    assert with_depot(scenario, max_bytes=100_000) == 1


def test_arguments_above_the_servers_limit_are_refused_without_sending_them():
    async def scenario(proxy, _, app):
        with pytest.raises(InvalidArgument, match="larger than 1000 bytes"):
            await proxy.same("x" * 5_000_000)
        with pytest.raises(InvalidArgument, match="larger than 1000 bytes"):
            await proxy.same("x" * 1500)
        assert await proxy.same("x" * 900) == "x" * 900
        return len(connections(app))

    assert with_depot(scenario, {"max_body_bytes": 1000}) == 1


# -- deadlines and cancellation ----------------------------------------------------------------


def test_a_call_ends_at_its_deadline_on_both_sides():
    async def scenario(proxy, service, app):
        with pytest.raises(DeadlineExceeded):
            await proxy.slow(1)
        await service.until(lambda: service.cancelled)
        assert await proxy.same("next") == "next"
        return len(connections(app))

    assert with_depot(scenario, policies=[Deadline(0.05)]) == 1


def test_a_cancelled_call_is_cancelled_in_the_service():
    async def scenario(proxy, service, app):
        calls = [asyncio.create_task(proxy.slow(number)) for number in (1, 2)]
        await service.until(lambda: len(service.began) == 2)
        calls[0].cancel()
        await service.until(lambda: service.cancelled)
        service.go.set()
        await asyncio.wait(calls)
        return service.cancelled, calls[0].cancelled(), calls[1].result(), len(connections(app))

    assert with_depot(scenario) == ([1], True, 2, 1)


def test_a_call_that_is_cancelled_while_it_waits_for_its_turn_is_never_begun():
    async def scenario(proxy, service, _):
        first, second = (asyncio.create_task(proxy.slow(number)) for number in (1, 2))
        await service.until(lambda: service.began)
        await proxy_turns()
        second.cancel()
        await proxy_turns()
        service.go.set()
        await first
        await proxy.same("b")
        return service.began

    assert with_depot(scenario, {"channels": {"stream": {"max_calls": 1}}}) == [1]


def test_a_call_that_is_cancelled_while_it_is_sent_leaves_nothing_behind():
    async def scenario(proxy, service, app):
        await proxy.same("a")
        (connection,) = connections(app)
        for _ in range(20):
            call = asyncio.create_task(proxy.echo(Node("x" * 9_000_000)))
            while not connection._arriving._arriving:  # noqa: ASYNC110 - it is no event
                await asyncio.sleep(0)
            call.cancel()
        assert await proxy.same("b") == "b"
        return connection._arriving._arriving, connections(app) == {connection}

    assert with_depot(scenario) == ({}, True)


# -- back-pressure -----------------------------------------------------------------------------


def test_calls_beyond_the_servers_limit_wait_for_their_turn():
    async def scenario(proxy, service, _):
        calls = [asyncio.create_task(proxy.slow(number)) for number in range(7)]
        await service.until(lambda: len(service.began) == 3)
        await proxy_turns()
        assert len(service.began) == 3
        service.go.set()
        return await asyncio.gather(*calls)

    assert with_depot(scenario, {"channels": {"stream": {"max_calls": 3}}}) == list(range(7))


async def proxy_turns():
    """Let everything else run."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def until(reached):
    while not reached():  # noqa: ASYNC110 - it is no event
        await asyncio.sleep(0.001)


def test_a_call_that_waits_for_its_turn_keeps_to_its_deadline():
    async def scenario(proxy, service, _):
        first = asyncio.create_task(proxy.slow(1))
        await service.until(lambda: service.began)
        with deadline(0.05), pytest.raises(DeadlineExceeded, match="not sent"):
            await proxy.same("x")
        service.go.set()
        assert await proxy.same("y") == "y"
        return await first

    assert with_depot(scenario, {"channels": {"stream": {"max_calls": 1}}}) == 1


def test_a_cancelled_call_makes_room_for_one_that_waits():
    async def scenario(proxy, service, _):
        first = asyncio.create_task(proxy.slow(1))
        await service.until(lambda: service.began)
        second = asyncio.create_task(proxy.same("x"))
        await proxy_turns()
        first.cancel()
        return await second

    assert with_depot(scenario, {"channels": {"stream": {"max_calls": 1}}}) == "x"


def test_a_turn_that_nobody_takes_goes_to_the_next():
    """Cancelled in the moment in which it was its turn, or without an argument that can be sent."""

    async def scenario(proxy, service, _):
        first = asyncio.create_task(proxy.slow(1))
        await service.until(lambda: service.began)
        late = [asyncio.create_task(proxy.same(value)) for value in ("a", object(), "b")]
        await proxy_turns()
        first.add_done_callback(lambda _: late[0].cancel())
        service.go.set()
        await first
        with pytest.raises(InvalidArgument):
            await late[1]
        return await late[2], late[0].cancelled()

    assert with_depot(scenario, {"channels": {"stream": {"max_calls": 1}}}) == ("b", True)


def test_who_waits_longest_is_next():
    async def scenario(proxy, service, _):
        first = asyncio.create_task(proxy.slow(0))
        await service.until(lambda: service.began)
        order = []

        async def call(number):
            await proxy.same(str(number))
            order.append(number)
            if number < 20:
                await call(number + 10)

        calls = [asyncio.create_task(call(number)) for number in range(1, 5)]
        await proxy_turns()
        service.go.set()
        await asyncio.gather(first, *calls)
        return order

    expected = [ten + number for ten in (0, 10, 20) for number in range(1, 5)]
    assert with_depot(scenario, {"channels": {"stream": {"max_calls": 1}}}) == expected


# -- the end of servers ------------------------------------------------------------------------


def test_a_server_that_is_started_again_is_connected_to_again():
    async def body():
        async with served(depot()) as address, proxy_to(address, backoff=0) as proxy:
            assert await proxy.same("a") == "a"
        port = int(address.rpartition(":")[2])
        async with proxy_to(address, backoff=0) as proxy:
            with pytest.raises(Unavailable, match="cannot be reached"):
                await proxy.same("b")
            for _ in range(3):
                async with served(depot(), port):
                    assert await proxy.same("c") == "c"

    run(body())


def test_calls_under_way_are_unavailable_when_the_server_goes_and_are_not_repeated():
    async def body():
        app = depot()
        service = app.services[0]
        other = depot()
        async with served(other) as standby:
            async with (
                served(app) as address,
                proxy_to(address, standby, config={"selector": "first"}) as proxy,
            ):
                call = asyncio.create_task(proxy.slow(1))
                await service.until(lambda: service.began)
                ending = asyncio.create_task(end(app))
                with pytest.raises(Unavailable, match="broke"):
                    await call
                await ending
            return other.services[0].began

    async def end(app):
        for connection in list(connections(app)):
            connection._writer.cancel()

    assert run(body()) == []


def test_calls_go_to_another_server_when_one_cannot_be_reached():
    async def body():
        async with served(depot()) as address, proxy_to("http://127.0.0.1:1", address) as proxy:
            return [await proxy.same(str(number)) for number in range(5)]

    assert run(body()) == list("01234")


def test_no_call_is_lost_while_servers_drain():
    """None may be repeated: each that a draining server refuses is begun elsewhere, the others end."""

    async def body():
        first, second = depot(), depot()
        async with served(first) as one, served(second) as two, proxy_to(one, two) as proxy:
            stop = asyncio.Event()
            done = []

            async def work(worker):
                number = 0
                while not stop.is_set():
                    number += 1
                    value = f"{worker}:{number}"
                    assert await proxy.same(value) == value
                    done.append(value)

            workers = [asyncio.create_task(work(worker)) for worker in range(16)]
            await until(lambda: len(done) >= 300)
            await first.door("fastapi").stream.drain(40)
            end = len(done) + 300
            await until(lambda: len(done) >= end or any(worker.done() for worker in workers))
            stop.set()
            await asyncio.gather(*workers)
            return len(set(done)) == len(done), len(connections(first))

    assert run(body()) == (True, 0)


def test_a_drain_lets_calls_under_way_end():
    async def scenario(proxy, service, app):
        call = asyncio.create_task(proxy.slow(1))
        await service.until(lambda: service.began)
        draining = asyncio.create_task(app.door("fastapi").stream.drain(40))
        await proxy_turns()
        with pytest.raises(Unavailable):
            await proxy.same("refused")
        service.go.set()
        await draining
        return await call

    assert with_depot(scenario) == 1


def test_closing_lets_calls_under_way_end():
    async def body():
        app = depot()
        service = app.services[0]
        async with served(app) as address:
            async with proxy_to(address) as proxy:
                call = asyncio.create_task(proxy.slow(1))
                await service.until(lambda: service.began)
                asyncio.get_running_loop().call_later(0.05, service.go.set)
            assert await call == 1
            await proxy_turns()
            return len(connections(app))

    assert run(body()) == 0


def test_each_event_loop_has_a_connection_of_its_own():
    async def body():
        app = depot()
        async with served(app) as address:
            manager = ServiceManager()
            proxy = manager.get_service(Depot, "stream", address=address)
            await proxy.same("here")

            async def elsewhere():
                assert await proxy.same("there") == "there"
                count = len(connections(app))
                await manager.aclose()
                return count

            count = await asyncio.to_thread(asyncio.run, elsewhere())
            assert await proxy.same("here again") == "here again"
            await manager.aclose()
            return count

    assert run(body()) == 2


class Reopening(asyncio.SelectorEventLoop):
    """Does something whenever it is asked whether it is closed."""

    meanwhile = None

    def is_closed(self):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().is_closed()


def test_loops_that_call_for_the_first_time_do_not_disturb_each_other():
    """A new loop forgets the closed ones: another thread's comes in between."""

    async def body():
        async with served(depot()) as address, ServiceManager() as manager:
            proxy = manager.get_service(Depot, "stream", address=address)
            old = Reopening()
            called, may_close = threading.Event(), threading.Event()

            async def elsewhere():
                result = await proxy.same("elsewhere")
                called.set()
                await asyncio.to_thread(may_close.wait, 20)
                await manager.aclose()
                return result

            async def here():
                result = await proxy.same("here")
                may_close.set()
                await manager.aclose()
                return result

            await asyncio.to_thread(old.run_until_complete, proxy.same("first"))
            with ThreadPoolExecutor(1) as threads:
                others = []

                def meanwhile():
                    others.append(threads.submit(asyncio.run, elsewhere()))
                    called.wait(0.5)

                old.meanwhile = meanwhile
                try:
                    found = await asyncio.to_thread(asyncio.run, here())
                finally:
                    may_close.set()
                found = found, *(other.result(20) for other in others)
            await asyncio.to_thread(old.run_until_complete, manager.aclose())
            old.close()
            return found

    assert run(body()) == ("here", "elsewhere")


# -- definitions and settings ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_call": 5}, "channels.stream: unknown setting 'max_call'; did you mean 'max_calls'"),
        ({"max_calls": 0}, "channels.stream.max_calls must be a whole number above 0, got 0"),
        ({"max_calls": 2.5}, "channels.stream.max_calls must be a whole number above 0, got 2.5"),
        ({"max_bytes": "1 MB"}, "channels.stream.max_bytes must be a whole number above 0, got '1 MB'"),
        ({"connect_timeout": 0}, "channels.stream.connect_timeout must be a finite number above 0, got 0"),
        ({"ping_interval": -1}, "channels.stream.ping_interval must be a finite number of at least 0"),
        ({"ping_timeout": math.nan}, "channels.stream.ping_timeout must be a finite number above 0, got nan"),
        ({"backoff": True}, "channels.stream.backoff must be a finite number of at least 0, got True"),
        ({"backoff_cap": math.inf}, "channels.stream.backoff_cap must be a finite number of at least 0"),
    ],
)
def test_a_wrong_setting_is_named_on_both_sides(settings, text):
    manager = ServiceManager(config={"channels": {"stream": settings}})
    with pytest.raises(ConfigurationError) as told:
        manager.get_service(Depot, "stream", address="http://127.0.0.1:1")
    assert text in str(told.value)
    with pytest.raises(ConfigurationError) as told:
        _ = depot(channels={"stream": settings}).asgi
    assert text in str(told.value)


@pytest.mark.parametrize(
    "address",
    ["ftp://host", "host:1", "http://", "http://h:99999", "http://u:p@h:1", "http://h?q", "http://h#f"],
)
def test_what_is_no_address_is_refused_when_the_proxy_is_made(address):
    with pytest.raises(ConfigurationError, match="channel 'stream'"):
        ServiceManager().get_service(Depot, "stream", address=address)


def test_files_are_refused_when_the_proxy_is_made():
    from unimicro import Service, entry

    class Files(Service):
        @entry
        async def put(self, *, file: Upload) -> None: ...

    with pytest.raises(DefinitionError, match="'stream' cannot carry"):
        ServiceManager().get_service(Files, "stream", address="http://127.0.0.1:1")


def test_an_argument_without_a_wire_form_is_a_failure_of_this_call_alone():
    async def scenario(proxy, *_):
        with pytest.raises(InvalidArgument, match="args: cannot be sent"):
            await proxy.same(object())
        return await proxy.same("next")

    assert with_depot(scenario) == "next"
