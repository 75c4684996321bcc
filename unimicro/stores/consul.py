"""A store in Consul's key-value pairs (https://developer.hashicorp.com/consul/api-docs/kv)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from unimicro.errors import ConfigurationError, require
from unimicro.stores.circuit_json import circuit_from_json, circuit_to_json
from unimicro.stores.consul_agent import AgentHttp, agent, agent_address, agent_token
from unimicro.stores.settings import require_text, require_timeout

if TYPE_CHECKING:
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
        self._prefix = f"{prefix}breaker:"
        name = type(self).__name__
        http = AgentHttp(agent_address(url), timeout, wanted_by=name)
        self._pairs = require("consul", "consul", name).Consul.KV(agent(http, agent_token(token)))

    def read(self, circuit: str) -> CircuitRecord | None:
        """See ``BreakerStore``.

        Raises:
            OSError: The agent does not answer in time.
            consul.ConsulException: The agent refuses, or has no leader.
            ValueError: The record is none of ours.
        """
        _, pair = self._pairs.get(self._key(circuit))
        return None if pair is None else circuit_from_json(pair["Value"])

    def swap(self, circuit: str, record: CircuitRecord) -> bool:
        """See ``BreakerStore``; raises as ``read``."""
        _, pair = self._pairs.get(self._key(circuit))
        version = 0 if pair is None else circuit_from_json(pair["Value"]).version
        if version != record.version - 1:
            return False
        # Written only if nobody has written since: index 0 stands for a key that does not exist.
        index = 0 if pair is None else pair["ModifyIndex"]
        return bool(self._pairs.put(self._key(circuit), circuit_to_json(record), cas=index))

    def _key(self, circuit: str) -> str:
        # Quoted, although the client quotes too: Consul takes a path with // or .. in it for another one.
        return self._prefix + quote(circuit, safe="")
