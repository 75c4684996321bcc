"""The registry in a file."""

from __future__ import annotations

import json
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.discovery.registry_laws import (
    CHECK,
    Heard,
    SharedRegistryLaws,
    by_id,
    eventually,
    instance_of,
)
from unimicro.channels.registries.file import FileRegistry
from unimicro.channels.registries.shared_file import SharedFile
from unimicro.discovery import Check, RegistryUnavailable
from unimicro.errors import ConfigurationError
from unimicro.pipeline.clock import VirtualClock
from unimicro.plugins.builtin import registry as configured


@pytest.fixture
def path(tmp_path):
    return tmp_path / "registry.json"


@pytest.fixture
def make_registry(path):
    made = []

    def make(**settings):
        made.append(FileRegistry(path, **{"refresh": 0.05, "timeout": 30.0, **settings}))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


class TestFileRegistry(SharedRegistryLaws):
    @pytest.fixture
    def make_registry(self, make_registry):
        return make_registry

    @pytest.fixture
    def source(self, path):
        return (
            "from unimicro.channels.registries.file import FileRegistry\n"
            f"registry = FileRegistry({str(path)!r}, refresh=0.05)"
        )


def test_only_its_user_may_read_the_file_whatever_the_umask(make_registry, path):
    before = os.umask(0)
    try:
        make_registry().register(instance_of("orders"), CHECK)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("suffix", ["", ".lock"])
def test_a_file_that_others_may_write_is_refused(path, suffix):
    trap = path.with_name(path.name + suffix)
    trap.write_text("{}")
    trap.chmod(0o666)
    with pytest.raises(ConfigurationError, match=r"registry\.json.* may be written by another user"):
        FileRegistry(path)


@pytest.mark.parametrize("suffix", ["", ".lock", ".new"])
def test_a_link_is_not_followed(path, tmp_path, suffix):
    precious = tmp_path / "precious"
    precious.write_text("{}")
    precious.chmod(0o600)
    path.with_name(path.name + suffix).symlink_to(precious)
    with pytest.raises((ConfigurationError, RegistryUnavailable), match="symbolic links"):
        FileRegistry(path).register(instance_of("orders"), CHECK)
    assert precious.read_text() == "{}"


@pytest.mark.parametrize("path", ["", None, 7])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ConfigurationError, match=r"^path "):
        FileRegistry(path)


def test_a_folder_that_is_not_there_is_an_error_with_its_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"path '.*absent/registry\.json' cannot be used"):
        FileRegistry(tmp_path / "absent" / "registry.json")


@pytest.mark.parametrize(
    ("setting", "value"), [("refresh", 0), ("refresh", "1"), ("timeout", 0), ("clock", "noon")]
)
def test_an_impossible_setting_is_refused_by_name(path, setting, value):
    with pytest.raises(ConfigurationError, match=f"^registry: {setting} "):
        configured({"kind": "file", "path": str(path), setting: value})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a', "\x00\xff" * 10, "[" * 100_000])
def test_a_spoilt_file_heals_with_the_next_report(make_registry, path, text, caplog):
    registry, heard = make_registry(), Heard()
    registry.watch("orders", heard)
    registry.register(instance_of("orders"), Check(interval=0.3))
    heard.wait_for_ids("orders-1")
    with caplog.at_level(logging.CRITICAL, "unimicro"):
        path.write_text(text)
        eventually(lambda: path.read_text() != text)
    assert registry.find("orders") == (instance_of("orders"),)
    assert json.loads(path.read_text())["orders-1"]["component"] == "orders"


def test_a_file_that_is_deleted_is_made_anew_with_the_next_report(make_registry, path):
    registry = make_registry()
    registry.register(instance_of("orders"), Check(interval=0.3))
    for each in list(path.parent.iterdir()):
        each.unlink(missing_ok=True)
    eventually(lambda: registry.find("orders") == (instance_of("orders"),))


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        {"component": "orders", "reported": "now", "within": 1, "forget_after": 1},
        {"component": "orders", "reported": 1e12, "within": 1e12, "forget_after": 1, "addresses": [["rest"]]},
        {"component": "orders", "reported": 1e12, "within": 1e12, "forget_after": 1, "addresses": 7},
    ],
)
def test_what_somebody_else_wrote_is_no_instance(make_registry, path, row):
    SharedFile(str(path), 5.0)
    path.write_text(json.dumps({"odd": row}))
    path.chmod(0o600)
    registry = make_registry()
    assert registry.find("orders") == ()
    registry.register(instance_of("orders"), CHECK)
    assert registry.find("orders") == (instance_of("orders"),)


def test_a_file_beyond_all_measure_is_not_read(make_registry, path):
    registry = make_registry()
    with path.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    path.chmod(0o600)
    with pytest.raises(RegistryUnavailable, match="bytes"):
        registry.find("orders")


def test_while_the_file_cannot_be_read_the_last_list_stays_and_that_is_logged_once(
    make_registry, path, caplog
):
    registry, heard = make_registry(), Heard()
    registry.register(instance_of("orders"), CHECK)
    registry.watch("orders", heard)
    heard.wait_for_ids("orders-1")
    with caplog.at_level(logging.INFO, "unimicro"):
        path.chmod(0o666)
        eventually(lambda: "stay as they were" in caplog.text)
        path.chmod(0o600)
        eventually(lambda: "tells of 'orders' again" in caplog.text)
    assert caplog.text.count("stay as they were") == 1
    assert len(heard.lists) == 1


def test_an_instance_that_does_not_report_is_critical_and_later_forgotten(make_registry):
    clock = VirtualClock()
    dying, other = make_registry(clock=clock), make_registry(clock=clock)
    dying.register(instance_of("orders"), Check(interval=30.0, deregister_after=100.0))
    dying.close()
    clock.advance(30.0)
    assert [i.status for i in other.find("orders")] == ["passing"]
    clock.advance(0.1)
    assert [i.status for i in other.find("orders")] == ["critical"]
    clock.advance(100.0)
    assert other.find("orders") == ()


def test_what_was_forgotten_leaves_the_file_with_the_next_report(make_registry, path):
    clock = VirtualClock()
    registry = make_registry(clock=clock)
    registry.register(instance_of("orders", 1), CHECK)
    registry.close()
    clock.advance(1000.0)
    make_registry(clock=clock).register(instance_of("orders", 2), CHECK)
    assert list(json.loads(path.read_text())) == ["orders-2"]


def test_a_report_of_the_future_is_none(make_registry):
    clock = VirtualClock()
    make_registry(clock=clock).register(instance_of("orders"), CHECK)
    past = VirtualClock(epoch=clock.time() - 3600.0)
    assert [i.status for i in make_registry(clock=past).find("orders")] == ["critical"]


def test_a_process_that_keeps_the_lock_is_not_waited_for_longer_than_the_timeout(make_registry, path):
    import fcntl

    registry = make_registry(timeout=0.05)
    with path.with_name("registry.json.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RegistryUnavailable, match=r"locked for 0\.05 s"):
            registry.register(instance_of("orders"), CHECK)
    assert registry.find("orders") == ()


def test_readers_see_whole_files_only_while_many_write(make_registry, path):
    registries = [make_registry(timeout=30.0) for _ in range(4)]
    reader = make_registry()
    long = {"long": "x" * 500}

    def write(number):
        for turn in range(5):
            registries[number].register(instance_of("orders", number * 10 + turn, meta=long), CHECK)

    with ThreadPoolExecutor(4) as threads:
        writing = [threads.submit(write, number) for number in range(4)]
        seen = 0
        while not all(each.done() for each in writing):
            found = len(reader.find("orders"))
            assert found >= seen
            seen = found
        for each in writing:
            each.result()
    assert len(by_id(reader.find("orders"))) == 20
