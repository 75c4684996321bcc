"""Where components are found: the shapes that registries and channels share, and the port of a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ChannelAddress", "Check", "Instance", "Registry", "RegistryUnavailable", "Status"]

Status = Literal["passing", "warning", "critical"]


class RegistryUnavailable(OSError):
    """The registry does not answer, or cannot."""


class ChannelAddress(NamedTuple):
    """One way to reach an instance.

    Attributes:
        channel: Name of the channel, such as ``dispatch-json``.
        uri: What that channel needs, such as ``http://127.0.0.1:8000``, without the channel's own path.
    """

    channel: str
    uri: str


class Instance(NamedTuple):
    """One running copy of a component.

    Attributes:
        id: Of this copy alone; the same after it was registered anew.
        component: Under this name it is found.
        addresses: In the order of its preference.
        status: As the registry's checks see it.
        meta: What else it says of itself; text only.
    """

    id: str
    component: str
    addresses: tuple[ChannelAddress, ...]
    status: Status = "passing"
    meta: Mapping[str, str] = {}


class Check(NamedTuple):
    """How a registry finds out that an instance is alive.

    Attributes:
        url: Asked by the registry (200 passing, 429 warning, else critical); empty where the instance itself
            reports in time (a TTL).
        interval: Seconds between two askings, or within which a report must come.
        timeout: Seconds that an answer may take.
        deregister_after: Seconds critical after which the registry forgets the instance; at least 60.
    """

    url: str = ""
    interval: float = 2.0
    timeout: float = 1.0
    deregister_after: float = 60.0


class Registry(Protocol):
    """Instances by the name of their component. Its methods may block; none of them is asked per call."""

    def register(self, instance: Instance, check: Check) -> None:
        """Make ``instance`` known, and keep it known until ``deregister``.

        A registry that forgot it, because it was started anew, is told again. A second instance with the same
        id takes the place of the first.

        Raises:
            RegistryUnavailable: It could not be told.
        """

    def deregister(self, instance_id: str) -> None:
        """Take an instance back; one that is not known is none.

        Raises:
            RegistryUnavailable: It could not be told.
        """

    def release(self, instance_id: str) -> None:
        """Keep an instance up no more from here; it stays: other processes of its server keep it up."""

    def find(self, component: str) -> tuple[Instance, ...]:
        """All instances, whatever their status; none is no error.

        Raises:
            RegistryUnavailable: It does not answer.
        """

    def watch(self, component: str, listener: Callable[[tuple[Instance, ...]], None]) -> Callable[[], None]:
        """Tell ``listener`` of all instances, now and whenever they change, from a thread of the registry's.

        An outage is no change: the last good list stays.

        Returns:
            A function that ends the watch.
        """

    def close(self) -> None:
        """End all watches and reports; what was registered here stays so until its check finds it dead."""
