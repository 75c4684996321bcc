"""``unimicro serve`` with components and a registry."""

from __future__ import annotations

import http.client
import json
import signal

import pytest

from tests.cli.commands import run, write
from tests.cli.servers import serving, until

SHOP = """
from abc import ABC, abstractmethod

from unimicro import App, Service
from unimicro.component import Component, component, implementation, service
from unimicro.health import health


@service(no_auth=True)
class Shelves(Service, ABC):
    @abstractmethod
    def count(self) -> int: ...


@implementation()
class ShelvesImpl(Shelves):
    def count(self) -> int:
        return 5


@health("/health")
@component("shop", services=[Shelves])
class Shop(Component):
    pass


app = App(components=[Shop])
"""

FILE = '[registry]\nkind = "file"\npath = "registry.json"\n'


def test_the_banner_says_components_registry_and_health(tmp_path):
    write(tmp_path, "shop.py", SHOP)
    write(tmp_path, "unimicro.toml", "drain_wait = 0\n" + FILE)
    with serving(tmp_path, "shop", cwd=tmp_path) as server:
        until(lambda: "registered shop-" in server.stderr.read_text(), "registered")
        text = server.stdout.read_text()
        rows = [line.split() for line in text.splitlines()]
        assert ["components", "shop"] in rows
        assert ["registry", "FileRegistry:", f"shop-127.0.0.1-{server.port}"] in rows
        for path in ("/health", "/livez", "/readyz", "/startupz"):
            assert ["GET", path, "health", "open"] in rows
        assert server.request("POST", "/shelves/count").body == b"5"
        assert server.request("GET", "/health").status == 200
        assert server.end() == 0
    assert json.loads((tmp_path / "registry.json").read_text()) == {}


@pytest.mark.parametrize("door", ["fastapi", "flask"])
@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        (FILE, ("--host", "0.0.0.0"), "the server: 0.0.0.0 is every address of this machine"),
        (FILE + 'advertise = "here"\n', (), "registry.advertise: 'here' is no URL"),
        ('[registry]\nkind = "phone book"\n', (), "registry: there is no kind 'phone book'"),
        ('[registry]\nkind = "file"\nplace = "x"\n', (), "registry: unknown setting 'place'"),
    ],
)
def test_a_registry_that_cannot_work_is_one_line_and_exit_code_1(folder, door, settings, options, message):
    write(folder, "shop.py", SHOP)
    write(folder, "unimicro.toml", settings)
    result = run("serve", "shop", "--port", "0", "--door", door, *options)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.soak
def test_reload_does_not_wait_for_clients_of_the_registry(tmp_path):
    write(tmp_path, "shop.py", SHOP)
    write(tmp_path, "unimicro.toml", FILE)
    with serving(tmp_path, "shop", "--reload", cwd=tmp_path) as server:
        until(lambda: "registered shop-" in server.stderr.read_text(), "registered")
        server.end()
    assert "draining: 0 s" in server.stderr.read_text()


def test_a_real_consul_asks_for_its_health_and_is_told_of_its_end(tmp_path, consul_server):
    def checks():
        connection = http.client.HTTPConnection("127.0.0.1", consul_server.port, timeout=5)
        try:
            connection.request("GET", "/v1/health/service/shop")
            found = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return [
            check["Status"] for each in found for check in each["Checks"] if check["CheckID"] != "serfHealth"
        ]

    write(tmp_path, "shop.py", SHOP)
    table = f'[registry]\nkind = "consul"\nurl = "http://127.0.0.1:{consul_server.port}"\n'
    write(tmp_path, "unimicro.toml", "drain_wait = 0.5\n" + table + "check_interval = 1\n")
    with serving(tmp_path, "shop", cwd=tmp_path) as server:
        until(lambda: checks() == ["passing"], "Consul has asked for its health")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: checks() == [], "deregistered")
        assert server.request("GET", "/livez").status == 200
        assert server.process.wait(20) == 0
