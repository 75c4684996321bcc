"""``unimicro client pull`` of services of the house: what it writes is what they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.awkward import Awkward
from tests.cli.commands import run
from tests.cli.pulled import (
    answering,
    awkward_description,
    description,
    formatting,
    imported,
    kit_description,
    told,
)
from tests.typing.checkers import basedpyright, mypy
from unimicro.testing.kit import Kit

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kit(folder):
    with answering(kit_description()) as server:
        yield server


@pytest.fixture
def awkward(folder):
    with answering(awkward_description()) as server:
        yield server


def pull(*arguments):
    result = run("client", "pull", *arguments)
    assert result.exit_code == 0, result.stderr
    return result


def test_the_module_of_the_conformance_kit_has_the_same_operations(kit, folder):
    assert pull(kit.url).stdout == "wrote kit_client.py\n"
    ours, original = told(imported(folder / "kit_client.py").Kit), told(Kit, "kit")
    assert ours.pop("name") == original.pop("name")
    assert ours["operations"].keys() == original["operations"].keys()
    for name, operation in original["operations"].items():
        assert ours["operations"][name] == operation, name
    assert ours["classes"] == original["classes"]


def test_names_that_hide_each_other_and_other_names_on_the_wire_survive(awkward, folder):
    pull(awkward.url)
    module = imported(folder / "awkward_1_client.py")
    ours, original = told(module.Awkward), told(Awkward, "awkward-1")
    for name in sorted(original["operations"].keys() - {"documented", "response"}):
        assert ours["operations"][name] == original["operations"][name], name
    assert ours["operations"]["response"]["returns"] == "Response2"
    page = {"items": "list[Point]", "next": "PagePoint | None"}
    assert {f["name"]: f["type"] for f in ours["classes"]["PagePoint"]["fields"]} == page
    for name in ("Day", "Point", "Level", "Word", "Pair"):
        assert without_unknown(ours["classes"][name]) == without_unknown(original["classes"][name]), name


def without_unknown(described):
    """A default that text cannot give becomes an argument that must be given."""
    fields = [field for field in described.get("fields", ()) if field["name"] != "made"]
    return {**described, "fields": fields}


def test_an_error_whose_name_is_taken_still_travels_under_it(awkward, folder):
    pull(awkward.url)
    module = imported(folder / "awkward_1_client.py")
    failing = told(module.Awkward)["operations"]["get_failing"]
    assert failing["errors"]["Path"] == "failed_precondition"
    assert module.Sold.__annotations__ == {"sku": "str"}


def test_documentation_cannot_end_its_docstring(awkward, folder):
    pull(awkward.url)
    module = imported(folder / "awkward_1_client.py")
    assert module.Awkward.documented.__doc__.split() == Awkward.documented.__doc__.split()
    assert module.Awkward.__doc__ == Awkward.__doc__


def test_the_same_description_gives_the_same_text_in_every_process(kit, folder):
    def text(seed):
        command = [sys.executable, "-m", "unimicro_cli", "client", "pull", kit.url, "-o", "-"]
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "cli")}
        script = "from unimicro_cli.main import main; main()"
        command[1:3] = ["-c", script]
        return subprocess.run(command, check=True, capture_output=True, timeout=30, env=environment).stdout

    assert text("1") == text("2") == pull(kit.url, "-o", "-").stdout_bytes


def test_what_is_written_is_formatted_and_passes_strict_type_checks(kit, folder):
    pull(kit.url)
    with answering(awkward_description()) as server:
        pull(server.url)
    modules = ["kit_client.py", "awkward_1_client.py"]
    assert formatting(folder, *modules) == ""
    assert mypy(folder, *modules) == {}
    assert basedpyright(folder, *modules) == {}


def test_the_head_says_where_it_came_from_without_secrets(kit, folder):
    address = kit.url.replace("http://", "http://user:passw0rd@")
    text = pull(f"{address}/?token=s3cret", "-o", "-").stdout
    assert text.startswith(f"# Pulled from {kit.url}/openapi.json by `unimicro client pull`")
    assert not any(secret in text for secret in ("passw0rd", "s3cret", "user:"))
    assert kit.asked == "/openapi.json?token=s3cret"
    assert kit.received["authorization"] == "Basic dXNlcjpwYXNzdzByZA=="


def test_a_token_is_sent_and_written_nowhere(kit, folder):
    assert "g00d" not in pull(kit.url, "-o", "-", "--token", "g00d").stdout
    assert kit.received["authorization"] == "g00d"
    both = run("client", "pull", kit.url.replace("//", "//user:passw0rd@"), "--token", "g00d")
    assert both.exit_code == 2
    assert "a request carries one of them" in both.stderr


def test_the_variable_token_is_not_sent_to_whoever_is_asked(kit, folder, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret")
    pull(kit.url)
    assert "authorization" not in kit.received


def test_an_address_of_a_document_is_taken_as_it_is(kit, folder):
    pull(f"{kit.url}/v1/api.json")
    assert kit.asked == "/v1/api.json"
    pull(f"{kit.url}/v1/", "--force")
    assert kit.asked == "/v1/openapi.json"


def test_a_file_is_not_overwritten_unless_that_is_asked_for(kit, folder):
    (folder / "kit.py").write_text("mine")
    refused = run("client", "pull", kit.url, "-o", "kit.py")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: kit.py is there already: overwrite it with --force\n",
    )
    assert (folder / "kit.py").read_text() == "mine"
    pull(kit.url, "-o", "kit.py", "--force")
    assert "class Kit(Service, ABC):" in (folder / "kit.py").read_text()
    assert [path.name for path in folder.iterdir()] == ["kit.py"]


def test_a_file_that_cannot_be_written_is_named(kit, folder):
    result = run("client", "pull", kit.url, "-o", "nowhere/kit.py")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: cannot write nowhere/kit.py: No such file or directory\n",
    )


def test_what_is_in_the_way_stays_and_nothing_is_left_behind(kit, folder):
    (folder / "kit.py").mkdir()
    refused = run("client", "pull", kit.url, "-o", "kit.py", "--force")
    assert (refused.exit_code, refused.stderr) == (1, "Error: cannot write kit.py: Is a directory\n")
    assert [path.name for path in folder.iterdir()] == ["kit.py"]
    (folder / ".other.py.new").write_text("mine")
    refused = run("client", "pull", kit.url, "-o", "other.py", "--force")
    assert (refused.exit_code, refused.stderr) == (1, "Error: .other.py.new is in the way: remove it\n")
    assert (folder / ".other.py.new").read_text() == "mine"


@pytest.mark.parametrize("given", ["Boxes", "kit=Boxes"])
def test_the_class_can_be_named(kit, folder, given):
    assert "class Boxes(Service, ABC):" in pull(kit.url, "-o", "-", "--class-name", given).stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("1x", "'1x' is no name of a class"),
        ("kitt=Boxes", "there is no service 'kitt'; did you mean 'kit'?"),
        ("Service", "the module needs the name Service for something else"),
        ("print", "the module needs the name print for something else"),
    ],
)
def test_a_name_that_cannot_be_is_refused(kit, folder, given, message):
    result = run("client", "pull", kit.url, "--class-name", given)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(folder.iterdir())


def test_several_services_come_as_several_classes(folder):
    from unimicro import App, Service, entry

    class Shop(Service):
        @entry
        def post_order(self) -> str:
            return "x"

    class Stock(Service):
        @entry
        def get_left(self) -> int:
            return 1

    with answering(description(App(Stock(), Shop(), config={}))) as server:
        assert pull(server.url, "--class-name", "stock=Store").stdout == "wrote services_client.py\n"
        refused = run("client", "pull", server.url, "--class-name", "Store", "-o", "-")
    module = imported(folder / "services_client.py")
    assert list(told(module.Shop)["operations"]) == ["post_order"]
    assert list(told(module.Store)["operations"]) == ["get_left"]
    assert refused.exit_code == 2
    assert "which service? Write stock=Store" in refused.stderr


def test_the_component_under_which_a_registry_knows_the_service_is_kept(folder):
    from unimicro import App, Component, Service, entry
    from unimicro.channels.client.interface import Interface
    from unimicro.component import component

    class Stock(Service):
        @entry
        def get_left(self) -> int:
            return 1

    @component("store", services=[Stock])
    class Store(Component):
        pass

    with answering(description(App(components=[Store], config={}))) as server:
        pull(server.url)
    assert Interface(imported(folder / "stock_client.py").Stock).component == "store"
