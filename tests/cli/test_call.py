from __future__ import annotations

import json
import sys

import pytest

from tests.cli.commands import ORDERS, run, write


@pytest.fixture
def shop(folder):
    write(folder, "shop.py")
    return folder


def call(*arguments: str):
    return run("call", *arguments, "--app", "shop")


def received(*arguments: str):
    result = call("orders.post_any", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_text_is_printed_as_it_is(shop, monkeypatch):
    monkeypatch.setenv("GREETING", "grüezi\n")
    assert call("orders.get_greeting").stdout == "grüezi\n"
    monkeypatch.setenv("GREETING", "hello")
    assert call("orders.get_greeting").stdout == "hello\n"


def test_bytes_are_printed_as_they_are(shop):
    assert call("orders.get_raw").stdout_bytes == b"\x00\xff"


def test_other_results_are_json(shop):
    result = call("orders.place", "order_id=a", "quantity=2")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"order_id": "a", "quantity": 2}


def test_no_result_is_null(shop):
    assert call("orders.sweep").stdout == "null\n"


def test_a_value_is_read_as_json_when_it_is_json(shop):
    assert received("a=1", "b=[1, 2]", 'c={"d": null}', "e=yes", "f=a=b", "g=", 'h="1"', "i=true") == {
        "a": 1, "b": [1, 2], "c": {"d": None}, "e": "yes", "f": "a=b", "g": "", "h": "1", "i": True,
    }  # fmt: skip


def test_a_number_is_text_for_a_parameter_that_is_text(shop):
    assert json.loads(call("orders.place", "order_id=42").stdout)["order_id"] == "42"


def test_a_value_may_come_from_a_file(shop):
    (shop / "value.json").write_text('{"x": 1}')
    assert received("a=@value.json") == {"a": {"x": 1}}


def test_all_arguments_may_come_as_one_json_object(shop):
    assert received("--json", '{"a": 1, "b": [2]}') == {"a": 1, "b": [2]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a",), "'a' is no argument; write key=value."),
        (("=1",), "'=1' is no argument"),
        (("a=1", "a=2"), "a is given twice"),
        (("a=@missing.txt",), "cannot read 'missing.txt'"),
        (("--json", "{"), "--json: malformed JSON"),
        (("--json", "[1]"), "--json: expected an object"),
        (("--json", "{}", "a=1"), "--json gives all arguments"),
    ],
)
def test_arguments_that_cannot_be_read_are_usage_errors(shop, arguments, message):
    result = call("orders.post_any", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_wrong_arguments_are_each_named(shop):
    result = call("orders.place", "quantity=many", "colour=red")
    assert result.exit_code == 1
    assert result.stdout == ""
    first, *problems = result.stderr.splitlines()
    assert first.startswith("invalid_argument: ")
    assert {problem.split(":")[0].strip() for problem in problems} == {"order_id", "quantity", "colour"}


def test_an_unknown_operation_names_the_nearest(shop):
    result = call("orders.plac")
    assert result.exit_code == 1
    assert (
        result.stderr == "unimplemented: there is no operation 'orders.plac'; did you mean 'orders.place'?\n"
    )


def test_a_crash_of_the_service_is_internal(shop, caplog):
    result = call("orders.post_crash")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "internal: internal error"
    assert "a secret detail" in caplog.text


def test_services_are_set_up_before_and_stopped_after_the_call(folder):
    hooks = (
        "\nclass Warm(Service):\n"
        "    def setup(self): print('setup')\n"
        "    def stop(self): print('stop')\n"
        "    @entry\n"
        "    def get(self) -> str: return 'called'\n"
        "app = App(Warm())\n"
    )
    write(folder, "shop.py", ORDERS + hooks)
    assert call("warm.get").stdout == "setup\nstop\ncalled\n"


def test_a_set_up_that_raises_is_a_traceback_of_the_user(folder):
    hooks = "\nclass Cold(Orders):\n    def setup(self): raise OSError('no database')\napp = App(Cold())\n"
    write(folder, "shop.py", ORDERS + hooks)
    result = call("cold.get_greeting")
    assert result.exit_code == 1
    assert "running the app raised OSError" in result.stderr
    assert result.stderr.rstrip().endswith("OSError: no database")


def test_without_app_and_url_the_error_says_how_to_give_them(folder):
    result = run("call", "orders.place")
    assert result.exit_code == 2
    assert "--app module:app or --url http://host:port, or set UNIMICRO_APP" in result.stderr


def test_app_and_url_together_are_a_usage_error(folder):
    assert run("call", "a.b", "--app", "shop", "--url", "http://127.0.0.1:1").exit_code == 2


def test_a_call_in_this_process_needs_no_server_packages(shop, monkeypatch):
    for module in ("flask", "fastapi", "uvicorn", "httpx"):
        monkeypatch.setitem(sys.modules, module, None)
    assert call("orders.get_greeting").exit_code == 0


@pytest.mark.parametrize("timeout", ["nan", "inf"])
def test_a_timeout_that_is_no_time_is_a_usage_error(folder, timeout):
    write(folder, "shop.py")
    assert run("call", "orders.get_greeting", "--app", "shop", "--timeout", timeout).exit_code == 2


def test_a_result_that_no_terminal_can_show_is_an_error(folder):
    write(folder, "odd.py", ORDERS.replace("return kwargs", 'return "\\ud800"'))
    result = run("call", "orders.post_any", "--app", "odd")
    assert result.exit_code == 1
    assert "the result cannot be printed" in result.stderr


def test_a_service_that_ends_the_process_fails_the_call(folder):
    write(folder, "ends.py", ORDERS.replace("return kwargs", "raise SystemExit(0)"))
    result = run("call", "orders.post_any", "--app", "ends")
    assert result.exit_code == 1
    assert "raise SystemExit(0)" in result.stderr
