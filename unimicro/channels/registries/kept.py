"""What the registries of this package share: watches, and what keeps instances up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unimicro.channels.registries.checked import require_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.channels.registries.keeping import Keeper
    from unimicro.channels.registries.watching import Watches
    from unimicro.discovery import Instance

__all__ = ["KeptRegistry"]


class KeptRegistry:
    """The part of a registry that does not depend on where it keeps its instances."""

    _keeper: Keeper
    _watches: Watches

    def release(self, instance_id: str) -> None:
        """See ``Registry``."""
        self._keeper.drop(instance_id)

    def watch(self, component: str, listener: Callable[[tuple[Instance, ...]], None]) -> Callable[[], None]:
        """See ``Registry``. It begins with the instances that there are.

        Raises:
            RegistryUnavailable: The registry was closed.
        """
        require_name(component, "component")
        return self._watches.begin(component, listener)

    def close(self) -> None:
        """End all watches and reports; an instance that reported itself is critical soon."""
        self._watches.close()
        self._keeper.close()
