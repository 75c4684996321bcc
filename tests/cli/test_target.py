from __future__ import annotations

import pytest

from tests.cli.commands import ORDERS, run, write


@pytest.mark.parametrize(
    "target", ["shop.web:app", "shop.web", "shop/web.py", "shop/web.py:app", "{folder}/shop/web.py:app"]
)
def test_an_app_is_found_by_module_and_by_path(folder, target):
    write(folder, "shop/web.py")
    result = run("routes", target.format(folder=folder))
    assert result.exit_code == 0, result.stderr
    assert "orders.place" in result.stdout


def test_a_file_in_a_package_may_import_relatively(folder):
    write(folder, "src/shop/__init__.py", "")
    write(folder, "src/shop/parts.py")
    write(folder, "src/shop/web.py", "from .parts import app as application\n")
    assert "orders.place" in run("routes", "src/shop/web.py:application").stdout


def test_a_file_may_import_its_neighbour_and_modules_of_the_working_directory(folder):
    write(folder, "apps/neighbour.py", "one = 1\n")
    write(folder, "common.py", "two = 2\n")
    write(
        folder,
        "apps/web.py",
        f"import neighbour, common\n{ORDERS.replace('from __future__ import annotations', '')}",
    )
    result = run("routes", "apps/web.py")
    assert result.exit_code == 0, result.stderr


def test_an_attribute_may_be_dotted(folder):
    write(folder, "shop.py", f"{ORDERS}\nclass Apps:\n    main = app\n")
    assert "orders.place" in run("routes", "shop:Apps.main").stdout


def test_the_variable_stands_in_for_the_argument(folder, monkeypatch):
    write(folder, "shop.py")
    monkeypatch.setenv("UNIMICRO_APP", "shop:app")
    assert "orders.place" in run("routes").stdout


def test_without_a_target_the_error_says_how_to_give_one(folder):
    for command in ("routes", "serve"):
        result = run(command)
        assert result.exit_code == 2
        assert f"Write unimicro {command} module:app, or set UNIMICRO_APP" in result.stderr


def test_a_missing_module_says_where_it_was_looked_for(folder):
    result = run("routes", "shap:app")
    assert result.exit_code == 1
    assert f"there is no module 'shap' in {folder}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_package_is_named(folder):
    write(folder, "shop/web.py")
    result = run("routes", "shap.web")
    assert "there is no module 'shap.web': there is no 'shap'" in result.stderr


@pytest.mark.parametrize("target", ["none.py", "no such:app", "shop:a-b", "shop/web"])
def test_what_is_neither_module_nor_file_is_a_usage_error(folder, target):
    write(folder, "shop/web.py")
    result = run("routes", target)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_a_missing_attribute_names_the_apps_of_the_module(folder):
    write(folder, "shop.py", ORDERS.replace("app = App", "application = App"))
    result = run("routes", "shop")
    assert result.exit_code == 1
    assert "module 'shop' has no attribute 'app': it has application; write shop:application" in result.stderr


def test_a_missing_attribute_names_the_nearest_where_there_is_no_app(folder):
    write(folder, "shop.py", "service = 1\n")
    result = run("routes", "shop:servise")
    assert (
        "no attribute 'servise'; did you mean 'service'?: it has no unimicro.App; add app = App("
        in result.stderr
    )


@pytest.mark.parametrize(("attribute", "is_a"), [("Orders", "the class Orders"), ("number", "a int")])
def test_an_attribute_that_is_no_app_is_explained(folder, attribute, is_a):
    write(folder, "shop.py", f"{ORDERS}\nnumber = 1\n")
    result = run("routes", f"shop:{attribute}")
    assert result.exit_code == 1
    assert f"shop.{attribute} is {is_a}, not a unimicro.App: it has app; write shop:app" in result.stderr


def test_an_error_inside_the_module_is_a_traceback_that_begins_there(folder):
    write(folder, "shop.py", "def price():\n    return 1 / 0\n\nprice()\n")
    result = run("routes", "shop")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    first = lines.index("Traceback (most recent call last):") + 1
    assert lines[first] == f'  File "{folder}/shop.py", line 4, in <module>'
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "unimicro_cli" not in result.stderr
    assert "importlib" not in result.stderr


def test_the_traceback_keeps_the_cause_of_an_error(folder):
    text = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error\n"
    write(folder, "shop.py", text)
    result = run("routes", "shop")
    assert "ZeroDivisionError" in result.stderr
    assert result.stderr.rstrip().endswith("KeyError: 'x'")


def test_a_module_that_the_users_module_misses_is_an_error_inside_it(folder):
    write(folder, "shop.py", "import not_installed_anywhere\n")
    result = run("routes", "shop")
    assert result.exit_code == 1
    assert f'File "{folder}/shop.py", line 1' in result.stderr
    assert "No module named 'not_installed_anywhere'" in result.stderr


def test_a_syntax_error_shows_its_line(folder):
    write(folder, "shop.py", "def broken(:\n")
    result = run("routes", "shop")
    assert result.exit_code == 1
    assert f'File "{folder}/shop.py", line 1' in result.stderr
    assert "SyntaxError" in result.stderr


def test_what_unimicro_refuses_shows_the_users_line_and_no_traceback(folder):
    write(folder, "shop.py", "from unimicro import App, Service\n\napp = App(Service)\n")
    result = run("routes", "shop")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: App takes instances: write Service(), not Service\n  shop.py, line 3: app = App(Service)\n"
    )


def test_a_refused_option_shows_the_line_of_its_decorator(folder):
    text = "from unimicro import Cors\n\nrule = Cors(credentials=True)\n"
    write(folder, "shop.py", text)
    assert "shop.py, line 3: rule = Cors(credentials=True)" in run("routes", "shop").stderr


def test_a_file_whose_name_is_taken_by_another_module_is_refused(folder):
    write(folder, "apps/json.py")
    result = run("routes", "apps/json.py")
    assert result.exit_code == 1
    assert "would be the module 'json', which is" in result.stderr


@pytest.mark.parametrize("text", ["sys.exit(0)", "sys.exit(3)", "sys.exit('over')"])
def test_a_module_that_ends_the_process_is_an_error_of_the_module(folder, text):
    """Its exit code would pass for one of the command's."""
    write(folder, "ends.py", f"import sys\n{text}\n")
    result = run("routes", "ends")
    assert result.exit_code == 1
    assert "importing module 'ends' raised SystemExit" in result.stderr
    assert text in result.stderr


def test_an_attribute_that_cannot_be_got_is_shown_with_its_traceback(folder):
    write(
        folder,
        "lazily.py",
        "def __getattr__(name):\n"
        "    raise ValueError('not today') if name == 'app' else AttributeError(name)\n",
    )
    result = run("routes", "lazily")
    assert result.exit_code == 1
    assert "ValueError: not today" in result.stderr
    assert "unimicro_cli" not in result.stderr
