"""Two instances behind a registry are restarted one after the other, while a client calls in a loop."""

from __future__ import annotations

import http.client
import threading
from contextlib import ExitStack

import pytest

from tests.cli.servers import LIMIT, until
from tests.health.shops import SERVE, registered, shop
from unimicro import Service, entry
from unimicro.channels.client.manager import ServiceManager
from unimicro.channels.registries.file import FileRegistry


class Shop(Service):
    """As a client declares it."""

    @entry("GET", "/", safe=True)
    def get(self) -> str: ...


class Calling:
    """Calls in a thread until the block ends; what failed and who answered."""

    def __init__(self, call):
        self._call = call
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answered_by: dict[str, int] = {}
        self.failures: list[str] = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self._ending.set()
        self._thread.join(LIMIT)

    def _run(self):
        while not self._ending.is_set():
            try:
                who = self._call()
            except Exception as error:
                self.failures.append(repr(error))
            else:
                self.answered_by[who] = self.answered_by.get(who, 0) + 1


class OverSockets:
    """A client that keeps a connection to each address and asks the registry before each call; no retries."""

    def __init__(self, registry):
        self._registry = registry
        self._kept: dict[str, http.client.HTTPConnection] = {}
        self._turn = 0

    def __call__(self):
        found = [each for each in self._registry.find("shop") if each.status != "critical"]
        addresses = [each.addresses[0].uri.removeprefix("http://") for each in found]
        for gone in self._kept.keys() - set(addresses):
            self._kept.pop(gone).close()
        self._turn += 1
        address = addresses[self._turn % len(addresses)]
        connection = self._kept.setdefault(address, http.client.HTTPConnection(address, timeout=10))
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()

    def close(self):
        for connection in self._kept.values():
            connection.close()


def restart_each_in_turn(folder, stack, calling):
    first = stack.enter_context(shop(folder, SERVE))
    second = stack.enter_context(shop(folder, SERVE))
    stack.enter_context(calling)
    until(lambda: len(calling.answered_by) == 2, "both answer")
    for old in (first, second):
        assert old.end() == 0
        new = stack.enter_context(shop(folder, SERVE, port=old.port))
        until(lambda new=new: str(new.process.pid) in calling.answered_by, "the new one answers")
    calling.end()
    assert registered(folder) == {first.instance, second.instance}


@pytest.mark.soak
def test_no_request_of_a_client_with_kept_connections_fails(tmp_path):
    registry = FileRegistry(tmp_path / "registry.json")
    client = OverSockets(registry)
    calling = Calling(client)
    with ExitStack() as stack:
        stack.callback(registry.close)
        stack.callback(client.close)
        restart_each_in_turn(tmp_path, stack, calling)
    assert calling.failures == []
    assert len(calling.answered_by) == 4


@pytest.mark.soak
@pytest.mark.parametrize("channel", ["dispatch-msgpack", "rest", "stream"])
def test_no_call_through_a_proxy_fails_without_retries(tmp_path, channel):
    registry = FileRegistry(tmp_path / "registry.json", refresh=0.1)
    config = {"clients": {"retry": False, "hedge": False}}
    with ExitStack() as stack:
        stack.callback(registry.close)
        manager = stack.enter_context(ServiceManager(registry=registry, config=config))
        proxy = manager.get_service(Shop, channel)
        calling = Calling(proxy.get)
        restart_each_in_turn(tmp_path, stack, calling)
    assert calling.failures == []
    assert len(calling.answered_by) == 4
