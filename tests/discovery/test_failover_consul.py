"""Processes of a service behind a real Consul that come and go, and a client that calls all the time."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cli.servers import UNIMICRO
from tests.discovery.registry_laws import eventually
from tests.discovery.shop import Orders
from tests.servers import programs
from tests.servers.processes import ServerProcess
from unimicro.channels.client.manager import ServiceManager
from unimicro.channels.registries.consul import ConsulRegistry
from unimicro.errors import Unavailable

SHOP = Path(__file__).parent / "shop.py"
SETTINGS = """
[registry]
kind = "consul"
url = "{url}"
check_interval = 1.0
"""
CALLERS = 2
"""Of each entry."""


@contextmanager
def shop(folder, name, url):
    """One process of the service, registered."""
    folder = folder / name
    folder.mkdir()
    (folder / "unimicro.toml").write_text(SETTINGS.format(url=url))

    def command(port):
        return [UNIMICRO, "serve", f"{SHOP}:app", "--port", str(port)]

    with ServerProcess(command, programs.http("/readyz", b"{"), folder) as server:
        yield server


class Callers:
    """Threads that call, one call after another each, and write down when it began and what came of it."""

    def __init__(self, orders):
        self.answered_by = {"find": {}, "place": {}}
        self.failures = {"find": [], "place": []}
        self._orders = orders
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(method, number))
            for method in self.failures
            for number in range(CALLERS)
        ]

    def _run(self, method, number):
        call = getattr(self._orders, method)
        while not self._ending.is_set():
            number += 1
            began = time.monotonic()
            try:
                pid, echoed = call(number)
                assert echoed == number
                self.answered_by[method][pid] = began
            except Exception as error:
                self.failures[method].append((began, error))
            # Not as fast as they can: the machine has other things to do.
            self._ending.wait(0.002)

    def answered_since(self, moment):
        """Processes that have answered calls of both kinds that began since then."""
        found = [{pid for pid, last in by.items() if last > moment} for by in self.answered_by.values()]
        return found[0] & found[1]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(20)


def show(folder, *, channel="", durable=False, gone_within=10.0, calm=0.0):
    """The whole story.

    Args:
        folder: For the files of all processes.
        channel: The client's own choice if empty.
        durable: Whether the agent keeps its data when it is started again.
        gone_within: Seconds from the kill of an instance until the client has forgotten its address.
        calm: Seconds between the events.
    """
    with ExitStack() as stack:
        (folder / "agent").mkdir()
        agent = stack.enter_context(programs.consul(folder / "agent", durable=durable))
        url = f"http://127.0.0.1:{agent.port}"
        one = stack.enter_context(shop(folder, "one", url))
        two = stack.enter_context(shop(folder, "two", url))
        registry = ConsulRegistry(url=url, timeout=5.0)
        stack.callback(registry.close)
        eventually(lambda: passing(registry) == {one.port, two.port})
        manager = stack.enter_context(ServiceManager(registry=registry, config={}))
        orders = manager.get_service(Orders, channel)
        ((_, endpoints),) = manager._ways.values()

        def ports():
            return {int(endpoint.uri.rpartition(":")[2]) for endpoint in endpoints.current}

        with Callers(orders) as callers:
            both = {one.pid, two.pid}
            eventually(lambda: callers.answered_since(0) == both)
            time.sleep(calm)

            # One is killed: what was not in flight there succeeds, and its address is forgotten.
            one.kill()
            killed = time.monotonic()
            eventually(lambda: ports() == {two.port})
            assert time.monotonic() - killed < gone_within
            time.sleep(calm)

            # A third is started: it gets calls.
            three = stack.enter_context(shop(folder, "three", url))
            started = time.monotonic()
            eventually(lambda: callers.answered_since(started) == {two.pid, three.pid})
            time.sleep(calm)

            # The agent is killed, and started again: the services register again.
            agent.kill()
            down = time.monotonic()
            eventually(lambda: callers.answered_since(down) == {two.pid, three.pid})
            time.sleep(calm)
            agent.start()
            eventually(lambda: {two.port, three.port} <= passing(registry))
            again = time.monotonic()
            eventually(lambda: callers.answered_since(again) == {two.pid, three.pid})
            eventually(lambda: ports() == {two.port, three.port})
            time.sleep(calm)
        assert callers.failures["find"] == []
        failed = callers.failures["place"]
        assert len(failed) <= CALLERS
        assert all(began < killed and isinstance(error, Unavailable) for began, error in failed)


def passing(registry):
    try:
        found = registry.find("orders")
    except OSError:
        return set()
    return {
        int(i.addresses[0].uri.rpartition(":")[2]) for i in found if i.status == "passing" and i.addresses
    }


def test_calls_go_on_while_instances_and_the_agent_are_killed_and_started(tmp_path):
    show(tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("durable", [False, True], ids=["empty", "durable"])
@pytest.mark.parametrize("channel", ["dispatch-json", "dispatch-msgpack", "rest", "stream"])
def test_the_same_for_longer_with_each_channel(tmp_path, channel, durable):
    show(tmp_path, channel=channel, durable=durable, gone_within=1.0 + 2.0, calm=3.0)
