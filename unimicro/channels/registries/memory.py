"""A registry for the apps of one process."""

from __future__ import annotations

import weakref
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from unimicro.channels.registries.asking import status_at
from unimicro.channels.registries.checked import require_registrable
from unimicro.channels.registries.forking import tell_after_fork
from unimicro.channels.registries.keeping import Keeper
from unimicro.channels.registries.kept import KeptRegistry
from unimicro.channels.registries.watching import Watches
from unimicro.errors import ConfigurationError

if TYPE_CHECKING:
    from unimicro.channels.registries.watching import Watch
    from unimicro.discovery import Check, Instance

__all__ = ["MemoryRegistry", "memory_registry"]


class _Shared:
    """What registries of the same name share."""

    def __init__(self) -> None:
        self.instances: dict[str, tuple[object, Instance]] = {}
        """By id: which registration it is, and the instance."""
        self.registries: weakref.WeakSet[MemoryRegistry] = weakref.WeakSet()
        self.after_fork()
        tell_after_fork(self)

    def after_fork(self) -> None:
        self.lock = Lock()


_named: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()


class MemoryRegistry(KeptRegistry):
    """Instances of this process; other processes do not see them.

    A check with a ``url`` is asked from a thread; without one an instance stays as it was registered, as it
    lives and ends with the process. None is forgotten before ``deregister``.

    Args:
        name: Registries of the same name show the same instances; one without a name keeps its own.

    Raises:
        ConfigurationError: ``name`` is no text.
    """

    def __init__(self, name: str = "") -> None:
        if not isinstance(name, str):
            raise ConfigurationError(f"name must be text, got {name!r}")
        self._shared = _named.setdefault(name, _Shared()) if name else _Shared()
        self._watches = Watches(self._follow)
        self._keeper = Keeper()
        with self._shared.lock:
            self._shared.registries.add(self)

    def register(self, instance: Instance, check: Check) -> None:
        """See ``Registry``.

        Raises:
            ConfigurationError: Instance or check are impossible.
            RegistryUnavailable: The registry was closed.
        """
        require_registrable(instance, check)
        self._watches.require_open()
        self._keeper.drop(instance.id)
        registration = object()
        with self._shared.lock:
            self._shared.instances[instance.id] = (registration, instance)
        self._changed()
        if check.url:
            self._keeper.keep(
                instance.id, check.interval, partial(self._ask, instance.id, registration, check)
            )

    def deregister(self, instance_id: str) -> None:
        """See ``Registry``."""
        self._keeper.drop(instance_id)
        with self._shared.lock:
            self._shared.instances.pop(instance_id, None)
        self._changed()

    def find(self, component: str) -> tuple[Instance, ...]:
        """See ``Registry``."""
        with self._shared.lock:
            return tuple(each for _, each in self._shared.instances.values() if each.component == component)

    def _follow(self, watch: Watch) -> None:
        while not watch.ended:
            watch.tell(self.find(watch.component))
            watch.pause()

    def _changed(self) -> None:
        with self._shared.lock:
            registries = tuple(self._shared.registries)
        for registry in registries:
            registry.wake()

    def wake(self) -> None:
        """Let the watches look again."""
        self._watches.wake()

    def _ask(self, instance_id: str, registration: object, check: Check) -> None:
        status = status_at(check.url, check.timeout)
        with self._shared.lock:
            current, known = self._shared.instances.get(instance_id, (None, None))
            if current is not registration or known is None or known.status == status:
                return
            self._shared.instances[instance_id] = (registration, known._replace(status=status))
        self._changed()


def memory_registry(name: str = "default") -> MemoryRegistry:
    """The registry of ``kind = "memory"`` in a configuration: the apps of a process share it by its name."""
    return MemoryRegistry(name)
