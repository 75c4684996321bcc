"""What a served app tells a registry, and when."""

from __future__ import annotations

import subprocess
import sys
import threading
from abc import ABC, abstractmethod

import pytest

from tests.cli.servers import LIMIT, until
from unimicro import App, Service, VirtualClock, entry
from unimicro.channels.registries.file import FileRegistry
from unimicro.channels.registries.memory import MemoryRegistry
from unimicro.component import Component, component, implementation, service
from unimicro.discovery import ChannelAddress, Check, Instance, RegistryUnavailable
from unimicro.errors import ConfigurationError
from unimicro.health import health
from unimicro.siblings import Siblings

URL = "http://10.0.0.5:8000"


@service("reg_orders", no_auth=True)
class Orders(Service, ABC):
    @abstractmethod
    def place(self) -> str: ...


@implementation()
class OrdersImpl(Orders):
    def place(self) -> str:
        return "placed"


@health("/health")
@component("shop", services=[Orders])
class Shop(Component):
    pass


class Plain(Service):
    @entry(no_auth=True)
    def get(self) -> str:
        return "plain"


class Recording(MemoryRegistry):
    """A memory registry that also says what it was told, and fails as often as it is asked to."""

    def __init__(self, failures=0):
        super().__init__()
        self.failures = failures
        self.told = []
        self.attempts = 0

    def register(self, instance: Instance, check: Check) -> None:
        self.attempts += 1
        if self.failures:
            self.failures -= 1
            raise RegistryUnavailable("nobody answers")
        self.told.append((instance, check))
        super().register(instance, check._replace(url=""))


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    """For the locks that workers of one server share: another run of these tests has the same instances."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture
def registry():
    with_close = Recording()
    yield with_close
    with_close.close()


def announced(app, registry, count=1, url="http://127.0.0.1:5000"):
    app.presence.plan(["rest"], url)
    app.start()
    app.presence.announce()
    until(lambda: len(registry.told) == count, "registered")
    return registry.told


def test_a_component_and_each_other_service_are_registered_with_their_checks(registry):
    app = App(Plain(), components=[Shop], registry=registry, config={})
    told = announced(app, registry, 2)
    addresses = (ChannelAddress("rest", "http://127.0.0.1:5000"),)
    assert told == [
        (
            Instance("shop-127.0.0.1-5000", "shop", addresses),
            Check("http://127.0.0.1:5000/health", 2.0, 1.0, 60.0),
        ),
        (
            Instance("plain-127.0.0.1-5000", "plain", addresses),
            Check("http://127.0.0.1:5000/readyz", 2.0, 1.0, 60.0),
        ),
    ]
    assert [each.id for each in registry.find("shop")] == ["shop-127.0.0.1-5000"]
    app.stop()
    assert registry.find("shop") == registry.find("plain") == ()


def test_the_configuration_says_where_and_how_often(registry):
    table = {"advertise": URL + "/", "check_interval": 5, "check_timeout": 0.5, "deregister_after": 120}
    app = App(Plain(), registry=registry, config={"registry": table})
    ((instance, check),) = announced(app, registry)
    assert instance.id == "plain-10.0.0.5-8000"
    assert instance.addresses == (ChannelAddress("rest", URL),)
    assert check == Check(URL + "/readyz", 5, 0.5, 120)
    app.stop()


def test_the_environment_says_it_last(registry, monkeypatch):
    monkeypatch.setenv("UNIMICRO_ADVERTISE", "https://[2001:db8::1]/shop")
    app = App(Plain(), registry=registry, config={"registry": {"advertise": URL}})
    ((instance, check),) = announced(app, registry)
    assert instance.id == "plain-2001-db8-1-443-shop"
    assert check.url == "https://[2001:db8::1]/shop/readyz"
    app.stop()


def test_without_health_endpoints_the_instance_reports_by_itself(registry):
    app = App(Plain(), registry=registry, config={"health": False})
    ((_, check),) = announced(app, registry)
    assert check.url == ""
    app.stop()


def test_a_component_may_have_addresses_of_its_own_or_none(registry):
    class Own(Service):
        @entry(no_auth=True)
        def get_own(self) -> str:
            return "own"

    class Silent(Service):
        @entry(no_auth=True)
        def get_silent(self) -> str:
            return "silent"

    @component("own_addresses", services=[Own])
    class OwnAddresses(Component):
        def get_addresses(self, port):
            return [ChannelAddress("rest", f"https://own.example:{port}")]

    @component("no_addresses", services=[Silent])
    class NoAddresses(Component):
        def get_addresses(self, port):
            return []

    app = App(components=[OwnAddresses, NoAddresses], registry=registry, config={})
    ((instance, _),) = announced(app, registry)
    assert instance.addresses == (ChannelAddress("rest", "https://own.example:5000"),)
    app.stop()


def test_an_app_that_is_not_served_or_does_not_want_to_is_not_registered(registry):
    app = App(Plain(), registry=registry, config={})
    app.test_client().get("/")
    app.presence.announce()
    app.stop()
    silent = App(Plain(), registry=registry, config={"registry": {"register": False}})
    silent.presence.plan(["rest"])
    silent.presence.announce()
    assert silent.presence.registered == ()
    assert registry.attempts == 0


def test_a_registry_that_is_down_is_asked_again_and_the_app_is_served(caplog):
    registry, clock = Recording(failures=3), VirtualClock()
    app = App(Plain(), registry=registry, config={}, clock=clock)
    announced(app, registry)
    assert clock.waits == [1.0, 2.0, 4.0]
    assert caplog.text.count("plain-127.0.0.1-5000 is not registered yet") == 3
    assert app.test_client().get("/readyz").status_code == 200
    app.stop()
    assert registry.find("plain") == ()
    registry.close()


def test_an_app_that_ends_while_the_registry_is_down_ends_all_the_same():
    registry = Recording(failures=10**6)
    app = App(Plain(), registry=registry, config={})
    app.presence.plan(["rest"], URL)
    app.start()
    app.presence.announce()
    until(lambda: registry.attempts > 0, "an attempt")
    app.stop()
    registry.close()


def test_a_registry_that_cannot_be_told_of_the_end_is_logged(caplog):
    class Gone(Recording):
        def deregister(self, instance_id):
            raise RegistryUnavailable("nobody answers")

    registry = Gone()
    app = App(Plain(), registry=registry, config={})
    announced(app, registry)
    app.stop()
    assert "was not told that this app goes: nobody answers" in caplog.text
    registry.close()


def test_it_can_be_announced_again_after_it_was_withdrawn(registry):
    app = App(Plain(), registry=registry, config={})
    announced(app, registry)
    app.presence.withdraw()
    assert registry.find("plain") == ()
    assert app.presence.readiness().notes == ("draining",)
    app.presence.announce()
    until(lambda: registry.find("plain") != (), "registered again")
    assert app.presence.readiness().notes == ()
    app.stop()


def test_an_app_that_is_stopped_and_started_again_is_registered_again(tmp_path):
    there = {"kind": "file", "path": str(tmp_path / "registry")}
    app = App(Plain(), config={"registry": {**there, "advertise": URL}})
    other = FileRegistry(tmp_path / "registry")
    app.presence.plan(["rest"])
    for _ in range(2):
        app.start()
        app.presence.announce()
        until(lambda: other.find("plain") != (), "registered")
        app.stop()
        assert other.find("plain") == ()
    other.close()


def test_a_registry_that_was_given_stays_open_where_other_workers_go_on(registry, monkeypatch):
    monkeypatch.setattr(Siblings, "leave", lambda _: False)
    app = App(Plain(), registry=registry, config={})
    announced(app, registry)
    app.stop()
    assert registry.find("plain") != ()
    told = []
    registry.watch("plain", told.append)()
    registry.deregister(registry.find("plain")[0].id)


def test_how_long_it_waits_depends_on_who_has_to_learn_of_it(registry):
    assert App(Plain(), config={}).presence.drain_wait == 0.0
    app = App(Plain(), registry=registry, config={})
    app.presence.plan(["rest"], URL)
    assert app.presence.drain_wait == 3.0
    assert App(Plain(), config={"drain_wait": 7}).presence.drain_wait == 7


def test_nothing_that_says_where_it_is_served_is_refused(registry):
    with pytest.raises(ConfigurationError, match="nothing says under which address this app is reached"):
        App(Plain(), registry=registry, config={}).presence.plan(["rest"])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("10.0.0.5:8000", "is no URL such as"),
        ("ftp://10.0.0.5", "is no URL such as"),
        ("http://", "is no URL such as"),
        ("http://10.0.0.5:0", "is no URL such as"),
        ("http://10.0.0.5:99999", "is no URL"),
        ("http://0.0.0.0:8000", "is every address of this machine"),
        ("http://[::]:8000", "is every address of this machine"),
        ("http://me:secret@10.0.0.5", "neither a login nor a query"),
        ("http://me:secret@10.0.0.5:99999", "neither a login nor a query"),
        ("ftp://me:secret@10.0.0.5", "neither a login nor a query"),
        ("http://10.0.0.5?x=1", "neither a login nor a query"),
        ("http://10.0.0.5:8000\n", "is no URL"),
        ("http://10.0.\t0.5:8000", "is no URL"),
        ("http://tee stube:8000", "is no URL"),
        ("http://über.example:8000", "is no URL"),
        ("http://10.0.0.5:8000/?", "neither a login nor a query"),
        ("http://10.0.0.5:8000/#", "neither a login nor a query"),
    ],
)
def test_an_address_that_nobody_can_call_is_refused(registry, url, message):
    app = App(Plain(), registry=registry, config={"registry": {"advertise": url}})
    with pytest.raises(ConfigurationError, match=message) as refused:
        app.presence.plan(["rest"])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("advertise", 5),
        ("register", "no"),
        ("check_interval", 0),
        ("check_timeout", float("nan")),
        ("deregister_after", 30),
        ("deregister_after", True),
    ],
)
def test_impossible_settings_are_refused_by_name(registry, setting, value):
    app = App(Plain(), registry=registry, config={"registry": {setting: value}})
    with pytest.raises(ConfigurationError, match=f"registry.{setting}"):
        app.presence.plan(["rest"], URL)


def test_a_misspelt_setting_is_named_with_those_of_the_app():
    app = App(Plain(), config={"registry": {"kind": "memory", "advertize": URL}})
    with pytest.raises(ConfigurationError, match="unknown setting 'advertize'; did you mean 'advertise'"):
        app.presence.plan(["rest"], URL)


def test_an_address_in_the_environment_alone_asks_for_no_registry(monkeypatch):
    monkeypatch.setenv("UNIMICRO_ADVERTISE", URL)
    app = App(Plain(), config={})
    app.presence.plan(["rest"])
    assert (app.registry, app.presence.registered) == (None, ())


# -- siblings ----------------------------------------------------------------------------------


SIBLING = """
import sys
from unimicro.siblings import Siblings
one = Siblings(sys.argv[1])
one.join()
print("joined", flush=True)
sys.stdin.readline()
print(one.leave(), flush=True)
one.done()
"""


def sibling(key):
    process = subprocess.Popen(
        [sys.executable, "-c", SIBLING, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "joined\n"
    return process


def test_only_the_last_process_takes_the_instance_back(tmp_path):
    key = str(tmp_path)
    ours, other, another = Siblings(key), sibling(key), sibling(key)
    try:
        ours.join()
        assert ours.leave() is False
        another.kill()  # a process that crashes leaves, too
        another.wait(LIMIT)
        assert other.communicate("leave\n", timeout=LIMIT)[0] == "True\n"
    finally:
        for process in (other, another):
            process.kill()
            process.communicate()


def test_one_who_joins_while_the_last_one_takes_its_leave_waits(tmp_path):
    last, new = Siblings(str(tmp_path)), Siblings(str(tmp_path))
    last.join()
    assert last.leave() is True
    joining = threading.Thread(target=new.join)
    joining.start()
    joining.join(0.05)
    assert joining.is_alive()
    last.done()
    joining.join(LIMIT)
    assert not joining.is_alive()
    assert new.leave() is True
    new.done()


def test_one_who_never_joined_is_alone(tmp_path):
    assert Siblings(str(tmp_path)).leave() is True


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    import os

    folder = tmp_path / f"unimicro-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    one = Siblings("key")
    one.join()
    assert "cannot be told from each other" in caplog.text
    assert one.leave() is True
    assert list(folder.iterdir()) == []
