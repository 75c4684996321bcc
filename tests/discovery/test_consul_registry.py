"""The registry in Consul, against real agents."""

from __future__ import annotations

import json
import logging
import socket
import time
import urllib.request
from typing import ClassVar

import pytest

from tests.discovery.registry_laws import (
    CHECK,
    LIMIT,
    Heard,
    SharedRegistryLaws,
    eventually,
    health_endpoint,
    instance_of,
)
from tests.servers import programs
from unimicro.channels.registries.consul import ConsulRegistry
from unimicro.channels.registries.consul_service import service_of
from unimicro.discovery import ChannelAddress, Check, Instance, RegistryUnavailable
from unimicro.errors import ConfigurationError
from unimicro.plugins.builtin import registry as configured

QUICK = Check(interval=1.0)


@pytest.fixture
def make_registry():
    """Registries at the agent of a port, closed in the end."""
    made = []

    def make(server, **settings):
        url = f"http://127.0.0.1:{server if isinstance(server, int) else server.port}"
        made.append(ConsulRegistry(url=url, **{"timeout": 10.0, **settings}))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


def ask(server, method, path, body=None, token=""):
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-Consul-Token": token} if token else {},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class TestConsulRegistry(SharedRegistryLaws):
    interval = 1.0
    answers: ClassVar = [(429, "warning"), (204, "passing")]

    @pytest.fixture
    def make_registry(self, make_registry, consul_server):
        return lambda: make_registry(consul_server)

    @pytest.fixture
    def source(self, consul_server):
        return (
            "from unimicro.channels.registries.consul import ConsulRegistry\n"
            f"registry = ConsulRegistry(url='http://127.0.0.1:{consul_server.port}', timeout=10.0)"
        )


# -- the form in Consul ------------------------------------------------------------------------


def test_other_programs_find_name_address_port_tags_and_check(consul_server, make_registry):
    registry = make_registry(consul_server)
    addresses = (
        ChannelAddress("dispatch-json", "http://127.0.0.1:8001"),
        ChannelAddress("stream", "ws://127.0.0.1:8001/stream"),
    )
    given = Instance("form-1", "form", addresses, meta={"zone": "a"})
    registry.register(given, CHECK)
    service = ask(consul_server, "GET", "/v1/agent/service/form-1")
    assert (service["Service"], service["Address"], service["Port"]) == ("form", "127.0.0.1", 8001)
    assert service["Meta"] == {
        "unimicro-address-0": "dispatch-json http://127.0.0.1:8001",
        "unimicro-address-1": "stream ws://127.0.0.1:8001/stream",
        "zone": "a",
    }
    (check,) = ask(consul_server, "GET", "/v1/health/checks/form")
    assert (check["Status"], check["Type"]) == ("passing", "ttl")


def test_a_check_by_url_has_all_its_times():
    # Consul 1.8 does not show them again.
    service = service_of(instance_of("orders"), Check("http://127.0.0.1:1/readyz", 1.5, 0.25, 90.0))
    assert service["Check"] == {
        "Status": "passing",
        "HTTP": "http://127.0.0.1:1/readyz",
        "Interval": "1500ms",
        "Timeout": "250ms",
        "DeregisterCriticalServiceAfter": "90000ms",
    }


def test_another_registration_replaces_all_checks_of_the_one_before(consul_server, make_registry):
    checks = [{"TTL": "30s", "Status": "passing"}, {"TTL": "30s"}]
    ask(consul_server, "PUT", "/v1/agent/service/register", {"Name": "two", "ID": "two-1", "Checks": checks})
    registry = make_registry(consul_server)
    registry.register(instance_of("two"), CHECK)
    assert registry.find("two") == (instance_of("two"),)


@pytest.mark.parametrize(
    ("host", "uri"), [("127.0.0.1", "http://127.0.0.1:81"), ("::1", "http://[::1]:81"), ("", None)]
)
def test_a_service_that_somebody_else_registered_is_an_http_server(consul_server, make_registry, host, uri):
    body = {"Name": "foreign", "ID": "f 1", "Address": host, "Port": 81, "Meta": {"a": "b"}, "Tags": ["x"]}
    ask(consul_server, "PUT", "/v1/agent/service/register", body)
    (found,) = make_registry(consul_server).find("foreign")
    # Without an address of its own it has that of its node.
    uri = uri or "http://127.0.0.1:81"
    assert found.addresses == tuple(
        ChannelAddress(channel, uri) for channel in ("dispatch-json", "dispatch-msgpack", "rest")
    )
    assert (found.id, found.status, found.meta) == ("f 1", "passing", {"a": "b"})


def test_a_foreign_service_without_a_port_has_no_addresses(consul_server, make_registry):
    ask(consul_server, "PUT", "/v1/agent/service/register", {"Name": "portless", "ID": "p"})
    assert [i.addresses for i in make_registry(consul_server).find("portless")] == [()]


def test_an_instance_in_maintenance_is_critical(consul_server, make_registry):
    registry, heard = make_registry(consul_server), Heard()
    registry.watch("mended", heard)
    registry.register(instance_of("mended"), CHECK)
    heard.wait_for_ids("mended-1")
    ask(consul_server, "PUT", "/v1/agent/service/maintenance/mended-1?enable=true")
    heard.wait_for(lambda instances: [i.status for i in instances] == ["critical"])


def test_a_query_that_waits_is_cut_short_by_the_end_of_its_watch(consul_server, make_registry):
    registry, heard = make_registry(consul_server, wait=60.0), Heard()
    registry.watch("awaited", heard)
    heard.wait_for_ids()
    (watch,) = registry._watches._watches
    time.sleep(0.2)  # for the query that waits
    registry.close()
    assert not watch._thread.is_alive()


# -- anti-entropy ------------------------------------------------------------------------------


@pytest.mark.parametrize("with_url", [True, False])
def test_an_agent_that_has_forgotten_an_instance_is_told_again(consul_server, make_registry, with_url):
    registry = make_registry(consul_server)
    with health_endpoint() as (url, _):
        check = QUICK._replace(url=url, timeout=5.0) if with_url else QUICK
        given = instance_of(f"forgotten{with_url}")
        registry.register(given, check)
        ask(consul_server, "PUT", f"/v1/agent/service/deregister/{given.id}")
        assert registry.find(given.component) == ()
        eventually(lambda: registry.find(given.component) == (given,))


def test_what_was_taken_back_is_not_told_again(consul_server, make_registry):
    registry, heard = make_registry(consul_server), Heard()
    registry.register(instance_of("taken"), Check(interval=0.03))
    registry.watch("taken", heard)
    heard.wait_for_ids("taken-1")
    registry.deregister("taken-1")
    heard.wait_for_ids()
    assert registry._keeper._kept == {}
    assert registry.find("taken") == ()


@pytest.mark.parametrize("durable", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_when_the_agent_is_started_anew_services_register_again_and_no_client_loses_them(
    tmp_path, make_registry, durable
):
    with programs.consul(tmp_path, durable=durable) as agent, health_endpoint() as (url, _):
        service, client, heard = make_registry(agent, timeout=1.0), make_registry(agent, timeout=1.0), Heard()
        eventually(lambda: ask(agent, "GET", "/v1/agent/self")["Stats"]["consul"]["leader"] == "true")
        service.register(instance_of("orders", 1), QUICK)
        service.register(instance_of("orders", 2), QUICK._replace(url=url, timeout=5.0))
        client.watch("orders", heard)
        heard.wait_for_ids("orders-1", "orders-2")
        agent.kill()
        with pytest.raises(RegistryUnavailable, match="does not answer"):
            client.find("orders")
        agent.start()
        eventually(lambda: len(client.find("orders")) == 2)
        eventually(lambda: {i.status for i in client.find("orders")} == {"passing"})
        # The watch is alive again, and has lost nobody meanwhile.
        service.register(instance_of("orders", 3), QUICK)
        heard.wait_for_ids("orders-1", "orders-2", "orders-3")
        first = next(n for n, told in enumerate(heard.lists) if len(told) == 2)
        assert all(len(told) >= 2 for told in heard.lists[first:])


def test_what_does_not_register_again_with_the_new_agent_is_gone_after_the_grace(tmp_path, make_registry):
    with programs.consul(tmp_path) as agent:
        service, client, heard = make_registry(agent), make_registry(agent, timeout=1.0, grace=1.0), Heard()
        service.register(instance_of("orders", 1), QUICK)
        service.register(instance_of("orders", 2), QUICK)
        client.watch("orders", heard)
        heard.wait_for_ids("orders-1", "orders-2")
        service._keeper.drop("orders-2")  # as if its process had died with the agent
        agent.kill()
        agent.start()
        heard.wait_for_ids("orders-1")


# -- errors ------------------------------------------------------------------------------------


def test_an_agent_that_is_not_there_is_named(make_registry):
    registry = make_registry(1)
    for attempt in (
        lambda: registry.register(instance_of("orders"), CHECK),
        lambda: registry.find("orders"),
        lambda: registry.deregister("orders-1"),
    ):
        with pytest.raises(RegistryUnavailable, match=r"Consul at 127\.0\.0\.1:1 does not answer: .*refused"):
            attempt()
    assert registry._keeper._kept == {}


def test_an_agent_that_does_not_answer_is_an_error_in_time():
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        registry = ConsulRegistry(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        with pytest.raises(RegistryUnavailable, match="timed out"):
            registry.find("orders")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nnonsense",
        b"HTTP/1.1 200 OK\r\n\r\n7",
        b"HTTP/1.1 200 OK\r\n\r\n[7]",
        b'HTTP/1.1 200 OK\r\n\r\n[{"Service": 7}]',
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
        b"HTTP/1.1 500 No\r\n\r\nNo cluster leader",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[]",
    ],
)
def test_an_answer_that_is_none_of_consuls_is_an_error(answer, serving):
    registry = ConsulRegistry(url=f"http://127.0.0.1:{serving(answer)}", timeout=10.0, token="s3cret")
    with pytest.raises(RegistryUnavailable) as raised:
        registry.find("orders")
    assert "s3cret" not in str(raised.value)


@pytest.fixture
def serving():
    """A server that gives one answer: ``serving(bytes)`` → port."""
    import threading

    servers = []

    def serve(answer):
        server = socket.create_server(("127.0.0.1", 0))

        def run():
            with server, server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        servers.append(thread)
        return server.getsockname()[1]

    yield serve
    for thread in servers:
        thread.join(LIMIT)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("url", ""),
        ("url", "127.0.0.1:8500"),
        ("url", "http://127.0.0.1:8500?token=secret"),
        ("url", "http://user:secret@127.0.0.1:8500"),
        ("token", ""),
        ("token", "secret\r\nx: y"),
        ("token", "sécret"),
        ("timeout", 0),
        ("wait", 0),
        ("wait", "long"),
        ("grace", -1),
    ],
)
def test_an_impossible_setting_is_refused_by_name(setting, value):
    with pytest.raises(ConfigurationError, match=f"^registry: {setting} ") as refused:
        configured({"kind": "consul", setting: value})
    assert "cret" not in str(refused.value)


TOKEN = "5ecre7-master"


@pytest.fixture(scope="module")
def guarded_agent(tmp_path_factory):
    """An agent that lets nobody in without a token."""
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"master": TOKEN, "agent": TOKEN}}
    with programs.consul(tmp_path_factory.mktemp("acl"), acl=acl) as agent:
        registry = ConsulRegistry(url=f"http://127.0.0.1:{agent.port}", token=TOKEN, timeout=10.0)
        # The token is made a moment after there is a leader.
        eventually(lambda: _answers(registry))
        yield agent


def test_the_right_token_opens_everything(guarded_agent, make_registry):
    registry, heard = make_registry(guarded_agent, token=TOKEN), Heard()
    registry.watch("orders", heard)
    registry.register(instance_of("orders"), QUICK)
    heard.wait_for_ids("orders-1")
    registry.deregister("orders-1")
    heard.wait_for_ids()


def test_the_token_of_the_environment_is_taken_too(guarded_agent, make_registry, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", TOKEN)
    registry = make_registry(guarded_agent)
    registry.register(instance_of("environment"), CHECK)
    assert registry.find("environment") == (instance_of("environment"),)


@pytest.mark.parametrize("token", ["wr0ng-t0ken", None])
def test_a_wrong_token_or_none_is_refused_with_what_it_needs(guarded_agent, make_registry, token, caplog):
    registry = make_registry(guarded_agent, token=token)
    with pytest.raises(RegistryUnavailable, match=r"refuses to register .* needs service:write") as refused:
        registry.register(instance_of("orders"), CHECK)
    assert "wr0ng" not in str(refused.value)
    if token:
        with caplog.at_level(logging.WARNING, "unimicro"):
            registry.watch("orders", Heard())
            eventually(lambda: "refuses to find 'orders'" in caplog.text)
        assert "wr0ng" not in caplog.text


def _answers(registry):
    try:
        registry.find("orders")
    except RegistryUnavailable:
        return False
    return True
