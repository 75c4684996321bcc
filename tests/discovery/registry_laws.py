"""What every registry must do; a test of one inherits it and makes registries."""

from __future__ import annotations

import http.server
import logging
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from unimicro.discovery import ChannelAddress, Check, Instance, RegistryUnavailable
from unimicro.errors import ConfigurationError

LIMIT = 15.0
"""Seconds that news may take on a machine that is busy with other things."""
CHECK = Check(interval=30.0)
"""So long that nothing is missed in a test."""
ROOT = Path(__file__).parents[2]

_names = count()


def instance_of(component: str, number: int = 1, **fields: Any) -> Instance:
    address = ChannelAddress("dispatch-json", f"http://127.0.0.1:{8000 + number}")
    return Instance(f"{component}-{number}", component, (address,))._replace(**fields)


def by_id(instances: Any) -> list[Instance]:
    """In an order; without what a registry may keep for its own order of them."""
    return sorted(instances, key=lambda instance: instance.id)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.lists: list[tuple[Instance, ...]] = []
        self._news = threading.Condition()

    def __call__(self, instances: tuple[Instance, ...]) -> None:
        with self._news:
            self.lists.append(instances)
            self._news.notify_all()

    def wait_for(self, wanted: Any) -> tuple[Instance, ...]:
        """Until the last list is so."""
        with self._news:
            found = self._news.wait_for(lambda: self.lists and wanted(self.lists[-1]), LIMIT)
            assert found, f"not heard; the last list is {self.lists[-1:]}"
            return self.lists[-1]

    def wait_for_ids(self, *ids: str) -> tuple[Instance, ...]:
        return self.wait_for(lambda instances: sorted(i.id for i in instances) == sorted(ids))


def eventually(condition: Any) -> Any:
    end = time.monotonic() + LIMIT
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return value


@contextmanager
def health_endpoint():
    """A server on loopback whose status can be set, and that counts: ``(url, answers)``."""
    answers = {"status": 200, "asked": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers["asked"] += 1
            self.send_response(answers["status"])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/health", answers
        finally:
            server.shutdown()
            thread.join(LIMIT)


class RegistryLaws:
    """Inherit it, give it a fixture ``make_registry``, which makes any number of the same and closes them.

    class TestMine(RegistryLaws):
        @pytest.fixture
        def make_registry(self): ...
    """

    interval = 0.1
    """Seconds between two checks by a URL: the least that the registry knows."""
    answers: ClassVar = [(503, "critical"), (429, "warning"), (204, "passing")]
    """HTTP statuses, and what an instance is that answers so."""

    @pytest.fixture
    def make_registry(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def registry(self, make_registry) -> Any:
        return make_registry()

    @pytest.fixture
    def component(self) -> str:
        return f"orders-{os.getpid()}-{next(_names)}"

    # -- register and find ---------------------------------------------------------------------

    def test_an_unknown_component_has_no_instances(self, registry, component):
        assert registry.find(component) == ()

    def test_an_instance_is_found_as_it_was_registered(self, registry, component):
        addresses = (
            ChannelAddress("stream", "ws://[::1]:9000/stream"),
            ChannelAddress("dispatch-json", "http://127.0.0.1:8001"),
            ChannelAddress("dispatch-json", "https://zürich.example/a?b=c&d=%20"),
            ChannelAddress("my-own", "queue:orders"),
        )
        given = Instance("i-1", component, addresses, meta={"zone": "a b/ü", "empty": ""})
        given = given._replace(id=f"{component}-1")
        registry.register(given, CHECK)
        assert registry.find(component) == (given,)
        assert isinstance(registry.find(component)[0].addresses[0], ChannelAddress)

    def test_a_status_said_at_registration_is_kept(self, registry, component):
        for number, status in enumerate(("passing", "warning", "critical")):
            registry.register(instance_of(component, number, status=status), CHECK)
        assert [i.status for i in by_id(registry.find(component))] == ["passing", "warning", "critical"]

    def test_components_do_not_meet(self, registry, component):
        registry.register(instance_of(component), CHECK)
        registry.register(instance_of(component + "x"), CHECK)
        assert registry.find(component) == (instance_of(component),)

    def test_a_second_instance_of_the_same_id_takes_the_place_of_the_first(self, registry, component):
        registry.register(instance_of(component), Check(interval=30.0, url="http://127.0.0.1:1/health"))
        other = instance_of(component, addresses=(ChannelAddress("rest", "http://127.0.0.1:9"),))
        registry.register(other, CHECK)
        assert registry.find(component) == (other,)

    def test_an_instance_that_is_taken_back_is_gone(self, registry, component):
        registry.register(instance_of(component, 1), CHECK)
        registry.register(instance_of(component, 2), CHECK)
        registry.deregister(f"{component}-1")
        assert registry.find(component) == (instance_of(component, 2),)
        registry.register(instance_of(component, 1), CHECK)
        assert by_id(registry.find(component)) == [instance_of(component, 1), instance_of(component, 2)]

    def test_to_take_back_what_is_not_known_is_no_error(self, registry, component):
        registry.deregister(component)
        registry.deregister(component)

    @pytest.mark.parametrize(
        "name",
        ["zürich ☂ 支払い", "a/../b//c?x=1#y", "..", ".", "50%25", "a b+c&d", "'\"\\{}", ":1", "x" * 240],
    )
    def test_any_printable_text_names_a_component_and_an_instance(self, registry, component, name):
        for odd in (name + component[-12:], component[-12:] + name):
            given = instance_of(odd[:255])
            given = given._replace(id=odd[:255])
            registry.register(given, CHECK)
            assert registry.find(given.component) == (given,)
            registry.deregister(given.id)
            assert registry.find(given.component) == ()

    def test_many_instances(self, registry, component):
        made = [instance_of(component, number) for number in range(100)]
        for instance in made:
            registry.register(instance, CHECK)
        assert by_id(registry.find(component)) == by_id(made)

    def test_registered_and_taken_back_by_many_threads_at_once(self, make_registry, component):
        registries = [make_registry() for _ in range(4)]

        def work(number):
            registry = registries[number % 4]
            registry.register(instance_of(component, number), CHECK)
            if number % 2:
                registry.deregister(f"{component}-{number}")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(24), timeout=60))
        expected = [instance_of(component, number) for number in range(0, 24, 2)]
        eventually(lambda: by_id(registries[0].find(component)) == by_id(expected))

    def test_another_registry_of_the_same_kind_sees_it(self, make_registry, component):
        make_registry().register(instance_of(component), CHECK)
        other = make_registry()
        eventually(lambda: other.find(component) == (instance_of(component),))

    # -- health --------------------------------------------------------------------------------

    def test_an_instance_is_as_its_health_endpoint_says(self, registry, component):
        with health_endpoint() as (url, answers):
            check = Check(url, interval=self.interval, timeout=5.0)
            registry.register(instance_of(component), check)
            for code, status in self.answers:
                answers["status"] = code
                eventually(lambda status=status: registry.find(component)[0].status == status)
        eventually(lambda: registry.find(component)[0].status == "critical")

    # -- watch ---------------------------------------------------------------------------------

    def test_a_watch_begins_with_what_is_there_and_tells_of_each_change(self, registry, component):
        registry.register(instance_of(component, 1), CHECK)
        heard = Heard()
        registry.watch(component, heard)
        heard.wait_for_ids(f"{component}-1")
        registry.register(instance_of(component, 2), CHECK)
        heard.wait_for_ids(f"{component}-1", f"{component}-2")
        registry.register(instance_of(component + "x"), CHECK)
        moved = instance_of(component, 1, addresses=(ChannelAddress("rest", "http://127.0.0.1:9"),))
        registry.register(moved, CHECK)
        heard.wait_for(lambda instances: moved in instances)
        registry.deregister(f"{component}-1")
        registry.deregister(f"{component}-2")
        heard.wait_for_ids()
        assert all(one != other for one, other in pairwise(heard.lists))

    def test_another_registry_of_the_same_kind_is_told_too(self, make_registry, component):
        heard = Heard()
        make_registry().watch(component, heard)
        make_registry().register(instance_of(component), CHECK)
        heard.wait_for_ids(f"{component}-1")

    def test_a_watch_that_has_ended_tells_nobody(self, registry, component):
        heard, other = Heard(), Heard()
        end = registry.watch(component, heard)
        registry.watch(component, other)
        registry.register(instance_of(component), CHECK)
        heard.wait_for_ids(f"{component}-1")
        end()
        end()
        told = len(heard.lists)
        registry.deregister(f"{component}-1")
        other.wait_for_ids()
        assert len(heard.lists) == told

    def test_a_listener_that_raises_is_told_again_and_harms_nobody(self, registry, component, caplog):
        heard, raising = Heard(), Heard()

        def raises(instances):
            raising(instances)
            raise RuntimeError("mine")

        with caplog.at_level(logging.ERROR, "unimicro"):
            registry.watch(component, raises)
            registry.watch(component, heard)
            registry.register(instance_of(component, 1), CHECK)
            raising.wait_for_ids(f"{component}-1")
            registry.register(instance_of(component, 2), CHECK)
            raising.wait_for_ids(f"{component}-1", f"{component}-2")
        heard.wait_for_ids(f"{component}-1", f"{component}-2")
        assert f"a listener of {component!r} raised" in caplog.text

    def test_a_slow_listener_keeps_nobody_waiting_and_hears_the_last_list(self, registry, component):
        heard, slow, go_on = Heard(), Heard(), threading.Event()

        def listen(instances):
            assert go_on.wait(LIMIT)
            slow(instances)

        registry.watch(component, listen)
        registry.watch(component, heard)
        for number in range(3):
            registry.register(instance_of(component, number), CHECK)
        ids = [f"{component}-{number}" for number in range(3)]
        heard.wait_for_ids(*ids)
        go_on.set()
        slow.wait_for_ids(*ids)

    def test_a_listener_may_use_the_registry_and_end_its_own_watch(self, registry, component):
        heard, ends = Heard(), []

        def listen(instances):
            if instances:
                heard(registry.find(component))
                ends[0]()

        ends.append(registry.watch(component, listen))
        registry.register(instance_of(component), CHECK)
        heard.wait_for_ids(f"{component}-1")
        registry.deregister(f"{component}-1")
        after = Heard()
        registry.watch(component, after)
        after.wait_for_ids()
        assert len(heard.lists) == 1

    # -- the end -------------------------------------------------------------------------------

    def test_after_close_nobody_is_told_and_no_thread_is_left(self, make_registry, component):
        before = set(threading.enumerate())
        registry, heard = make_registry(), Heard()
        registry.watch(component, heard)
        registry.register(instance_of(component), CHECK)
        heard.wait_for_ids(f"{component}-1")
        registry.close()
        registry.close()
        left = [thread for thread in set(threading.enumerate()) - before if "unimicro" in thread.name]
        assert left == []
        told = len(heard.lists)
        other, others = make_registry(), Heard()
        other.watch(component, others)
        other.deregister(f"{component}-1")
        others.wait_for_ids()
        assert len(heard.lists) == told

    def test_what_was_registered_stays_so_when_the_registry_is_closed(self, make_registry, component):
        registry = make_registry()
        registry.register(instance_of(component), CHECK)
        registry.close()
        assert make_registry().find(component) == (instance_of(component),)

    def test_a_closed_registry_takes_nothing_but_gives_back(self, make_registry, component):
        registry = make_registry()
        registry.register(instance_of(component), CHECK)
        registry.close()
        with pytest.raises(RegistryUnavailable, match="closed"):
            registry.register(instance_of(component, 2), CHECK)
        with pytest.raises(RegistryUnavailable, match="closed"):
            registry.watch(component, Heard())
        registry.deregister(f"{component}-1")
        assert registry.find(component) == ()

    # -- bad input -----------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"id": ""}, "Instance.id"),
            ({"id": 7}, "Instance.id"),
            ({"id": "a\nb"}, "Instance.id"),
            ({"component": " "}, "Instance.component"),
            ({"component": "x" * 256}, "Instance.component"),
            ({"component": "\ud800"}, "Instance.component"),
            ({"addresses": ()}, "Instance.addresses"),
            ({"addresses": (("rest", "http://127.0.0.1:1"),)}, "Instance.addresses"),
            ({"addresses": (ChannelAddress("", "http://127.0.0.1:1"),)}, "Instance.addresses"),
            ({"addresses": (ChannelAddress("rest", "http://a b"),)}, "Instance.addresses"),
            ({"addresses": (ChannelAddress("rest", "x" * 600),)}, "Instance.addresses"),
            ({"status": "fine"}, "Instance.status"),
            ({"meta": {"ü": "x"}}, "Instance.meta"),
            ({"meta": {"unimicro-address-0": "x"}}, "Instance.meta"),
            ({"meta": {"consul-x": "x"}}, "Instance.meta"),
            ({"meta": {"a": 1}}, "Instance.meta"),
            ({"meta": {"a": "ü" * 300}}, "Instance.meta"),
            ({"meta": {str(n): "" for n in range(64)}}, "Instance.meta"),
        ],
    )
    def test_an_impossible_instance_is_refused_by_name(self, registry, component, fields, named):
        with pytest.raises(ConfigurationError, match=f"^{re.escape(named)}"):
            registry.register(instance_of(component)._replace(**fields), CHECK)
        assert registry.find(component) == ()

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"url": "127.0.0.1:80"}, "Check.url"),
            ({"url": "http://user:secret@127.0.0.1"}, "Check.url"),
            ({"interval": 0}, "Check.interval"),
            ({"interval": float("nan")}, "Check.interval"),
            ({"timeout": -1.0}, "Check.timeout"),
            ({"timeout": True}, "Check.timeout"),
            ({"deregister_after": 59.0}, "Check.deregister_after"),
            ({"deregister_after": float("inf")}, "Check.deregister_after"),
        ],
    )
    def test_an_impossible_check_is_refused_by_name(self, registry, component, fields, named):
        with pytest.raises(ConfigurationError, match=f"^{re.escape(named)}") as refused:
            registry.register(instance_of(component), Check()._replace(**fields))
        assert "secret" not in str(refused.value)

    def test_a_watch_of_nothing_is_refused(self, registry):
        with pytest.raises(ConfigurationError, match=r"^component"):
            registry.watch("", Heard())


class SharedRegistryLaws(RegistryLaws):
    """Laws of registries that processes share; ``source`` is Python that makes one as ``registry``."""

    @pytest.fixture
    def source(self) -> str:
        raise NotImplementedError

    def start(self, source: str, program: str) -> subprocess.Popen[str]:
        lines = [
            "from unimicro.discovery import ChannelAddress, Check, Instance",
            "import os, sys, time",
            source,
            program,
        ]
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", "\n".join(lines)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def test_an_instance_whose_process_is_killed_becomes_critical(self, make_registry, source, component):
        program = f"""
address = ChannelAddress("dispatch-json", "http://127.0.0.1:8001")
registry.register(Instance("{component}-1", "{component}", (address,)), Check(interval=1.0))
print("registered", flush=True)
sys.stdin.read()
"""
        heard = Heard()
        make_registry().watch(component, heard)
        with self.start(source, program) as process:
            assert process.stdout.readline() == "registered\n"
            heard.wait_for(lambda instances: [i.status for i in instances] == ["passing"])
            time.sleep(1.2)  # beyond the check's interval: it reports
            assert [i.status for i in make_registry().find(component)] == ["passing"]
            process.kill()
            killed = time.monotonic()
            heard.wait_for(lambda instances: [i.status for i in instances] == ["critical"])
            assert time.monotonic() - killed < LIMIT

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_forked_process_goes_on_watching_and_leaves_registrations_to_its_parent(
        self, registry, source, component
    ):
        program = f"""
from unimicro.channels.registries import keeping
address = ChannelAddress("dispatch-json", "http://127.0.0.1:8001")
registry.register(Instance("{component}-1", "{component}", (address,)), Check(interval=1.0))
told = []
registry.watch("{component}", told.append)
if os.fork():
    os.wait()
    os._exit(0)
assert not registry._keeper._kept
end = time.monotonic() + {LIMIT}
while not (told and len(told[-1]) == 2):
    assert time.monotonic() < end
    if told and told[-1]:
        print("watching", flush=True)
    time.sleep(0.05)
print("told", flush=True)
registry.close()
os._exit(0)
"""
        with self.start(source, program) as process:
            assert process.stdout.readline() == "watching\n"
            registry.register(instance_of(component, 2), CHECK)
            lines = process.stdout.read().splitlines()
            assert lines[-1] == "told"
