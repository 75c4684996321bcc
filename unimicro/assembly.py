"""From services to operations, and from all sources of policies to those of one operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.errors import ConfigurationError, DefinitionError, nearest
from unimicro.operation import Operation, bindings_of, operations_of
from unimicro.options import listed, require_policy
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.policy import Policy, policy_from_config
from unimicro.pipeline.token import Token
from unimicro.plugins import builtin
from unimicro.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from unimicro.config import Settings


def checked_services(services: Sequence[Any]) -> tuple[Service, ...]:
    """The services of an app, once it is sure that they are some.

    Raises:
        DefinitionError: There is none, one is no instance of ``Service``, or two share a name.
    """
    if not services:
        raise DefinitionError("App needs at least one service: App(First())")
    names: set[str] = set()
    for service in services:
        if isinstance(service, type):
            raise DefinitionError(f"App takes instances: write {service.__name__}(), not {service.__name__}")
        if not isinstance(service, Service):
            raise DefinitionError(f"App takes services, not {service!r}")
        if not hasattr(service, "url_prefix"):
            kind = type(service).__name__
            raise DefinitionError(f"{kind}.__init__ must call super().__init__(**kwargs)")
        if service.name in names:
            raise DefinitionError(f"two services are called {service.name!r}: give one another name=")
        names.add(service.name)
    return tuple(services)


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
    known = {f"{service.name}.{name}" for service in services for name in bindings_of(service)}
    for name in settings.entries:
        if name not in known:
            raise ConfigurationError(f"entries: there is no operation {name!r}{nearest(name, known)}")
    return operations


def merged_policies(
    operation: Operation, app_policies: Sequence[Policy], settings: Settings
) -> dict[str, Policy]:
    """The policies in force: defaults ← app ← service ← entry ← configuration, by name.

    A policy meant for many operations (of the app, the service, ``[policies]``) leaves out those it may not
    stand on, such as a retry those that must not be repeated; on the entry itself it is refused.
    ``no_auth=True`` leaves out all authorizers but one that the configuration gives to this very entry.

    Raises:
        ConfigurationError: The configuration names an unknown policy, or one with impossible settings.
        DefinitionError: A policy cannot stand on this entry.
    """
    of_service = listed(f"{type(operation.service).__name__}.policies", operation.service.policies)
    for policy in of_service:
        require_policy(policy)
    wide = (Deadline(), Token(), *app_policies, *of_service)
    merged = {policy.name: policy for policy in wide if _may_stand_on(operation, policy)}
    merged.update((policy.name, policy) for policy in operation.options.policies)
    for name, policy in _configured(settings.policies, "policies"):
        if policy is None or _may_stand_on(operation, policy):
            _replace(merged, name, policy)
    if operation.options.no_auth:
        merged.pop("auth", None)
    place = f"entries.{operation.name}"
    for name, policy in _configured(settings.entries.get(operation.name, {}), place):
        if policy is not None:
            _check_policy(policy, operation)
        _replace(merged, name, policy)
    return merged


def _configured(table: Mapping[str, Any], place: str) -> Iterator[tuple[str, Policy | None]]:
    """The policies of one table of the configuration; ``None`` for one that is switched off."""
    for name, value in table.items():
        if name not in builtin.POLICIES:
            raise ConfigurationError(f"{place}: unknown policy {name!r}{nearest(name, builtin.POLICIES)}")
        yield name, policy_from_config(builtin.load(builtin.POLICIES[name]), value, f"{place}.{name}")


def _replace(merged: dict[str, Policy], name: str, policy: Policy | None) -> None:
    if policy is None:
        merged.pop(name, None)
    else:
        merged[name] = policy


def _may_stand_on(operation: Operation, policy: Policy) -> bool:
    try:
        policy.check(operation.options)
    except DefinitionError:
        return False
    return True


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
    try:
        policy.check(operation.options)
    except DefinitionError as error:
        raise DefinitionError(f"{operation.name}: {error}") from error
