"""A store in Consul's key-value pairs (https://developer.hashicorp.com/consul/api-docs/kv)."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from unimicro.errors import ConfigurationError, require
from unimicro.stores.circuit_json import circuit_from_json, circuit_to_json
from unimicro.stores.consul_agent import agent_address, agent_token
from unimicro.stores.settings import require_text, require_timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unimicro.pipeline.ports import CircuitRecord


class ConsulBreakerStore:
    """Transitions of circuits in Consul.

    Args:
        url: Of the agent.
        token: ACL token; by default that of the environment's ``CONSUL_HTTP_TOKEN``.
        prefix: Of every key.
        timeout: Seconds to wait for a connection, and for each of an answer's parts.

    Raises:
        ConfigurationError: A setting is impossible.
        MissingExtra: The package python-consul2 is not installed.
    """

    def __init__(
        self,
        *,
        url: str = "http://127.0.0.1:8500",
        token: str | None = None,
        prefix: str = "unimicro/",
        timeout: float = 1.0,
    ) -> None:
        require_text(url=url, prefix=prefix)
        require_timeout(timeout)
        if prefix.startswith("/"):
            raise ConfigurationError("prefix must not begin with '/'")
        self._scheme, self._host, self._port = agent_address(url)
        self._token = agent_token(token)
        self._prefix = f"{prefix}breaker:"
        self._timeout = timeout
        self._kv = require("consul", "consul", type(self).__name__).Consul.KV
        self._http = require("consul.std", "consul", type(self).__name__).HTTPClient

    def read(self, circuit: str) -> CircuitRecord | None:
        """See ``BreakerStore``.

        Raises:
            OSError: The agent does not answer in time.
            consul.ConsulException: The agent refuses, or has no leader.
            ValueError: The record is none of ours.
        """
        with self._pairs() as pairs:
            _, pair = pairs.get(self._key(circuit))
        return None if pair is None else circuit_from_json(pair["Value"])

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """See ``BreakerStore``; raises as ``read``."""
        with self._pairs() as pairs:
            _, pair = pairs.get(self._key(circuit))
            version = 0 if pair is None else circuit_from_json(pair["Value"]).version
            if version != record.version - 1:
                return False
            # Written only if nobody has written since: index 0 stands for a key that does not exist.
            index = 0 if pair is None else pair["ModifyIndex"]
            return bool(pairs.put(self._key(circuit), circuit_to_json(record), cas=index))

    def _key(self, circuit: str) -> str:
        # Quoted, although the client quotes too: Consul takes a path with // or .. in it for another one.
        return self._prefix + quote(circuit, safe="")

    @contextmanager
    def _pairs(self) -> Iterator[Any]:
        """The key-value part of a client, for one exchange: its session is not made for threads or forks."""
        http = self._http(self._host, self._port, self._scheme, timeout=self._timeout)
        try:
            # The whole client would prefer the environment to its arguments, and warn of what it deprecates.
            yield self._kv(SimpleNamespace(http=http, token=self._token, dc=None, consistency="default"))
        finally:
            http.session.close()
