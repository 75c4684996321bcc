"""From services to operations, and from all sources of policies to those of one operation."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from unimicro.errors import ConfigurationError, DefinitionError, nearest
from unimicro.operation import Operation, bindings_of, operations_of
from unimicro.options import listed, require_policy
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.policy import MODES, Policy, policy_from_config
from unimicro.pipeline.token import Token
from unimicro.plugins import builtin
from unimicro.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from unimicro.config import Settings
    from unimicro.pipeline.policy import Mode
    from unimicro.plugins.manager import Plugins


def checked_services(services: Sequence[Any]) -> tuple[Service, ...]:
    """The services of an app, once it is sure that they are some.

    Raises:
        DefinitionError: There is none, one is no instance of ``Service``, or two share a name.
    """
    if not services:
        raise DefinitionError("App needs at least one service: App(First())")
    names: set[str] = set()
    for service in services:
        require_service(service)
        if service.name in names:
            raise DefinitionError(f"two services are called {service.name!r}: give one another name=")
        names.add(service.name)
    return tuple(services)


def require_service(given: Any) -> None:
    """Check that it is a service.

    Raises:
        DefinitionError: It is none, or its ``__init__`` has not called that of ``Service``.
    """
    if isinstance(given, type):
        raise DefinitionError(f"App takes instances: write {given.__name__}(), not {given.__name__}")
    if not isinstance(given, Service):
        raise DefinitionError(f"App takes services, not {given!r}")
    if "url_prefix" not in vars(given):
        raise DefinitionError(f"{type(given).__name__}.__init__ must call super().__init__(**kwargs)")


def compile_operations(services: Sequence[Service], settings: Settings) -> dict[str, Operation]:
    """Every operation of the services that exists in this stage, by qualified name.

    Raises:
        DefinitionError: An entry cannot work as written, or two have the same route.
        ConfigurationError: The configuration names an operation that there is not.
    """
    operations = {
        operation.name: operation
        for service in services
        for operation in operations_of(service, settings.stage, settings.max_fields)
    }
    _check_routes(operations.values())
    # An entry of another stage may be configured too: one file serves all stages.
    known = {f"{service.name}.{name}" for service in services for name in bindings_of(type(service))}
    for name in settings.entries:
        if name not in known:
            raise ConfigurationError(f"entries: there is no operation {name!r}{nearest(name, known)}")
    return operations


class Sourced(NamedTuple):
    """A policy in force, and where it was said.

    Attributes:
        policy: Enforced, in shadow, or off.
        origin: ``default``, ``app``, ``service``, ``entry``, ``plugin x``, or a table of the configuration.
    """

    policy: Policy
    origin: str


def merged_policies(
    operation: Operation,
    app_policies: Sequence[Policy],
    settings: Settings,
    plugins: Plugins | None = None,
) -> dict[str, Sourced]:
    """What was said last of each policy: defaults ← app ← service ← entry ← configuration ← plugins.

    A policy meant for many operations (of the app, the service, ``[policies]``, a plugin) leaves out those it
    may not stand on, such as a retry those that must not be repeated; on the entry itself it is refused.
    ``no_auth=True`` leaves out all authorizers but one that the configuration gives to this very entry. An
    authorizer in shadow mode stands beside the enforced one, which it never displaces.

    Raises:
        ConfigurationError: The configuration names an unknown policy, or one with impossible settings.
        DefinitionError: A policy cannot stand on this entry.
    """
    merged: dict[str, Sourced] = {}
    for origin, policies in _wide_in_code(operation, app_policies).items():
        _place_wide(merged, operation, policies, origin)
    for policy in operation.options.policies:
        _require_kin(merged, operation, policy)
        _place(merged, policy, "entry")
    kinds = builtin.POLICIES if plugins is None else builtin.POLICIES | plugins.policy_kinds
    _place_wide(merged, operation, _configured(merged, settings.policies, "policies", kinds), "[policies]")
    if operation.options.no_auth and "auth" in merged:
        del merged["auth"]
    place = f"entries.{operation.name}"
    for policy in _configured(merged, settings.entries.get(operation.name, {}), place, kinds):
        _check_policy(policy, operation)
        _place(merged, policy, f"[{place}]")
    if plugins is not None:
        for plugin, policy in plugins.policies(operation):
            _place_wide(merged, operation, [policy], f"plugin {plugin}")
    return merged


def _wide_in_code(operation: Operation, app_policies: Sequence[Policy]) -> dict[str, Sequence[Policy]]:
    of_service = listed(f"{type(operation.service).__name__}.policies", operation.service.policies)
    for policy in of_service:
        require_policy(policy)
    return {
        "default": (Deadline(), Token()),
        "app": app_policies,
        "service": of_service,
    }


def _place_wide(
    merged: dict[str, Sourced], operation: Operation, policies: Iterable[Policy], origin: str
) -> None:
    for policy in policies:
        if _may_stand_on(operation, policy):
            _require_kin(merged, operation, policy)
            _place(merged, policy, origin)


def _require_kin(merged: Mapping[str, Sourced], operation: Operation, policy: Policy) -> None:
    """An authorizer that is off opens the entry: only its own kind is switched off by it.

    Raises:
        DefinitionError: Another one protects the entry.
    """
    if policy.name != "auth" or policy.mode != "off" or operation.options.no_auth:
        return
    present = merged["auth"].policy
    if present.mode != "off" and type(present) is not type(policy):
        raise DefinitionError(
            f"{operation.name}: {type(policy).__name__} is off, but {type(present).__name__} protects the"
            " entry: leave it out, or open the entry with no_auth=True"
        )


def _place(merged: dict[str, Sourced], policy: Policy, origin: str) -> None:
    beside = policy.name == "auth" and policy.mode == "shadow"
    merged["auth in shadow" if beside else policy.name] = Sourced(policy, origin)


def _configured(
    merged: Mapping[str, Sourced], table: Mapping[str, Any], place: str, kinds: Mapping[str, Any]
) -> Iterator[Policy]:
    """The policies of one table of the configuration."""
    for name, value in table.items():
        if name not in kinds:
            raise ConfigurationError(f"{place}: unknown policy {name!r}{nearest(name, kinds)}")
        where = f"{place}.{name}"
        kind = builtin.load(kinds[name]) if isinstance(kinds[name], str) else kinds[name]
        if (value is False or isinstance(value, str)) and kind.name != name:
            raise _not_by_kind(where, kind)
        if value is False or isinstance(value, str):
            mode = "off" if value is False else value
            present = merged[name].policy if name in merged else None
            if value is not False or present is not None:
                yield _in_mode(present, kind, mode, name, where)
        else:
            policy = policy_from_config(kind, value, where)
            if policy.mode == "off" and kind.name != name:
                raise _not_by_kind(where, kind)
            yield policy


def _not_by_kind(where: str, kind: type[Policy]) -> ConfigurationError:
    return ConfigurationError(f"{where}: authorizers are switched with {kind.name!r}")


def _in_mode(present: Policy | None, kind: type[Policy], mode: str, name: str, where: str) -> Policy:
    """The policy of that name as it stands, or its defaults, in another mode."""
    if name == "auth" and mode == "shadow":
        raise ConfigurationError(
            f"{where}: an authorizer in shadow protects nothing; to open the entry say auth = false, to try"
            " another authorizer beside the one in force give it as a table with mode = 'shadow'"
        )
    if mode not in MODES:
        raise ConfigurationError(f"{where}: the mode must be one of {', '.join(MODES)}, got {mode!r}")
    policy = policy_from_config(kind, True, where) if present is None else present
    return replace(policy, mode=cast("Mode", mode))


def _may_stand_on(operation: Operation, policy: Policy) -> bool:
    if policy.mode == "off":
        return True
    try:
        policy.check(operation.options)
    except DefinitionError:
        return False
    return True


class StoreFinder:
    """Finds stores by name: those given to the app, the configuration's, and ``memory``.

    Args:
        given: Name to store object.
        tables: Name to the table of the configuration's ``[stores]``.
    """

    def __init__(self, given: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> None:
        self._given = given
        self._tables = {"memory": {"kind": "memory"}, **tables}

    def __call__(self, port: str, name: str) -> Any:
        """The store.

        Raises:
            ConfigurationError: There is none of that name or kind, it lacks the port, or its settings are
                impossible.
        """
        if name in self._given:
            return self._given[name]
        if name not in self._tables:
            names = [*self._given, *self._tables]
            raise ConfigurationError(f"there is no store {name!r}{nearest(name, names)}")
        settings = dict(self._tables[name])
        kind = settings.pop("kind", None)
        if not isinstance(kind, str) or kind not in builtin.STORES:
            known = ", ".join(builtin.STORES)
            raise ConfigurationError(f"stores.{name}.kind must be one of {known}, got {kind!r}")
        if port not in builtin.STORES[kind]:
            able = ", ".join(kind for kind, ports in builtin.STORES.items() if port in ports)
            raise ConfigurationError(f"stores.{name}: kind {kind!r} keeps no {port} state; {able} do")
        store = builtin.load(builtin.STORES[kind][port])
        known_settings = inspect.signature(store).parameters
        for setting in settings:
            if setting not in known_settings:
                close = nearest(setting, known_settings)
                raise ConfigurationError(f"stores.{name}: unknown setting {setting!r}{close}")
        try:
            return store(**settings)
        except (TypeError, ConfigurationError) as error:
            raise ConfigurationError(f"stores.{name}: {error}") from error


def _check_routes(operations: Iterable[Operation]) -> None:
    taken: dict[tuple[str, tuple[str, ...]], Operation] = {}
    for operation in operations:
        if operation.http is not None:
            # The names of path parameters make no difference to a request.
            segments = operation.http.template.split("/")
            shape = tuple("{}" if segment.startswith("{") else segment for segment in segments)
            other = taken.setdefault((operation.http.verb, shape), operation)
            if other is not operation:
                raise DefinitionError(
                    f"{other.name} and {operation.name} are both {operation.http.verb}"
                    f" {operation.http.template}; give one another path, or its service a url_prefix"
                )


def _check_policy(policy: Policy, operation: Operation) -> None:
    if policy.mode == "off":
        return
    try:
        policy.check(operation.options)
    except DefinitionError as error:
        raise DefinitionError(f"{operation.name}: {error}") from error
