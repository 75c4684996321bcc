"""The addresses of one component on one channel, and what is known of each."""

from __future__ import annotations

import logging
from math import exp
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from unimicro.channels.client.channel import Channel, Connection
    from unimicro.discovery import Instance
    from unimicro.pipeline.circuit import Circuit
    from unimicro.pipeline.policy import Assembly

__all__ = ["Endpoint", "Endpoints", "uris_of"]

log = logging.getLogger("unimicro")

TAU = 5.0
"""Seconds in which what is known of a latency loses two thirds of its weight."""
UNKNOWN = 1e6
"""Seconds: what a first call under way counts, so that the others wait for its answer."""


class Endpoint:
    """One address.

    Attributes:
        uri: Of the channel.
        connection: To it.
        latency: Weighted average in seconds; 0 until the second answer, as the first paid for the connection.
            A slower answer counts at once, faster ones little by little (the peak-sensitive average of
            Finagle's load balancer).
        in_flight: Calls that are under way.
        circuits: Operation name to its circuit here; none where there is no breaker.
        assembly: What the policies of this endpoint share; set by who calls.
    """

    __slots__ = (
        "_is_warm",
        "_lock",
        "_now",
        "_retired",
        "_stamp",
        "assembly",
        "circuits",
        "connection",
        "in_flight",
        "latency",
        "uri",
    )

    def __init__(self, uri: str, connection: Connection[Any], now: Callable[[], float]) -> None:
        self.uri = uri
        self.connection = connection
        self.latency = 0.0
        self.in_flight = 0
        self.circuits: dict[str, Circuit] = {}
        self.assembly: Assembly | None = None
        self._lock = Lock()
        self._is_warm = False
        self._now = now
        self._stamp = 0.0
        self._retired = False

    # -- a call --------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Begin a call; ``False`` if the address is none any more."""
        with self._lock:
            if self._retired:
                return False
            self.in_flight += 1
            return True

    def leave(self, seconds: float | None, *, failed: bool = False) -> None:
        """End a call.

        Args:
            seconds: Until its answer; ``None`` where nothing of a latency was learned.
            failed: The answer was a failure: a quick one makes no endpoint quick.
        """
        with self._lock:
            self.in_flight -= 1
            if seconds is not None:
                self._learn(seconds, failed)
            over = self._retired and self.in_flight == 0
        if over:
            self.close()

    def _learn(self, seconds: float, failed: bool) -> None:
        now = self._now()
        if not self._is_warm:
            self._is_warm = True
        elif seconds >= self.latency:
            self.latency = seconds
        elif not failed:
            weight = exp(-max(0.0, now - self._stamp) / TAU)
            self.latency = self.latency * weight + seconds * (1 - weight)
        self._stamp = now

    def forget_latency(self) -> None:
        """Start anew: what is known is of before its circuit opened."""
        self.latency, self._is_warm = 0.0, False

    def cost(self) -> float:
        """What one more call here would cost: the latency, for each of the calls then under way.

        While there is none, what is known fades: sooner or later one call finds out anew. Nothing is known
        of a new endpoint: it gets one call at a time, until a latency is.
        """
        in_flight, latency = self.in_flight, self.latency
        if latency == 0.0:
            return UNKNOWN * in_flight
        if in_flight:
            return latency * (in_flight + 1)
        return latency * exp(-max(0.0, self._now() - self._stamp) / TAU)

    def refuses(self, operation: str) -> bool:
        """Whether its circuit would refuse a call of ``operation`` now."""
        circuit = self.circuits.get(operation)
        return circuit is not None and circuit.refuses

    # -- the end -------------------------------------------------------------------------------

    def retire(self) -> None:
        """Take no more calls; the connection is closed when those under way have ended."""
        with self._lock:
            self._retired = True
            over = self.in_flight == 0
        if over:
            self.close()

    def close(self) -> None:
        """Close the connection, which opens again if it is used."""
        try:
            self.connection.close()
        except Exception:
            log.exception("a connection could not be closed")

    async def aclose(self) -> None:
        """Close of it what the running event loop holds open."""
        try:
            await self.connection.aclose()
        except Exception:
            log.exception("a connection could not be closed")


class Endpoints:
    """The endpoints of a component on one channel; a change of the list keeps what is known of the rest.

    Args:
        channel: It connects.
        uris: The first list.

    Raises:
        ConfigurationError: One of them is no address for the channel.
    """

    def __init__(self, channel: Channel[Any], uris: Iterable[str] = ()) -> None:
        self._channel = channel
        self.channel = channel.name
        self._lock = Lock()
        self.making = RLock()
        """Held while something is made of an endpoint that its callers share."""
        self.current: tuple[Endpoint, ...] = tuple(self._made(uri) for uri in dict.fromkeys(uris))

    def _made(self, uri: str) -> Endpoint:
        return Endpoint(uri, self._channel.connect(uri), self._channel.context.clock.now)

    def replace(self, uris: Iterable[str]) -> None:
        """Another list. What is gone from it gets no new calls; what is no address is left out."""
        with self._lock:
            known = {endpoint.uri: endpoint for endpoint in self.current}
            wanted = [known.get(uri) or self._made_if_possible(uri) for uri in dict.fromkeys(uris)]
            self.current = tuple(endpoint for endpoint in wanted if endpoint is not None)
            gone = set(known.values()).difference(self.current)
        for endpoint in gone:
            endpoint.retire()

    def _made_if_possible(self, uri: str) -> Endpoint | None:
        try:
            return self._made(uri)
        except Exception as error:
            # Whatever it is: one bad address must not take the others away.
            log.warning("an address of channel %s is left out: %s", self._channel.name, error)
            return None

    def take(self, instances: Sequence[Instance]) -> None:
        """The list that a registry reports."""
        self.replace(uris_of(instances, self._channel.name))

    def close(self) -> None:
        """Close all connections."""
        for endpoint in self.current:
            endpoint.close()

    async def aclose(self) -> None:
        """Close what the running event loop holds open, then the rest."""
        for endpoint in self.current:
            await endpoint.aclose()
        self.close()


PANIC = 0.5
"""Share of the instances below which their health is not believed."""


def uris_of(instances: Iterable[Instance], channel: str) -> list[str]:
    """Addresses on ``channel`` of the instances that may be called: those that are not critical.

    Where these are fewer than half of all, all are called: that so many fail at once is rather a fault of the
    checks, and the rest would break under the load (Envoy's panic threshold,
    https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold).
    """
    reachable = [each for each in instances if any(address.channel == channel for address in each.addresses)]
    healthy = [each for each in reachable if each.status != "critical"]
    called = reachable if len(healthy) < PANIC * len(reachable) else healthy
    return [address.uri for each in called for address in each.addresses if address.channel == channel]
