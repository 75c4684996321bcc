"""The plugin manager, with plugin objects made here."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from unimicro import App, FrontEnd, Left, Right, Service, entry, hookimpl
from unimicro.errors import PluginError
from unimicro.outcome import Failure
from unimicro.plugins import manager


class Shop(Service):
    @entry(no_auth=True)
    def get(self):
        return "in"

    @entry(no_auth=True)
    def get_other(self):
        return "other"


class Door(FrontEnd[Any, Any]):
    name = "bell"

    def decode(self, native):
        return Left(Failure("unimplemented"))

    def encode(self, native, invocation, outcome):
        return outcome


def plugin(name: str, **hooks: Any) -> ModuleType:
    """A module whose functions are hook implementations."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return module


def refused(*plugins: Any, **config: Any) -> str:
    with pytest.raises(PluginError) as caught:
        App(Shop(), plugins=plugins, **config)
    return str(caught.value)


def test_a_door_of_a_plugin_is_made_when_asked_for():
    made: list[App] = []

    def unimicro_register_doors(register):
        register("bell", lambda app: made.append(app) or Door(app))

    app = App(Shop(), plugins=[plugin("ringer", unimicro_register_doors=unimicro_register_doors)])
    assert made == []
    assert app.door("bell") is app.door("bell")
    assert made == [app]


def test_stages_of_a_plugin_run_in_their_order_for_the_operations_it_chose():
    seen: list[str] = []

    def guard(name):
        return lambda invocation: (seen.append(name), Right(invocation))[1]

    def unimicro_register_stages(operation, register):
        if operation.name == "shop.get":
            register("late", guard("late"), order=70)
            register("early", guard("early"), order=5)

    app = App(Shop(), plugins=[plugin("p", unimicro_register_stages=unimicro_register_stages)])
    app.call("shop.get_other")
    assert seen == []
    app.call("shop.get")
    assert seen == ["early", "late"]
    assert [stage.name for stage in app.stages_of("shop.get")] == ["early", "deadline", "arguments", "late"]


def test_the_app_is_shown_when_it_is_complete():
    seen: list[Any] = []

    def unimicro_assembled(app):
        seen.append(sorted(app.operations))

    App(Shop(), plugins=[plugin("p", unimicro_assembled=unimicro_assembled)])
    assert seen == [["shop.get", "shop.get_other"]]


def test_plugins_are_called_in_the_order_given_but_for_first_and_last():
    seen: list[str] = []

    def told(name, **order):
        module = ModuleType(name)
        module.unimicro_assembled = hookimpl(lambda app: seen.append(name), **order)
        return module

    plugins = [told("1"), told("last", trylast=True), told("2"), told("first", tryfirst=True), told("3")]
    App(Shop(), plugins=plugins)
    assert seen == ["first", "1", "2", "3", "last"]


def test_a_misspelt_hook_is_named_with_the_right_one():
    text = refused(plugin("typo", unimicro_register_dors=lambda register: None))
    assert "'typo'" in text
    assert "did you mean 'unimicro_register_doors'?" in text


def test_a_hook_without_our_prefix_is_named():
    text = refused(plugin("typo", unimcro_assembled=lambda app: None))
    assert "'typo'" in text
    assert "unimcro_assembled" in text


def test_a_hook_with_an_argument_that_there_is_not_is_named():
    text = refused(plugin("args", unimicro_assembled=lambda app, doors: None))
    assert "'args'" in text
    assert "doors" in text


def test_a_hook_without_the_marker_would_never_run_and_is_refused():
    module = ModuleType("unmarked")
    module.unimicro_assembled = lambda app: None
    assert "'unmarked': unimicro_assembled lacks @hookimpl" in refused(module)


@pytest.mark.parametrize(
    "hook", ["unimicro_register_doors", "unimicro_register_stages", "unimicro_assembled"]
)
def test_a_hook_that_raises_names_its_plugin(hook):
    def broken():
        raise KeyError("inside")

    text = refused(plugin("fine"), plugin("broken", **{hook: broken}))
    assert "'broken'" in text
    assert "KeyError" in text
    assert "inside" in text


def test_two_plugins_with_one_door_are_both_named():
    def unimicro_register_doors(register):
        register("bell", Door)

    hooks = {"unimicro_register_doors": unimicro_register_doors}
    text = refused(plugin("one", **hooks), plugin("two", **hooks))
    assert "'one'" in text
    assert "'two'" in text
    assert "'bell'" in text


def test_two_plugins_of_one_name_are_refused_and_one_given_twice_is_one():
    assert "'same'" in refused(plugin("same"), plugin("same"))
    seen: list[int] = []
    once = plugin("once", unimicro_assembled=lambda app: seen.append(1))
    App(Shop(), plugins=[once, once])
    assert seen == [1]


def test_a_disabled_plugin_is_left_out():
    broken = plugin("broken", unimicro_assembled=lambda app: 1 / 0)
    App(
        Shop(),
        plugins=[broken, "not.installed"],
        config={"plugins": {"disabled": ["broken", "not.installed"]}},
    )


def test_a_plugin_that_is_not_installed_is_named():
    assert "'nowhere' is not installed" in refused("nowhere")


def entry_point(monkeypatch, name: str, load: Any) -> list[str]:
    """Pretend that a distribution offers the plugin ``name``; returns the names looked up."""
    asked: list[str] = []
    point = SimpleNamespace(name=name, value=f"{name}_plugin", load=load)

    def look_up(wanted):
        asked.append(wanted)
        return point if wanted == name else None

    monkeypatch.setattr(manager, "_entry_point", look_up)
    return asked


def test_a_plugin_is_found_by_name(monkeypatch):
    seen: list[int] = []
    found = plugin("module", unimicro_assembled=lambda app: seen.append(1))
    asked = entry_point(monkeypatch, "fancy", lambda: found)
    App(Shop(), plugins=["fancy"])
    assert (seen, asked) == ([1], ["fancy"])


def test_a_plugin_that_breaks_on_import_is_named(monkeypatch):
    def load():
        raise SyntaxError("inside")

    entry_point(monkeypatch, "broken", load)
    text = refused("broken")
    assert "'broken' (broken_plugin) cannot be imported: SyntaxError" in text


def test_a_door_asked_for_loads_the_plugin_of_that_name(monkeypatch):
    def unimicro_register_doors(register):
        register("bell", Door)

    entry_point(monkeypatch, "bell", lambda: plugin("m", unimicro_register_doors=unimicro_register_doors))
    assert isinstance(App(Shop()).door("bell"), Door)


def test_hooks_that_came_too_late_are_refused(monkeypatch):
    def unimicro_register_doors(register):
        register("bell", Door)

    late = plugin("m", unimicro_register_doors=unimicro_register_doors, unimicro_assembled=lambda app: None)
    entry_point(monkeypatch, "bell", lambda: late)
    with pytest.raises(PluginError, match=r"'bell' implements unimicro_assembled.*plugins=\['bell'\]"):
        App(Shop()).door("bell")
    assert isinstance(App(Shop(), plugins=["bell"]).door("bell"), Door)


def test_a_plugin_without_the_door_is_named(monkeypatch):
    entry_point(monkeypatch, "bell", lambda: plugin("m"))
    with pytest.raises(PluginError, match="registers no door"):
        App(Shop()).door("bell")


def test_lambda_events_are_registered_by_plugins():
    def unimicro_register_lambda_events(app, register):
        register("odd", lambda event: "odd" in event, lambda event, context: event["odd"])

    app = App(Shop(), plugins=[plugin("p", unimicro_register_lambda_events=unimicro_register_lambda_events)])
    ((name, matches, respond),) = app.lambda_events()
    assert (name, matches({"odd": 1}), respond({"odd": 1}, None)) == ("odd", True, 1)
    assert App(Shop()).lambda_events() == []
