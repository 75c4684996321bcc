"""The list of endpoints: how it follows a registry, and what is kept of those that stay."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref

import pytest

from tests.discovery.played import (
    CHECK,
    Orders,
    broken,
    instance,
    refused,
)
from tests.discovery.registry_laws import eventually
from unimicro import App, Breaker, Retry
from unimicro.channels.client.endpoints import Endpoints, uris_of
from unimicro.channels.client.manager import ServiceManager
from unimicro.channels.registries.memory import MemoryRegistry
from unimicro.discovery import ChannelAddress, RegistryUnavailable
from unimicro.errors import ConfigurationError, Unavailable
from unimicro.outcome import Right
from unimicro.pipeline.clock import VirtualClock


@pytest.fixture
def registry():
    registry = MemoryRegistry()
    yield registry
    registry.close()


@pytest.fixture
def seen():
    """The endpoints that were there to choose from last."""
    return []


@pytest.fixture
def orders(registry, played, clock, seen):
    """``orders(*uris, **options)`` → a proxy whose instances are those of ``registry``."""
    managers = []

    def make(*uris, **options):
        for uri in uris:
            registry.register(instance(uri), CHECK)

        class Spy:
            def choose(self, endpoints):
                seen[:] = endpoints
                return endpoints[0]

        given = {"registry": registry, "clock": clock, "config": {}, "selector": Spy, **options}
        managers.append(ServiceManager(**given))
        return managers[-1].get_service(Orders, "played")

    yield make
    for manager in managers:
        manager.close()


def when_asked_there_are(orders, seen, *uris):
    def as_wanted():
        orders.find()
        return [endpoint.uri for endpoint in seen] == list(uris)

    eventually(as_wanted)


def test_instances_come_and_go_without_a_restart(orders, registry, seen):
    proxy = orders("a", "b")
    when_asked_there_are(proxy, seen, "a", "b")
    registry.register(instance("c"), CHECK)
    when_asked_there_are(proxy, seen, "a", "b", "c")
    registry.deregister("orders-a")
    when_asked_there_are(proxy, seen, "b", "c")


def test_a_proxy_made_before_any_instance_calls_the_first_that_comes(registry, played, drive):
    class Clock(VirtualClock):
        """While it waits somebody registers."""

        def sleep(self, seconds):
            super().sleep(seconds)
            self.come()

        async def asleep(self, seconds):
            await super().asleep(seconds)
            self.come()

        def come(self):
            registry.register(instance("a"), CHECK)
            eventually(lambda: played.made)

    manager = ServiceManager(registry=registry, clock=Clock(), config={})
    proxy = manager.get_service(Orders, "played")
    assert drive(proxy, "place") == "a"
    manager.close()


def test_without_instances_a_call_says_so(orders, registry, drive, clock):
    proxy = orders()
    with pytest.raises(Unavailable, match="no instance of 'orders' is known on channel 'played'"):
        drive(proxy, "place")
    assert len(clock.waits) == 2  # they might have come


def test_an_honest_empty_list_is_honoured(orders, registry, played, drive):
    proxy = orders("a")
    assert drive(proxy, "find") == "a"
    registry.deregister("orders-a")
    eventually(lambda: played.closed == ["a"])
    with pytest.raises(Unavailable, match="no instance"):
        drive(proxy, "find")


def test_what_is_known_of_an_instance_survives_changes_of_the_list(orders, registry, seen, played):
    proxy = orders("a", "b", policies=[Breaker(minimum_calls=2, window=4), Retry(mode="off")])
    played.answers["a"] = broken
    for _ in range(2):
        with pytest.raises(Unavailable):
            proxy.find()
    before = list(seen)
    registry.register(instance("c"), CHECK)
    eventually(lambda: (proxy.find(), len(played.made) == 3)[1])
    played.asked.clear()
    proxy.find()
    assert played.asked == ["b"]
    assert all(endpoint in before for endpoint in seen if endpoint.uri in ("a", "b"))
    # One that was gone starts anew.
    registry.deregister("orders-a")
    eventually(lambda: "a" in played.closed)
    registry.register(instance("a"), CHECK)
    eventually(lambda: sum(made.uri == "a" for made in played.made) == 2)
    assert not any(endpoint in before for endpoint in seen if endpoint.uri == "a")


def replace_a_by_c(registry, played):
    registry.deregister("orders-a")
    registry.register(instance("c"), CHECK)
    eventually(lambda: any(made.uri == "c" for made in played.made))


@pytest.mark.parametrize("method", ["find", "place"])
def test_a_call_under_way_to_an_instance_that_is_taken_back_ends_well(
    orders, registry, played, drive, method
):
    proxy = orders("a", "b")

    def removed_meanwhile(_):
        replace_a_by_c(registry, played)
        assert played.closed == []
        return Right("a all the same")

    played.answers["a"] = removed_meanwhile
    assert drive(proxy, method) == "a all the same"
    assert played.closed == ["a"]
    assert drive(proxy, method) == "b"


def test_an_instance_that_goes_while_it_is_chosen_is_not_called(registry, played, clock, drive):
    for uri in ("a", "b"):
        registry.register(instance(uri), CHECK)

    class Slow:
        def choose(self, endpoints):
            chosen = endpoints[0]
            if chosen.uri == "a":
                replace_a_by_c(registry, played)
                eventually(lambda: played.closed == ["a"])
            return chosen

    with ServiceManager(registry=registry, clock=clock, config={}, selector=Slow) as manager:
        assert drive(manager.get_service(Orders, "played"), "place") == "b"
    assert played.asked == ["b"]


def test_of_many_calls_under_way_the_last_closes_the_connection_once(orders, registry, played):
    proxy, inside, go_on = orders("a", "b"), threading.Barrier(5, timeout=20), threading.Event()

    def wait(_):
        inside.wait()
        assert go_on.wait(20)
        return Right("a")

    played.answers["a"] = wait
    threads = [threading.Thread(target=proxy.find) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.wait()
    replace_a_by_c(registry, played)
    assert proxy.find() == "b"
    assert played.closed == []
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert played.closed == ["a"]


def test_async_calls_under_way_are_waited_for_too(orders, registry, played):
    proxy = orders("a", "b")

    async def main():
        go_on = asyncio.Event()

        async def wait():
            await go_on.wait()
            return Right("a")

        played.answers["a"] = lambda _: wait()
        calls = [asyncio.create_task(proxy.afind()) for _ in range(3)]
        await asyncio.sleep(0.01)
        await asyncio.to_thread(replace_a_by_c, registry, played)
        assert await proxy.afind() == "b"
        assert played.closed == []
        calls.pop().cancel()
        go_on.set()
        assert await asyncio.gather(*calls) == ["a", "a"]
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 20))
    assert played.closed == ["a"]


def test_an_address_that_is_none_is_left_out_with_a_warning(orders, registry, seen, caplog):
    proxy = orders("a", "b")
    with caplog.at_level(logging.WARNING, "unimicro"):
        registry.register(instance("bad"), CHECK)
        registry.register(instance("c"), CHECK)
        when_asked_there_are(proxy, seen, "a", "b", "c")
    assert "'bad' is no address" in caplog.text


@pytest.mark.parametrize("bad", ["bad", "breaks"])
def test_it_takes_none_of_the_others_away_when_the_proxy_is_made(orders, drive, bad):
    assert drive(orders(bad, "a"), "find") == "a"


def test_nor_does_one_on_which_the_channel_breaks(orders, registry, seen):
    proxy = orders("a")
    registry.register(instance("breaks"), CHECK)
    registry.register(instance("c"), CHECK)
    when_asked_there_are(proxy, seen, "a", "c")


def test_a_manager_that_was_closed_follows_the_registry_again(registry, played):
    registry.register(instance("a"), CHECK)
    manager = ServiceManager(registry=registry, config={})
    old = manager.get_service(Orders, "played")
    manager.close()
    registry.deregister("orders-a")
    registry.register(instance("b"), CHECK)
    assert old.find() == "a"  # nobody told it
    new = manager.get_service(Orders, "played")
    assert [new.find(), old.find()] == ["b", "b"]
    registry.register(instance("c"), CHECK)
    eventually(lambda: new.find() in ("b", "c") and played.made[-1].uri == "c")
    manager.close()


def test_a_watch_that_cannot_begin_is_a_clear_error_and_is_begun_by_the_next_proxy(registry, monkeypatch):
    def closed(*_):
        raise RegistryUnavailable("closed")

    with ServiceManager(registry=registry, config={}) as manager:
        with monkeypatch.context() as patch:
            patch.setattr(registry, "watch", closed)
            with pytest.raises(ConfigurationError, match="does not answer: closed"):
                manager.get_service(Orders, "played")
        proxy = manager.get_service(Orders, "played")
        registry.register(instance("a"), CHECK)
        eventually(lambda: succeeded(proxy))


def succeeded(proxy):
    try:
        return proxy.find() == "a"
    except Unavailable:
        return False


def test_a_manager_finds_instances_where_its_app_does(registry, played):
    class Front(Orders):
        name = "front"

    registry.register(instance("a"), CHECK)
    with ServiceManager(app=App(Front(), registry=registry, config={})) as manager:
        assert manager.get_service(Orders, "played").find() == "a"


def test_a_registry_of_the_manager_ends_with_it():
    from unimicro.channels.registries.memory import memory_registry

    table = {"kind": "memory", "name": "ends-with-it"}
    manager = ServiceManager(config={"registry": table})
    manager.get_service(Orders, "played")
    manager.close()
    shared = memory_registry("ends-with-it")
    shared.register(instance("a"), CHECK)
    assert manager.get_service(Orders, "played").find() == "a"
    manager.close()
    eventually(lambda: all(each.name != "unimicro-watch-orders" for each in threading.enumerate()))
    shared.close()


@pytest.mark.parametrize(
    ("offers", "channel"),
    [
        ([], "dispatch-msgpack"),
        (["rest"], "rest"),
        (["rest stream", "rest stream"], "rest"),
        (["dispatch-msgpack", "rest", "rest"], "rest"),
        (["! dispatch-msgpack", "! dispatch-msgpack", "stream"], "stream"),
        (["! rest"], "rest"),
        (["local played"], "dispatch-msgpack"),
    ],
)
def test_the_channel_that_is_taken_is_the_one_that_most_of_those_alive_have(offers, channel):
    from unimicro.channels.client.manager import _offered

    instances = [
        instance(str(number), "critical" if "!" in given else "passing")._replace(
            addresses=tuple(ChannelAddress(name, f"http://{number}") for name in given.split() if name != "!")
        )
        for number, given in enumerate(offers)
    ]
    assert _offered(instances) == channel


def test_a_connection_that_cannot_be_closed_is_logged_and_harms_nobody(
    orders, registry, seen, played, caplog, monkeypatch
):
    proxy = orders("a", "b", "c")
    when_asked_there_are(proxy, seen, "a", "b", "c")
    monkeypatch.setattr(played.made[0], "close", lambda: 1 / 0)
    registry.deregister("orders-a")
    when_asked_there_are(proxy, seen, "b", "c")
    eventually(lambda: "a connection could not be closed" in caplog.text)


def test_instances_that_come_and_go_leave_nothing_behind(orders, registry, played):
    proxy = orders("a", policies=[Breaker(mode="off")])
    alive = []
    for number in range(20):
        registry.register(instance(f"n{number}"), CHECK)
        eventually(lambda number=number: played.made[-1].uri == f"n{number}")
        played.answers["a"] = refused
        proxy.find()
        alive.append(weakref.ref(played.made[-1]))
        registry.deregister(f"orders-n{number}")
        eventually(lambda number=number: f"n{number}" in played.closed)
    played.made.clear()
    played.answers.clear()
    registry.register(instance("z"), CHECK)
    eventually(lambda: (proxy.find(), played.made)[1])
    played.answers["a"] = refused
    proxy.find()
    gc.collect()
    assert sum(ref() is not None for ref in alive) <= 1


# -- which instances may be called -------------------------------------------------------------


def at(uri, status="passing", channel="played"):
    return instance(uri, status)._replace(addresses=(ChannelAddress(channel, uri),))


@pytest.mark.parametrize(
    ("statuses", "called"),
    [
        ("", ""),
        ("p", "0"),
        ("c", "0"),
        ("pc", "0"),
        ("pw", "01"),
        ("wc", "0"),
        ("cc", "01"),
        ("pcc", "012"),
        ("ppc", "01"),
        ("pccc", "0123"),
        ("ppcc", "01"),
        ("pwccc", "01234"),
    ],
)
def test_those_that_are_not_critical_are_called_and_all_when_most_are(statuses, called):
    names = {"p": "passing", "w": "warning", "c": "critical"}
    instances = [at(str(number), names[letter]) for number, letter in enumerate(statuses)]
    assert "".join(uris_of(instances, "played")) == called


def test_instances_without_the_channel_do_not_count():
    others = [at(f"x{number}", "critical", "rest") for number in range(5)]
    assert uris_of([*others, at("a"), at("b", "critical")], "played") == ["a"]


def test_an_instance_may_have_several_addresses_on_a_channel():
    both = instance("a")._replace(
        addresses=(ChannelAddress("played", "a"), ChannelAddress("rest", "r"), ChannelAddress("played", "b"))
    )
    assert uris_of([both, at("c", "critical")], "played") == ["a", "b"]


def test_an_address_that_two_instances_give_is_one_endpoint(played, clock):
    from unimicro.channels.client.channel import ChannelContext

    endpoints = Endpoints(played(ChannelContext(clock, "orders")), ["a"])
    endpoints.take([at("a"), at("a")._replace(id="started-anew"), at("b")])
    assert [endpoint.uri for endpoint in endpoints.current] == ["a", "b"]
