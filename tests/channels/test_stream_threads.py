"""Sync calls over ``stream``: from any thread, after a fork, and to the end."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.channels.http_servers import serving
from tests.channels.test_http_clients import certificate  # noqa: F401 - a fixture
from unimicro import App, Service, entry
from unimicro.channels.client.manager import ServiceManager
from unimicro.errors import DeadlineExceeded, Unavailable
from unimicro.pipeline.deadline import Deadline

ROOT = Path(__file__).parents[2]


class Numbers(Service):
    def __init__(self):
        super().__init__(name="numbers")
        self.go = threading.Event()
        self.began = threading.Event()
        self.cancelled = threading.Event()

    @entry(no_auth=True, safe=True, blocking=False)
    def twice(self, number: int) -> int:
        return 2 * number

    @entry(no_auth=True)
    async def async_twice(self, number: int) -> int:
        return 2 * number


class Slow(Numbers):
    """On the server the method is async, and can be cancelled."""

    @entry(no_auth=True, safe=True)
    async def twice(self, number: int) -> int:
        self.began.set()
        try:
            while not self.go.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return 2 * number


@pytest.fixture
def address():
    with serving(App(Numbers(), config={}).asgi) as address:
        yield address


@pytest.fixture
def slow():
    service = Slow()
    with serving(App(service, config={}).asgi) as address:
        service.address = address
        yield service
        service.go.set()


def manager_of(**options):
    return ServiceManager(config={"clients": {"retry": False, "breaker": False}}, **options)


def loop_threads():
    return [thread for thread in threading.enumerate() if thread.name == "unimicro-stream"]


def test_threads_share_one_connection_and_get_their_own_answers(address):
    with manager_of() as manager, ThreadPoolExecutor(16) as threads:
        proxy = manager.get_service(Numbers, "stream", address=address)
        assert list(threads.map(proxy.twice, range(500), timeout=30)) == [2 * n for n in range(500)]
        assert len(loop_threads()) == 1


def test_channels_share_one_loop_which_ends_with_the_last(address):
    first, second = manager_of(), manager_of()
    for manager in (first, second):
        assert manager.get_service(Numbers, "stream", address=address).twice(1) == 2
    assert len(loop_threads()) == 1
    first.close()
    assert len(loop_threads()) == 1
    second.close()
    assert not loop_threads()


def test_a_closed_proxy_connects_anew(address):
    with manager_of() as manager:
        proxy = manager.get_service(Numbers, "stream", address=address)
        for _ in range(3):
            assert proxy.twice(2) == 4
            manager.close()
            assert not loop_threads()


def test_sync_and_async_methods_of_one_proxy_work_in_one_program(address):
    async def body(proxy, manager):
        result = await proxy.async_twice(3), proxy.twice(4)
        await manager.aclose()
        return result

    with manager_of() as manager:
        proxy = manager.get_service(Numbers, "stream", address=address)
        assert asyncio.run(body(proxy, manager)) == (6, 8)


def test_a_thread_waits_no_longer_than_its_deadline(slow):
    with manager_of(policies=[Deadline(0.05)]) as manager:
        proxy = manager.get_service(Numbers, "stream", address=slow.address)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            proxy.twice(1)
        assert time.monotonic() - began >= 0.05
        assert slow.cancelled.wait(10)


def test_an_interrupt_cancels_the_call(slow):
    class Interrupted(Exception):
        pass

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_ident()

    def send():
        assert slow.began.wait(10)
        signal.pthread_kill(main, signal.SIGUSR1)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with manager_of(policies=[Deadline(60)]) as manager:
            proxy = manager.get_service(Numbers, "stream", address=slow.address)
            with pytest.raises(Interrupted):
                proxy.twice(1)
            assert slow.cancelled.wait(10)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def test_certificates_are_verified(certificate, monkeypatch):  # noqa: F811 - the fixture
    files = {"ssl_certfile": certificate / "certificate", "ssl_keyfile": certificate / "key"}
    with serving(App(Numbers(), config={}).asgi, **files) as address:
        for trusted in (True, False):
            if trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "authority"))
            else:
                monkeypatch.delenv("SSL_CERT_FILE")
            with manager_of() as manager:
                proxy = manager.get_service(Numbers, "stream", address=address)
                if trusted:
                    assert proxy.twice(1) == 2
                else:
                    with pytest.raises(Unavailable, match="cannot be reached"):
                        proxy.twice(1)


def test_a_server_that_cannot_be_reached_is_told_to_the_thread():
    with manager_of() as manager:
        proxy = manager.get_service(Numbers, "stream", address="http://127.0.0.1:1")
        for _ in range(3):
            with pytest.raises(Unavailable, match="cannot be reached"):
                proxy.twice(1)


def test_calls_of_other_threads_end_after_a_close(slow):
    with ThreadPoolExecutor(1) as threads, manager_of() as manager:
        proxy = manager.get_service(Numbers, "stream", address=slow.address)
        call = threads.submit(proxy.twice, 5)
        assert slow.began.wait(10)
        manager.close()
        slow.go.set()
        assert call.result(10) == 10
    for thread in loop_threads():
        thread.join(10)
    assert not loop_threads()


FORK = """
import os, sys
from tests.channels.test_stream_threads import Numbers, manager_of

with manager_of() as manager:
    proxy = manager.get_service(Numbers, "stream", address=sys.argv[1])
    print(proxy.twice(1), flush=True)
    child = os.fork()
    print(proxy.twice(2), flush=True)
    if child:
        os.waitpid(child, 0)
        print(proxy.twice(3), flush=True)
    else:
        manager.close()
        os._exit(0)
"""


def test_a_forked_child_connects_by_itself(address):
    command = [sys.executable, "-W", "ignore", "-c", FORK, address]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False)
    assert (run.returncode, run.stdout.split(), run.stderr) == (0, ["2", "4", "4", "6"], "")
