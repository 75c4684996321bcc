"""The addresses of one component on one channel, and what is known of each."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from unimicro.channels.client.channel import Channel, Connection
    from unimicro.discovery import Instance
    from unimicro.pipeline.circuit import Circuit
    from unimicro.pipeline.policy import Assembly

log = logging.getLogger("unimicro")

SHARE = 0.2
"""Weight of the newest latency in the average."""


class Endpoint:
    """One address.

    Attributes:
        uri: Of the channel.
        connection: To it.
        latency: Exponentially weighted average in seconds; 0 until the first answer.
        in_flight: Calls that are under way.
        runners: Operation name to what runs a call here; filled by who calls.
        circuits: Operation name to its circuit here; none where there is no breaker.
        assembly: What the policies of this endpoint share; set by who calls.
    """

    __slots__ = ("assembly", "circuits", "connection", "in_flight", "latency", "runners", "uri")

    def __init__(self, uri: str, connection: Connection[Any]) -> None:
        self.uri = uri
        self.connection = connection
        self.latency = 0.0
        self.in_flight = 0
        self.runners: dict[Any, Any] = {}
        self.circuits: dict[str, Circuit] = {}
        self.assembly: Assembly | None = None

    def refuses(self, operation: str) -> bool:
        """Whether its circuit would refuse a call of ``operation`` now."""
        circuit = self.circuits.get(operation)
        return circuit is not None and circuit.refuses

    def took(self, seconds: float) -> None:
        """Take note of an answer."""
        self.latency = seconds if self.latency == 0.0 else self.latency + SHARE * (seconds - self.latency)


class Endpoints:
    """The endpoints of a component on one channel; a change of the list keeps what is known of the rest.

    Args:
        channel: It connects.
        uris: The first list.
    """

    def __init__(self, channel: Channel[Any], uris: Iterable[str] = ()) -> None:
        self._channel = channel
        self._lock = Lock()
        self.current: tuple[Endpoint, ...] = ()
        self.replace(uris)

    def replace(self, uris: Iterable[str]) -> None:
        """Another list; an address that is gone gets no new calls."""
        with self._lock:
            known = {endpoint.uri: endpoint for endpoint in self.current}
            wanted = dict.fromkeys(uris)
            self.current = tuple(known[uri] if uri in known else self._made(uri) for uri in wanted)
        for uri, endpoint in known.items():
            if uri not in wanted:
                endpoint.connection.close()

    def _made(self, uri: str) -> Endpoint:
        return Endpoint(uri, self._channel.connect(uri))

    def take(self, instances: Sequence[Instance]) -> None:
        """The list that a registry reports."""
        self.replace(uris_of(instances, self._channel.name))

    def close(self) -> None:
        """Close all connections."""
        for endpoint in self.current:
            endpoint.connection.close()

    async def aclose(self) -> None:
        """Close what the running event loop holds open, then the rest."""
        for endpoint in self.current:
            await endpoint.connection.aclose()
        self.close()


def uris_of(instances: Iterable[Instance], channel: str) -> list[str]:
    """Addresses on ``channel`` of the instances that may be called."""
    return [
        address.uri
        for instance in instances
        for address in instance.addresses
        if address.channel == channel and instance.status != "critical"
    ]
