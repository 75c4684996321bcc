"""The other services of an app: where they are found, and the proxies through which it calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unimicro.plugins import builtin
from unimicro.service import service_name

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.channels.client.manager import ServiceManager
    from unimicro.discovery import Registry
    from unimicro.service import Service

__all__ = ["Neighbours"]


class Neighbours:
    """Registry and service manager of an app, made when they are first wanted.

    Args:
        app: The app.
        registry: That was given to it.
    """

    def __init__(self, app: App, registry: Registry | None) -> None:
        self._app = app
        self._given = registry
        self._found: Registry | None = None
        self._manager: ServiceManager | None = None

    @property
    def registry(self) -> Registry | None:
        """The one that was given, or that the configuration says.

        Raises:
            ConfigurationError: Its settings are impossible.
        """
        table = self._app.settings.registry
        if self._given is not None or not table.keys() - builtin.OF_THE_APP:
            return self._given
        if self._found is None:
            self._found = builtin.registry(table, lambda: self._app.plugins)
        return self._found

    @property
    def manager(self) -> ServiceManager:
        """Makes proxies, with the app's settings, clock, listeners and registry."""
        if self._manager is None:
            manager: type[ServiceManager] = builtin.load("unimicro.channels.client.manager:ServiceManager")
            self._manager = manager(app=self._app, registry=self.registry)
        return self._manager

    def proxy(self, interface: type[Service]) -> Any:
        """Of a service that this app does not have; ``None`` where nothing says where it is.

        Raises:
            ConfigurationError: As ``ServiceManager.get_service``.
        """
        name = service_name(interface)
        tables = self._app.settings.clients
        own = tables.get(name)
        has_address = isinstance(own, Mapping) and "address" in own
        if has_address or "address" in tables or self.registry is not None:
            return self.manager.get_service(interface)
        return None

    def close(self) -> None:
        """Close connections, and the registry unless it was given; both are made anew if they are wanted."""
        manager, registry = self._forget()
        if manager is not None:
            manager.close()
        if registry is not None:
            registry.close()

    async def aclose(self) -> None:
        """``close``, and what the running event loop holds open."""
        manager, registry = self._forget()
        if manager is not None:
            await manager.aclose()
        if registry is not None:
            registry.close()

    def _forget(self) -> tuple[ServiceManager | None, Registry | None]:
        made = self._manager, self._found
        self._manager = self._found = None
        return made
