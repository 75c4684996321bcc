"""The registry of one process."""

from __future__ import annotations

import gc

import pytest

from tests.discovery.registry_laws import CHECK, RegistryLaws, eventually, health_endpoint, instance_of
from unimicro.channels.registries.memory import MemoryRegistry
from unimicro.discovery import Check
from unimicro.errors import ConfigurationError
from unimicro.plugins.builtin import registry as configured


class TestMemoryRegistry(RegistryLaws):
    @pytest.fixture
    def make_registry(self, request):
        made = []

        def make():
            made.append(MemoryRegistry(request.node.name))
            return made[-1]

        yield make
        for registry in made:
            registry.close()


def test_registries_without_a_name_are_apart():
    one, other = MemoryRegistry(), MemoryRegistry()
    one.register(instance_of("orders"), CHECK)
    assert other.find("orders") == ()


def test_those_that_a_configuration_makes_are_one_by_their_name():
    one, same = configured({"kind": "memory"}), configured({"kind": "memory"})
    other = configured({"kind": "memory", "name": "other"})
    one.register(instance_of("orders"), CHECK)
    assert same.find("orders") == (instance_of("orders"),)
    assert other.find("orders") == ()
    del one, same
    gc.collect()
    assert configured({"kind": "memory"}).find("orders") == ()


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="registry: name must be text"):
        configured({"kind": "memory", "name": 7})


def test_who_took_the_place_of_an_instance_is_not_judged_by_its_check(request):
    one, other = MemoryRegistry(request.node.name), MemoryRegistry(request.node.name)
    with health_endpoint() as (url, answers):
        answers["status"] = 503
        one.register(instance_of("orders"), Check(url, interval=0.02, timeout=5.0))
        eventually(lambda: one.find("orders")[0].status == "critical")
        other.register(instance_of("orders"), CHECK)
        wanted = answers["asked"] + 3
        eventually(lambda: answers["asked"] >= wanted)
        assert one.find("orders") == (instance_of("orders"),)
    one.close()
    other.close()
