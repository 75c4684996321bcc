"""A service is served, its description pulled, and what was written calls it: typed, on every channel."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from tests.cli.commands import run
from tests.cli.pulled import imported
from tests.cli.servers import ROOT, serving
from tests.servers.processes import ServerProcess
from unimicro.channels.client.manager import ServiceManager
from unimicro.errors import NotFound, ServiceError

CHANNELS = ["dispatch-json", "dispatch-msgpack", "rest", "stream"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The URL of a process that serves the awkward service."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, "tests.cli.awkward:app", cwd=ROOT) as server:
        yield server.url


@pytest.fixture(scope="module")
def module(served, tmp_path_factory):
    """The module pulled from it."""
    path = tmp_path_factory.mktemp("pulled") / "awkward_client.py"
    result = run("client", "pull", served, "-o", os.fspath(path))
    assert result.exit_code == 0, result.stderr
    return imported(path)


@pytest.fixture(params=CHANNELS)
def proxy(request, served, module):
    with ServiceManager(config={}) as manager:
        yield manager.get_service(module.Awkward, request.param, address=served)


def test_values_come_back_as_objects_of_the_written_classes(module, proxy):
    day = module.Day(
        [1, 2],
        date(2026, 11, 21),
        field=Decimal("2.50"),
        Level=module.Level.LOW,
        others=[module.Point(1)],
        made=datetime(2026, 1, 2),
        tags={"a"},
        note="n",
    )
    returned = proxy.day(value=day)
    assert returned == day
    assert type(returned.others[0]) is module.Point
    assert proxy.Point(value=module.Point(1, 2)) == {module.Point(1, 2)}
    assert proxy.pair(value=module.Pair(1)) == module.Pair(1, "r")


def test_other_names_on_the_wire_are_found_again(module, proxy):
    nested = module.Renamed(class_=2, rest=[module.Renamed()])
    assert proxy.renamed(value=nested) == nested
    packed = module.Packed(some_text="x", some_number=4)
    assert proxy.packed(value=packed) == packed


def test_parameters_arrive_from_every_place(module, proxy):
    result = proxy.put_in(2, "a/b", 1.5, tenant="t", dry=True, level=module.Level.HIGH, more="x")
    one, two, three, tenant, dry, level, word, yes, amount, identity, words, more = result
    assert (one, two, three, tenant, dry) == ("a/b", 2, 1.5, "t", True)
    assert (level, word, yes, amount, identity) == (2, None, "yes", "2", str(UUID(int=1)))
    assert (words, more) == ({"a": 1}, {"more": "x"})


def test_declared_errors_arrive_as_their_classes(module, proxy):
    with pytest.raises(module.Path2) as lost:
        proxy.get_failing(how="path")
    assert lost.value.args == ("lost", 3)
    with pytest.raises(module.Sold) as sold:
        proxy.get_failing(how="sold")
    assert (sold.value.sku, sold.value.code) == ("tea", "failed_precondition")
    with pytest.raises(KeyError):
        proxy.get_failing(how="key")
    with pytest.raises(NotFound, match="n"):
        proxy.get_failing(how="none")


@pytest.mark.parametrize("channel", CHANNELS)
def test_async_methods_are_awaited(module, served, channel):
    async def call():
        async with ServiceManager(config={}) as manager:
            proxy = manager.get_service(module.Awkward, channel, address=served)
            return await proxy.page(value=module.PagePoint([module.Point(1)], module.PagePoint([])))

    assert asyncio.run(call()) == module.PagePoint([module.Point(1)], module.PagePoint([]))


@pytest.fixture(scope="module")
def petstore(tmp_path_factory):
    """The URL of a process that serves a FastAPI app, and the module pulled from it."""
    folder = tmp_path_factory.mktemp("petstore")

    def command(port):
        return [
            sys.executable,
            "-m",
            "uvicorn",
            "--app-dir",
            os.fspath(ROOT),
            "--port",
            str(port),
            "--log-level",
            "warning",
            "tests.cli.petstore:app",
        ]

    def is_ready(port):
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    with ServerProcess(command, is_ready, folder) as server:
        url = f"http://127.0.0.1:{server.port}"
        result = run("client", "pull", url, "-o", os.fspath(folder / "pets_client.py"))
        assert result.exit_code == 0, result.stderr
        yield url, imported(folder / "pets_client.py")


def test_a_program_of_another_make_is_called_with_what_was_pulled_from_it(petstore):
    url, module = petstore
    with ServiceManager(config={}) as manager:
        pets = manager.get_service(module.PetStoreV1, "rest", address=url)
        pet = pets.read_pet(UUID(int=7), q="hello", limit=4, x_token="t")
        assert (pet.name, pet.class_, pet.tags, pet.kind) == (str(UUID(int=7)), 4, {"a"}, module.Kind.CAT)
        assert [(f.name, f.kind) for f in pet.friends] == [("hello t ", module.Kind.BIG_DOG)]
        assert pets.create(body=module.Cat(weight=2.5)) == module.Cat(meow=3, weight=2.5)
        assert pets.create(body=module.Cat(weight=1, meow=0)) == 0
        assert pets.list_all(self2="a", type=[1, 2])["a"][1] == module.Cat(weight=2)
        body = module.Body_embedded_pets__number__put(a=1, b=[module.Pet_Input(name="x")])
        assert pets.embedded(1, body=body) is None
        assert pets.stop2(1) is None
        with pytest.raises(ServiceError):
            pets.read_pet(UUID(int=7), limit=0)
