"""Channels and registries of other people, found by the name of their plugin."""

from __future__ import annotations

import re

import pytest

from unimicro import hookimpl
from unimicro.errors import PluginError
from unimicro.plugins.manager import Plugins

MANAGER = """
from unimicro import ServiceManager

def manager(**config):
    return ServiceManager(config=config)
"""


def printed(scratch, folder, text):
    return scratch.program(MANAGER + text, folder)


def test_a_channel_is_found_by_the_name_of_its_plugin(scratch, tmp_path):
    assert (
        printed(
            scratch,
            tmp_path,
            """
shop = manager().get_service(Shop, "carrier-pigeon", address="pigeon://127.0.0.1:1")
try:
    shop.price(sku="tea")
except Exception as error:
    print(type(error).__name__, str(error).partition(":")[0])
""",
        )
        == "CommunicationError nobody is at ('127.0.0.1', 1)\n"
    )


def test_the_plugin_passes_its_own_tests(scratch):
    project = scratch.sources / "unimicro-pigeon"
    done = scratch.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=project)
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"\d+ passed in .*", done.stdout.splitlines()[-1])


def test_a_channel_in_the_configuration_is_found_likewise(scratch, tmp_path):
    (tmp_path / "unimicro.toml").write_text(
        '[clients.shop]\nchannel = "carrier-pigeon"\naddress = "http://wrong"\n'
    )
    text = "refusal(lambda: ServiceManager().get_service(Shop))"
    assert printed(scratch, tmp_path, text) == "ConfigurationError: 'http://wrong' is no pigeon://host:port\n"


def test_an_unknown_channel_gets_the_nearest_that_is_installed(scratch, tmp_path):
    text = """
for name in ("carrier-pidgin", "dispatch-jsn", "lines"):
    refusal(lambda: manager().get_service(Shop, name, address="pigeon://a:1"))
"""
    assert printed(scratch, tmp_path, text).splitlines() == [
        "ConfigurationError: there is no channel 'carrier-pidgin'; did you mean 'carrier-pigeon'?",
        "ConfigurationError: there is no channel 'dispatch-jsn'; did you mean 'dispatch-json'?",
        "PluginError: plugin 'lines' registers no channel 'lines'",
    ]


def test_an_unknown_registry_gets_the_nearest_that_is_installed(scratch, tmp_path):
    text = """
for kind in ("carrier-pidgin", "consull", "lines", 3):
    refusal(lambda: manager(registry={"kind": kind}).get_service(Shop))
"""
    assert printed(scratch, tmp_path, text).splitlines() == [
        "ConfigurationError: registry: there is no kind 'carrier-pidgin'; did you mean 'carrier-pigeon'?",
        "ConfigurationError: registry: there is no kind 'consull'; did you mean 'consul'?",
        "PluginError: plugin 'lines' registers no registry 'lines'",
        "ConfigurationError: registry.kind must be one of memory, file, consul, got 3",
    ]


def test_a_setting_that_the_registry_of_a_plugin_does_not_know_is_named(scratch, tmp_path):
    text = 'refusal(lambda: manager(registry={"kind": "carrier-pigeon", "loft": {}}).get_service(Shop))'
    assert printed(scratch, tmp_path, text) == (
        "ConfigurationError: registry: unknown setting 'loft'; did you mean 'lofts'?\n"
    )


def test_an_app_finds_channels_and_registries_for_its_neighbours(scratch, tmp_path):
    text = """
config = {"registry": {"kind": "carrier-pigeon", "lofts": {}}}
app = App(Shop(), config=config)
print(type(app.registry).__name__)
app = App(Shop(), config={}, plugins=["carrier-pigeon"])
class Stock(Service):
    @entry
    def left(self) -> int: ...
refusal(lambda: app.manager.get_service(Stock, "carrier-pigeon", address="x"))
"""
    assert printed(scratch, tmp_path, text) == "Lofts\nConfigurationError: 'x' is no pigeon://host:port\n"


def test_a_plugin_given_as_an_object_is_asked_too(scratch, tmp_path):
    text = """
import unimicro_pigeon
from unimicro import Channel, hookimpl

class Mine:
    @hookimpl
    def unimicro_register_channels(self, register):
        register("carrier-pigeon", unimicro_pigeon.PigeonChannel)

both = lambda: ServiceManager(config={}, plugins=[Mine(), "carrier-pigeon"])
refusal(both)
alone = ServiceManager(config={}, plugins=[Mine()])
refusal(lambda: alone.get_service(Shop, "carrier-pigeon", address="x"))
"""
    assert printed(scratch, tmp_path, text).splitlines() == [
        "PluginError: plugin 'carrier-pigeon': plugin 'Mine' has the channel 'carrier-pigeon'",
        "ConfigurationError: 'x' is no pigeon://host:port",
    ]


def test_what_is_no_channel_is_refused(scratch, tmp_path):
    text = 'refusal(lambda: manager().get_service(Shop, "impostor", address="x"))'
    assert printed(scratch, tmp_path, text) == (
        "PluginError: the channel 'impostor' of a plugin is <class 'dict'>:"
        " register a class with @channel('impostor')\n"
    )


def test_a_plugin_can_be_disabled_for_channels_and_registries(scratch, tmp_path):
    text = """
off = {"plugins": {"disabled": ["carrier-pigeon"]}}
refusal(lambda: manager(**off).get_service(Shop, "carrier-pigeon", address="pigeon://a:1"))
refusal(lambda: manager(**off, registry={"kind": "carrier-pigeon"}).get_service(Shop))
"""
    assert (
        printed(scratch, tmp_path, text).splitlines()
        == ["PluginError: plugin 'carrier-pigeon' is disabled in the configuration"] * 2
    )


def test_hooks_that_came_too_late_for_an_app_are_told(scratch, tmp_path):
    text = 'refusal(lambda: App(Shop(), config={}).manager.get_service(Shop, "late", address="x"))'
    assert printed(scratch, tmp_path, text) == (
        "PluginError: plugin 'late' implements unimicro_assembled, which run when the app is assembled:"
        " list it in App(plugins=['late'])\n"
    )


def test_hooks_of_an_app_mean_nothing_to_a_manager_without_one(scratch, tmp_path):
    text = 'refusal(lambda: manager().get_service(Shop, "late", address="x"))'
    assert printed(scratch, tmp_path, text) == "no error\n"


def test_of_a_plugin_that_breaks_nothing_stays():
    class Breaks:
        @hookimpl
        def unimicro_register_channels(self, register):
            register("half", object)

        @hookimpl
        def unimicro_register_registries(self, register):
            raise RuntimeError("broken")

    plugins = Plugins([])
    with pytest.raises(PluginError, match="unimicro_register_registries raised RuntimeError: broken"):
        plugins.add(Breaks())
    assert plugins.listed("channel", "half") is None


def test_a_program_that_asks_for_no_plugin_scans_for_none(scratch, tmp_path):
    text = """
import sys
manager().get_service(Shop, "dispatch-json", address="http://127.0.0.1:1")
print("pluggy" in sys.modules, "unimicro_pigeon" in sys.modules)
"""
    assert printed(scratch, tmp_path, text) == "False False\n"
