"""Plugins of one app: found by name, checked, their hooks called; every failure names the plugin."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pluggy

from unimicro.errors import PluginError, nearest
from unimicro.options import require_policy
from unimicro.plugins.builtin import POLICIES
from unimicro.plugins.hookspecs import PROJECT, UnimicroSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from unimicro.app import App
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Policy

GROUP = "unimicro"
PARTS = {"door": "doors", "channel": "channels", "registry": "registries"}
"""What a plugin can be asked for by its name alone; ``unimicro_register_<doors>`` makes it known."""


class Plugins:
    """The plugins of one app or service manager. There is no manager global to the process.

    Args:
        plugins: Plugin objects, and names of entry points in the group ``unimicro``.
        disabled: Names left out.
        of_app: An app calls the hooks of its assembly; a service manager without one calls none of them.

    Raises:
        PluginError: A plugin is not installed, breaks when imported, or misspells a hook.
    """

    def __init__(
        self, plugins: Iterable[object], disabled: Iterable[str] = (), *, of_app: bool = True
    ) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(UnimicroSpec)
        self._disabled = frozenset(disabled)
        self._of_app = of_app
        self._parts: dict[str, dict[str, tuple[str, Any]]] = {part: {} for part in PARTS}
        for plugin in plugins:
            self.add(plugin)

    def add(self, plugin: object) -> None:
        """Register one plugin and let it register its doors, channels and registries."""
        name = plugin if isinstance(plugin, str) else _name_of(plugin)
        if name in self._disabled:
            return
        if self._manager.has_plugin(name):
            if not isinstance(plugin, str) and self._manager.get_plugin(name) is not plugin:
                raise PluginError(f"two plugins are called {name!r}")
            return
        loaded = _load(plugin) if isinstance(plugin, str) else plugin
        try:
            self._register(loaded, name)
        except PluginError:
            # What is wrong with this plugin must not be blamed on the next one.
            self._forget(name)
            raise

    def _register(self, plugin: object, name: str) -> None:
        try:
            self._manager.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"plugin {name!r}: {error}") from error
        self._check(name)
        for part, several in PARTS.items():
            for implementation in getattr(self._manager.hook, f"unimicro_register_{several}").get_hookimpls():
                if implementation.plugin_name == name:
                    self._call(implementation, register=self._registrar(part, name))

    def _forget(self, name: str) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        for part, known in self._parts.items():
            self._parts[part] = {found: entry for found, entry in known.items() if entry[0] != name}

    def _check(self, name: str) -> None:
        """A misspelt hook is an error, not a plugin that does nothing."""
        known = [hook for hook in dir(UnimicroSpec) if hook.startswith("unimicro_")]
        plugin = self._manager.get_plugin(name)
        for attribute in dir(plugin):
            if attribute.startswith("unimicro_") and attribute not in known:
                raise PluginError(
                    f"plugin {name!r}: there is no hook {attribute!r}{nearest(attribute, known)}"
                )
            if attribute in known and self._manager.parse_hookimpl_opts(plugin, attribute) is None:
                raise PluginError(f"plugin {name!r}: {attribute} lacks @hookimpl, so it would never run")
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {name!r}: {error}") from error

    def _registrar(self, part: str, plugin: str) -> Callable[..., None]:
        known = self._parts[part]

        def register(name: str, factory: Any) -> None:
            if name in known:
                raise PluginError(f"plugin {plugin!r}: plugin {known[name][0]!r} has the {part} {name!r}")
            known[name] = (plugin, factory)

        return register

    def _call(self, implementation: pluggy.HookImpl, **arguments: Any) -> None:
        name = implementation.plugin_name
        try:
            implementation.function(*(arguments[wanted] for wanted in implementation.argnames))
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(
                f"plugin {name!r}: {implementation.function.__name__} raised {type(error).__name__}: {error}"
            ) from error

    def call(self, hook: str, **arguments: Any) -> None:
        """Call a hook of every plugin, first registered first; ``tryfirst`` and ``trylast`` are honoured."""
        for implementation in self._implementations(hook):
            self._call(implementation, **arguments)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        found = getattr(self._manager.hook, hook).get_hookimpls()
        return sorted(found, key=lambda found: (not found.tryfirst, found.trylast))

    @cached_property
    def policy_kinds(self) -> dict[str, Any]:
        """Kinds of policies that plugins let the configuration name; they are asked once.

        Raises:
            PluginError: Two plugins register the same name, or one that is built in.
        """
        kinds: dict[str, Any] = {}

        def register(name: str, kind: type[Policy]) -> None:
            if name in kinds or name in POLICIES:
                raise PluginError(f"there is a kind of policy {name!r} already")
            kinds[name] = kind

        self.call("unimicro_register_policy_kinds", register=register)
        return kinds

    def policies(self, operation: Operation) -> list[tuple[str, Policy]]:
        """The policies that plugins put on ``operation``: (plugin, policy)."""
        registered: list[tuple[str, Policy]] = []
        for implementation in self._implementations("unimicro_register_policies"):
            plugin = implementation.plugin_name

            def register(policy: Policy, plugin: str = plugin) -> None:
                require_policy(policy)
                registered.append((plugin, policy))

            self._call(implementation, operation=operation, register=register)
        return registered

    def stages(self, operation: Operation, register: Callable[..., None]) -> None:
        """Let every plugin add stages to ``operation``."""
        self.call("unimicro_register_stages", operation=operation, register=register)

    def lambda_events(self, app: App) -> list[tuple[str, Callable[..., bool], Callable[..., Any]]]:
        """The shapes of Lambda events that plugins register: (name, matches, respond)."""
        registered: list[tuple[str, Callable[..., bool], Callable[..., Any]]] = []

        def register(name: str, matches: Callable[..., bool], respond: Callable[..., Any]) -> None:
            registered.append((name, matches, respond))

        self.call("unimicro_register_lambda_events", app=app, register=register)
        return registered

    def listed(self, part: str, name: str) -> Any:
        """The door, channel or registry of that name of the plugins loaded so far; else ``None``."""
        return self._parts[part].get(name, (None, None))[1]

    def find(self, part: str, name: str) -> Any:
        """``listed``, or that of the installed plugin of the name, which is loaded for it.

        Raises:
            PluginError: The plugin is disabled, breaks, registers no such thing, or has hooks that came
                too late.
        """
        known = self._parts[part]
        if name not in known and _entry_point(name) is not None:
            if name in self._disabled:
                raise PluginError(f"plugin {name!r} is disabled in the configuration")
            self.add(name)
            self._refuse_late_hooks(name)
            if name not in known:
                raise PluginError(f"plugin {name!r} registers no {part} {name!r}")
        return self.listed(part, name)

    def names(self, part: str) -> list[str]:
        """Those of the plugins loaded so far, and installed plugins that may have one."""
        return [*self._parts[part], *(name for name in _installed() if name not in self._disabled)]

    def _refuse_late_hooks(self, name: str) -> None:
        registering = [f"unimicro_register_{several}" for several in PARTS.values()]
        late = [
            caller.name
            for caller in self._manager.get_hookcallers(self._manager.get_plugin(name)) or ()
            if caller.name not in registering
        ]
        if late and self._of_app:
            raise PluginError(
                f"plugin {name!r} implements {', '.join(late)}, which run when the app is assembled: list it"
                f" in App(plugins=[{name!r}])"
            )


def _name_of(plugin: object) -> str:
    return getattr(plugin, "__name__", None) or type(plugin).__name__


def _entry_point(name: str) -> Any:
    from importlib.metadata import entry_points

    return next(iter(entry_points(group=GROUP, name=name)), None)


def _installed() -> set[str]:
    from importlib.metadata import entry_points

    return {point.name for point in entry_points(group=GROUP)}


def _load(name: str) -> object:
    entry_point = _entry_point(name)
    if entry_point is None:
        raise PluginError(f"plugin {name!r} is not installed{nearest(name, _installed())}")
    try:
        return entry_point.load()
    except Exception as error:
        raise PluginError(
            f"plugin {name!r} ({entry_point.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
