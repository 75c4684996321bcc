"""Plugins of other people, installed as distributions and found by the name of their entry point."""

from __future__ import annotations

import re


def test_a_door_is_found_by_name_and_answers(scratch, tmp_path):
    printed = scratch.program(
        """
door = App(Shop()).door("lines")
print(door.handle(b'shop.price {"kwargs": {"sku": "tea"}}').decode())
print(door.handle(b'shop.cost {}').decode())
""",
        tmp_path,
    )
    answer, refusal = printed.splitlines()
    assert answer == 'ok {"sku":"tea","price":"2.50"}'
    assert refusal.startswith('error {"type":"about:blank","title":"Not Implemented","status":501,')


def test_the_plugin_passes_its_own_conformance_tests(scratch):
    project = scratch.sources / "unimicro-lines"
    done = scratch.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=project)
    assert done.returncode == 0, done.stdout
    passed = re.fullmatch(r"(\d+) passed in .*", done.stdout.splitlines()[-1])
    assert passed, done.stdout
    assert int(passed.group(1)) > 80


def test_a_neighbour_that_nobody_asks_for_is_not_imported(scratch, tmp_path):
    for options in ("", ", plugins=['lines']"):
        printed = scratch.program(f"print(App(Shop(){options}).door('lines').name)", tmp_path)
        assert printed == "lines\n"


def test_a_plugin_that_breaks_when_imported_is_named_with_the_cause(scratch, tmp_path):
    for use in ("App(Shop()).door('broken')", "App(Shop(), plugins=['broken'])"):
        assert scratch.program(f"refusal(lambda: {use})", tmp_path) == (
            "broken was imported\n"
            "PluginError: plugin 'broken' (unimicro_broken) cannot be imported:"
            " RuntimeError: the licence has run out\n"
        )


def test_a_misspelt_hook_is_named_with_its_plugin_and_the_right_spelling(scratch, tmp_path):
    for use in ("App(Shop()).door('misspelt')", "App(Shop(), plugins=['misspelt'])"):
        assert scratch.program(f"refusal(lambda: {use})", tmp_path) == (
            "PluginError: plugin 'misspelt': there is no hook 'unimicro_register_door';"
            " did you mean 'unimicro_register_doors'?\n"
        )


def test_a_misspelt_hook_is_not_blamed_on_the_plugin_asked_for_next(scratch, tmp_path):
    printed = scratch.program(
        """
app = App(Shop())
for attempt in (1, 2):
    refusal(lambda: app.door("misspelt"))
print(app.door("lines").name)
""",
        tmp_path,
    )
    first, second, name = printed.splitlines()
    assert first == second
    assert name == "lines"


def test_a_misspelt_name_gets_the_nearest_that_is_installed(scratch, tmp_path):
    printed = scratch.program(
        """
refusal(lambda: App(Shop()).door("linse"))
refusal(lambda: App(Shop()).door("flaks"))
refusal(lambda: App(Shop(), plugins=["linse"]))
""",
        tmp_path,
    )
    assert printed.splitlines() == [
        "ConfigurationError: there is no door 'linse'; did you mean 'lines'?",
        "ConfigurationError: there is no door 'flaks'; did you mean 'flask'?",
        "PluginError: plugin 'linse' is not installed; did you mean 'lines'?",
    ]


def test_a_plugin_can_be_disabled_by_configuration(scratch, tmp_path):
    (tmp_path / "unimicro.toml").write_text('[plugins]\ndisabled = ["lines", "broken"]\n')
    printed = scratch.program(
        """
app = App(Shop(), plugins=["lines", "broken"])
print(app.call("shop.price", sku="tea").value["price"])
refusal(lambda: app.door("lines"))
refusal(lambda: app.door("linse"))
""",
        tmp_path,
    )
    price, disabled, unknown = printed.splitlines()
    assert price == "2.50"
    assert disabled == "PluginError: plugin 'lines' is disabled in the configuration"
    assert unknown.startswith("ConfigurationError: there is no door 'linse'; known: ")
