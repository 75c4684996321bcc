"""``unimicro explain``: the composed pipeline, who said so, the bound, and what looks wrong."""

from __future__ import annotations

import json

from tests.cli.commands import run

SERVICE = """
from unimicro import App, Breaker, Deadline, Retry, Service, entry


class Orders(Service):
    policies = (Deadline(2.0),)

    @entry(safe=True, retry=Retry(attempts=5), breaker=Breaker("stock"))
    async def get(self, number: int = 1) -> str:
        return "fine"

    @entry
    def post(self) -> None:
        pass


app = App(Orders())
"""

CONFIGURATION = """
[entries."orders.get"]
breaker = false
"""


def explained(folder, *arguments, configuration=""):
    (folder / "shelf.py").write_text(SERVICE)
    (folder / "unimicro.toml").write_text(configuration)
    return run("explain", *arguments, "--app", "shelf")


def lines(result):
    assert result.exit_code == 0, result.stderr
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_the_stages_come_in_order_with_their_settings_and_who_said_so(folder):
    assert lines(explained(folder, "orders.get"))[:9] == [
        "orders.get(number: int = 1) -> str",
        "",
        "STAGE KIND MODE POLICY FROM",
        "1 deadline guard enforce Deadline(timeout=2.0) service",
        "2 auth guard enforce Token() default",
        "3 arguments guard enforce - always",
        "4 retry recovery enforce Retry(attempts=5) entry",
        "5 breaker bracket enforce Breaker(circuit='stock') entry",
        "6 get async method",
    ]


def test_what_is_off_is_named_with_who_switched_it_off(folder):
    found = lines(explained(folder, "orders.get", configuration=CONFIGURATION))
    assert "- breaker off Breaker(circuit='stock') [entries.orders.get]" in found
    assert not any("bracket" in line for line in found)


def test_the_worst_case_is_printed(folder):
    assert "worst case: 2 s, 5 attempts" in lines(explained(folder, "orders.get"))


def test_what_looks_wrong_is_a_warning(folder):
    warnings = [line for line in lines(explained(folder, "orders.get")) if line.startswith("warning: ")]
    assert warnings == ["warning: a retry without a timeout: one slow attempt may use up all the time"]


def test_json_says_the_same(folder):
    told = json.loads(explained(folder, "orders.get", "--json").stdout)
    assert told["operation"] == "orders.get"
    assert told["worst_case"] == {"seconds": 2.0, "attempts": 5}
    assert [stage["name"] for stage in told["stages"]] == [
        "deadline",
        "auth",
        "arguments",
        "retry",
        "breaker",
    ]


def test_an_unknown_operation_names_the_nearest(folder):
    result = explained(folder, "orders.gte")
    assert result.exit_code == 1
    assert "there is no operation 'orders.gte'; did you mean 'orders.get'?" in result.stderr


def test_the_app_must_be_given(folder, monkeypatch):
    monkeypatch.delenv("UNIMICRO_APP", raising=False)
    result = run("explain", "orders.get")
    assert result.exit_code == 2
    assert "Write unimicro explain OPERATION --app module:app" in result.stderr
