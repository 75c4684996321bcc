"""What a configuration names and a client makes: classes of channels, and the registry."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from unimicro.channels.client.channel import Channel, declared_channels
from unimicro.errors import ConfigurationError, PluginError, nearest
from unimicro.plugins import builtin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unimicro.app import App
    from unimicro.config import Settings
    from unimicro.discovery import Registry
    from unimicro.plugins.manager import Plugins

__all__ = ["Kinds"]


class Kinds:
    """Of one manager.

    Args:
        app: Its plugins and its registry count, unless there are plugins of the manager's own.
        settings: What the configuration says.
        plugins: The manager's own.
    """

    def __init__(self, app: App | None, settings: Settings, plugins: Sequence[object]) -> None:
        self._app = app
        self._settings = settings
        self._given = self._load(plugins) if plugins else None
        self._lock = RLock()
        self._registry: Registry | None = None

    def channel(self, name: str) -> type[Channel[Any]]:
        """The class of a channel: of a plugin that is listed, built in, defined with ``@channel``, installed.

        Raises:
            ConfigurationError: There is none.
            MissingExtra: What it needs is not installed.
        """
        found = None if self._given is None else self._given.listed("channel", name)
        if found is None and name in builtin.CHANNELS:
            built_in: type[Channel[Any]] = builtin.load(builtin.CHANNELS[name])
            return built_in
        declared = declared_channels()
        found = found or declared.get(name) or self._plugins.find("channel", name)
        if found is None:
            known = {*builtin.CHANNELS, *declared, *self._plugins.names("channel")}
            raise ConfigurationError(f"there is no channel {name!r}{nearest(name, known)}")
        if not (isinstance(found, type) and issubclass(found, Channel)) or found.name != name:
            raise PluginError(
                f"the channel {name!r} of a plugin is {found!r}: register a class with @channel({name!r})"
            )
        return found

    def registry(self) -> Registry | None:
        """The app's, else one of this manager's own; ``None`` where nothing is said of one.

        Raises:
            ConfigurationError: Its settings are impossible.
        """
        if self._app is not None and self._given is None:
            return self._app.registry
        with self._lock:
            if self._registry is None and self._settings.registry.keys() - builtin.OF_THE_APP:
                self._registry = builtin.registry(self._settings.registry, lambda: self._plugins)
            return self._registry

    def close(self) -> None:
        """Close the registry that was made here; another is made if it is wanted."""
        with self._lock:
            registry, self._registry = self._registry, None
        if registry is not None:
            registry.close()

    @property
    def _plugins(self) -> Plugins:
        """Those that were given, else the app's, else none yet."""
        if self._given is None:
            if self._app is not None:
                return self._app.plugins
            self._given = self._load(())
        return self._given

    def _load(self, plugins: Sequence[object]) -> Plugins:
        from unimicro.plugins.manager import Plugins

        return Plugins(plugins, self._settings.disabled_plugins, of_app=False)
