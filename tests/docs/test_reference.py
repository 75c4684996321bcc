"""The reference names everything there is, and its tables say what the code says."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import get_overloads

import click
import pytest
from unimicro_cli.main import main

import unimicro
from tests.docs.pages import REFERENCE, ROOT
from unimicro import App, ServiceManager, connect, errors
from unimicro.channels.client.http_settings import HttpSettings
from unimicro.channels.client.settings import _OWN, DEFAULT_POLICIES, ON_CLIENTS
from unimicro.channels.stream_settings import StreamSettings
from unimicro.config import _KINDS, PREFIX, Settings
from unimicro.errors import ServiceError
from unimicro.options import EntryOptions
from unimicro.outcome import CODES
from unimicro.pipeline.stages import ORDER
from unimicro.plugins import builtin
from unimicro.plugins.hookspecs import UnimicroSpec
from unimicro.service import entry

REFERENCE_TEXT = "".join(page.read_text() for page in REFERENCE.glob("*.md"))


def page(name):
    return (REFERENCE / name).read_text()


def rows(name, heading):
    """The rows of the table whose first column is called ``heading``: the cells, without backquotes."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", page(name), flags=re.MULTILINE)
    lines = table.group(1).splitlines()
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("name", unimicro.__all__)
def test_every_public_name_is_explained(name):
    assert re.search(rf"`{name}\b", REFERENCE_TEXT)


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_listed_with_its_default(field):
    listed = {row[0]: row[1] for row in rows("configuration.md", "setting")}
    default = field.default_factory() if field.default is dataclasses.MISSING else field.default
    assert listed[field.name] == repr(default).replace('"', "'")


@pytest.mark.parametrize("name", _KINDS)
def test_every_environment_variable_is_listed(name):
    assert f"`{PREFIX}{name.upper()}`" in page("configuration.md")


@pytest.mark.parametrize("hook", [name for name in dir(UnimicroSpec) if name.startswith("unimicro_")])
def test_every_hook_is_listed(hook):
    assert f"`{hook}(" in page("hooks.md")


KEYWORDS = inspect.signature(get_overloads(entry)[1]).parameters.values()
OPTIONS = {option.name: option.default for option in KEYWORDS if option.kind is option.KEYWORD_ONLY}


def test_the_typed_signature_of_entry_has_every_option():
    assert {field.name for field in dataclasses.fields(EntryOptions)} <= OPTIONS.keys()


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_an_entry_is_listed_with_its_default(option):
    listed = {row[0]: row[1] for row in rows("entries.md", "option")}
    assert listed[option] == repr(OPTIONS[option])


@pytest.mark.parametrize("command", main.commands)
def test_every_command_and_each_of_its_options_is_listed(command):
    text = page("cli.md")
    _, heading, rest = text.partition(f"## unimicro {command}\n")
    section = rest.partition("\n## ")[0]
    assert heading
    for name, each in {"": main.commands[command], **getattr(main.commands[command], "commands", {})}.items():
        assert f"unimicro {command} {name}".rstrip() in text
        for parameter in each.params:
            if isinstance(parameter, click.Option):
                for option in parameter.opts:
                    assert f"`{option}" in section, f"unimicro {command} {name} {option}"


def test_the_table_of_codes_is_that_of_the_code():
    listed = {
        code: (int(status), retry, counts) for code, status, retry, counts, *_ in rows("failures.md", "code")
    }
    assert listed == {code: (rule.status, rule.retryable, rule.breaker) for code, rule in CODES.items()}


def test_the_table_of_codes_names_the_class_to_raise():
    listed = {row[0]: row[4] for row in rows("failures.md", "code")}
    ours = [kind for kind in ServiceError.__subclasses__() if kind.__module__ == errors.__name__]
    assert listed == {kind.code: kind.__name__ for kind in ours}


@pytest.mark.parametrize("name", builtin.POLICIES)
def test_every_setting_of_a_policy_is_listed_with_its_default(name):
    kind = builtin.load(builtin.POLICIES[name])
    listed = {row[1]: row[2] for row in rows("policies.md", "policy") if row[0] == name}
    # Every policy has a mode: it stands once, above the table.
    fields = [field for field in dataclasses.fields(kind) if field.name != "mode"]
    required = dataclasses.MISSING
    told = {field.name: "required" if field.default is required else repr(field.default) for field in fields}
    assert listed == {setting: default.replace("'", '"') for setting, default in told.items()}


def test_every_setting_of_a_channel_is_listed_with_its_default():
    listed = {(name, row[1]): row[2] for row in rows("clients.md", "channel") for name in row[0].split(", ")}
    of_http, of_stream = HttpSettings._field_defaults, StreamSettings._field_defaults
    channels = {
        name: of_stream if name == "stream" else of_http for name in builtin.CHANNELS if name != "local"
    }
    assert listed == {
        (channel, name): repr(default).replace("'", '"')
        for channel, settings in channels.items()
        for name, default in settings.items()
    }


def test_every_setting_of_a_client_is_listed():
    listed = {name for row in rows("clients.md", "setting") for name in row[0].split(", ")}
    assert listed == {*ON_CLIENTS, *_OWN}
    given = {row[0]: row[1] for row in rows("clients.md", "setting")}
    assert given["deadline"] == f"{{ timeout = {DEFAULT_POLICIES[0].timeout} }}"
    assert {policy.name for policy in DEFAULT_POLICIES} == {
        name for name in ON_CLIENTS if given.get(name, "off") != "off"
    }


def test_every_parameter_of_a_service_manager_is_listed():
    listed = {name for row in rows("clients.md", "parameter") for name in row[0].split(", ")}
    assert listed == set(inspect.signature(ServiceManager).parameters)


def written(function):
    """Name and parameters of a function as the reference writes them: without types and ``self``."""
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    own = [each for each in parameters if each.name != "self"]
    text = signature.replace(parameters=own, return_annotation=signature.empty)
    return f"{function.__name__}{text}".replace("'", '"')


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (App, "names.md"),
        (ServiceManager, "clients.md"),
        (ServiceManager.get_service, "clients.md"),
        (connect, "clients.md"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_signature_is_written_as_it_is(function, where):
    shown = re.findall(rf"`({function.__name__}\([^`]*\))", page(where))
    assert written(function) in [" ".join(each.split()) for each in shown]


def test_the_order_of_the_stages_is_that_of_the_code():
    assert {name: int(order) for name, order, *_ in rows("policies.md", "stage")} == ORDER


def test_every_door_is_listed():
    assert {row[0] for row in rows("http.md", "door")} == set(builtin.DOORS)


@pytest.mark.parametrize("kind", builtin.REGISTRIES)
def test_every_setting_of_a_registry_is_listed_with_its_default(kind):
    listed = {row[1]: row[2] for row in rows("registries.md", "kind") if row[0] == kind}
    parameters = inspect.signature(builtin.load(builtin.REGISTRIES[kind])).parameters.values()
    told = {
        parameter.name: "required" if parameter.default is parameter.empty else repr(parameter.default)
        for parameter in parameters
        if parameter.name != "clock"  # for tests
    }
    assert listed == {setting: default.replace("'", '"') for setting, default in told.items()}


def test_every_selector_is_explained():
    page_of = (ROOT / "docs" / "how-to" / "find-services.md").read_text()
    assert all(f"`{name}`" in page_of for name in builtin.SELECTORS)
