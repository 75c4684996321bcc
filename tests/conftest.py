"""Servers for tests, each started when the first test asks for it."""

from __future__ import annotations

import pytest

from tests.servers import programs


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A Redis that all tests share: take keys of your own, and leave it running."""
    with programs.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def dynamodb_server(tmp_path_factory):
    """AWS as moto plays it, shared likewise."""
    with programs.dynamodb(tmp_path_factory.mktemp("dynamodb")) as server:
        yield server


@pytest.fixture(scope="session")
def consul_server(tmp_path_factory):
    """A Consul agent, shared likewise."""
    with programs.consul(tmp_path_factory.mktemp("consul")) as server:
        yield server
