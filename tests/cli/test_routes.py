from __future__ import annotations

import json

import pytest

from tests.cli.commands import run, write

EXPECTED = [
    "VERB PATH OPERATION ACCESS DOCUMENTATION",
    "POST /any orders.post_any(**kwargs) -> Any protected",
    "POST /crash orders.post_crash() -> str protected",
    "GET /greeting orders.get_greeting() -> str open",
    "GET /orders/{order_id} orders.place(order_id: str, *, quantity: int = 1) -> Order protected Place one.",
    "GET /raw orders.get_raw() -> bytes protected",
    "EVENT payments settled orders.on_settled(amount: float) -> None internal Money came in.",
    "EVERY 30 s orders.sweep() -> None internal Clean up.",
]


def test_the_table_shows_entries_events_and_timers(folder):
    write(folder, "shop.py")
    result = run("routes", "shop")
    assert result.exit_code == 0
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == EXPECTED


def test_the_columns_are_aligned(folder):
    write(folder, "shop.py")
    lines = run("routes", "shop").stdout.splitlines()
    assert {line.find("orders.") for line in lines[1:]} == {lines[0].find("OPERATION")}


def test_json_gives_the_parameters_with_their_types(folder):
    write(folder, "shop.py")
    routes = json.loads(run("routes", "shop", "--json").stdout)
    (place,) = [route for route in routes if route["operation"] == "orders.place"]
    assert place == {
        "verb": "GET",
        "path": "/orders/{order_id}",
        "operation": "orders.place",
        "parameters": [
            {"name": "order_id", "type": "str", "required": True},
            {"name": "quantity", "type": "int", "required": False, "default": 1},
        ],
        "returns": "Order",
        "documentation": "Place one.",
        "open": False,
    }
    assert [route["operation"] for route in routes if route["open"]] == ["orders.get_greeting"]


def test_a_default_that_json_cannot_hold_is_shown_as_python_writes_it(folder):
    text = (
        "from unimicro import App, Service, entry\n"
        "class A(Service):\n"
        "    @entry\n"
        "    def get(self, limit: float = float('inf'), tags: tuple[str, ...] = ('a',)) -> str:\n"
        "        return ''\n"
        "app = App(A())\n"
    )
    write(folder, "shop.py", text)
    (route,) = json.loads(run("routes", "shop", "--json").stdout)
    assert [p["default"] for p in route["parameters"]] == ["inf", "('a',)"]


@pytest.mark.parametrize(
    "setting", ["[policies]\nauth = false", '[entries."orders.place"]\nauth = false'], ids=["all", "one"]
)
def test_an_entry_whose_authorizer_the_configuration_takes_away_is_open(folder, setting):
    write(folder, "shop.py")
    assert access_of_place("shop") == "protected"
    write(folder, "unimicro.toml", setting)
    write(folder, "again.py")
    assert access_of_place("again") == "open"


def test_an_open_entry_that_the_configuration_protects_is_protected(folder):
    write(folder, "shop.py")
    write(folder, "unimicro.toml", '[entries."orders.get_greeting"]\nauth = true')
    row = next(line for line in run("routes", "shop").stdout.splitlines() if "get_greeting" in line)
    assert "protected" in row


def access_of_place(app):
    row = next(line for line in run("routes", app).stdout.splitlines() if "orders.place" in line)
    found = {word for word in row.split() if word in ("open", "protected")}
    as_data = {r["operation"]: r["open"] for r in json.loads(run("routes", app, "--json").stdout)}
    assert as_data["orders.place"] is (found == {"open"})
    return found.pop()
