"""Shared stores as an app finds them in its configuration; nothing is connected for that."""

from __future__ import annotations

import sys

import pytest

from tests.stores.dynamodb import credentials
from unimicro import App, Breaker, Service, entry
from unimicro.errors import ConfigurationError, MissingExtra

TABLES = {
    "redis": {"kind": "redis", "url": "redis://127.0.0.1:1/0", "prefix": "shop:", "timeout": 0.25},
    "dynamodb": {
        "kind": "dynamodb",
        "table": "shop",
        "region": "eu-west-3",
        "endpoint": "http://127.0.0.1:1",
        "prefix": "shop:",
        "timeout": 1.0,
    },
    "consul": {
        "kind": "consul",
        "url": "http://127.0.0.1:1",
        "token": "secret",
        "prefix": "shop/",
        "timeout": 1.0,
    },
}
KINDS = pytest.mark.parametrize("kind", TABLES)


class Shop(Service):
    @entry(no_auth=True, breaker=Breaker(store="fleet"))
    def get(self) -> str:
        return "fine"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in credentials().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_URL", raising=False)


def app_with(table):
    return App(Shop(), config={"stores": {"fleet": table}})


@KINDS
def test_an_app_with_a_store_that_is_down_answers(kind):
    assert app_with(TABLES[kind]).call("shop.get").value == "fine"


@KINDS
def test_an_unknown_setting_is_refused_by_name(kind):
    with pytest.raises(ConfigurationError, match=r"stores\.fleet: .*tiemout"):
        app_with({**TABLES[kind], "tiemout": 1.0})


@KINDS
def test_an_impossible_setting_is_refused_with_its_place(kind):
    with pytest.raises(ConfigurationError, match=r"Breaker\.store of shop\.get: stores\.fleet: timeout "):
        app_with({**TABLES[kind], "timeout": 0})


@pytest.mark.parametrize("kind", [None, "", "radis", 7, True, ["redis"], {}])
def test_a_kind_that_is_none_is_refused_with_its_place(kind):
    with pytest.raises(ConfigurationError, match=r"Breaker\.store of shop\.get: stores\.fleet\.kind must be"):
        app_with({"kind": kind})


@pytest.mark.parametrize(("kind", "setting"), [("redis", "url"), ("dynamodb", "table")])
def test_a_setting_that_must_be_there_is_named(kind, setting):
    table = {name: value for name, value in TABLES[kind].items() if name != setting}
    with pytest.raises(ConfigurationError, match=rf"stores\.fleet: .*{setting}"):
        app_with(table)


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("redis", "redis", "redis"), ("dynamodb", "boto3", "aws"), ("consul", "consul", "consul")],
)
def test_a_missing_package_is_named_with_its_extra(kind, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"unimicro\[{extra}\]") as refused:
        app_with(TABLES[kind])
    assert isinstance(refused.value.__cause__.__cause__, MissingExtra)
