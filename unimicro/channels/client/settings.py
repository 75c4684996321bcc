"""How a service is called: defaults ← manager ← ``[clients]`` ← ``[clients.<service>]`` ← ``get_service``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unimicro.channels.client.unsent import RetryUnsent
from unimicro.errors import ConfigurationError, DefinitionError, nearest
from unimicro.options import require_policy
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.policy import Policy, policy_from_config
from unimicro.pipeline.retry import Retry
from unimicro.plugins import builtin

if TYPE_CHECKING:
    from unimicro.channels.client.calls import Route
    from unimicro.channels.client.selectors import Selector
    from unimicro.operation import Operation

__all__ = ["DEFAULT_POLICIES", "ClientSettings", "client_settings"]

DEFAULT_POLICIES: tuple[Policy, ...] = (Deadline(timeout=10.0), Retry(), Breaker())

ON_CLIENTS = ("deadline", "rate_limit", "fallback", "retry", "hedge", "timeout", "breaker", "bulkhead")
"""Policies that mean something to who calls."""


@dataclass(frozen=True)
class ClientSettings:
    """How one service is called.

    Attributes:
        channel: Name; empty where none is said.
        addresses: Empty where the registry is asked.
        selector: Makes one.
        policies: One of each name.
    """

    channel: str
    addresses: tuple[str, ...]
    selector: Callable[[], Selector]
    policies: tuple[Policy, ...]

    def new_selector(self) -> Selector:
        """One for a proxy.

        Raises:
            ConfigurationError: What was given makes none.
        """
        made = self.selector()
        if not callable(getattr(made, "choose", None)):
            raise ConfigurationError(f"selector must make an object with a method choose, it made {made!r}")
        return made

    def for_operation(self, operation: Operation, route: Route) -> Route:
        """``route`` with the policies that may stand on ``operation``.

        Of a retry on what must not be repeated stays what it does for calls that were never sent.
        """
        standing = (_standing_on(operation, policy) for policy in self.policies)
        return route._replace(policies=[policy for policy in standing if policy is not None])


def _standing_on(operation: Operation, policy: Policy) -> Policy | None:
    try:
        policy.check(operation.options)
    except DefinitionError:
        return RetryUnsent.like(policy) if isinstance(policy, Retry) else None
    return policy


def client_settings(
    service: str,
    tables: Mapping[str, Any],
    policies: Sequence[Policy],
    selector: str | Callable[[], Selector],
    channel: str,
    address: str | Sequence[str],
) -> ClientSettings:
    """All that was said of the calls of ``service``, merged.

    Raises:
        ConfigurationError: A setting is unknown or impossible; the text names it.
    """
    merged = {policy.name: policy for policy in DEFAULT_POLICIES}
    for policy in policies:
        require_policy(policy)
        _require_client_policy(policy.name, "policies")
        merged[policy.name] = policy
    own: dict[str, Any] = {
        "channel": "",
        "address": (),
        "selector": _selector(selector or "two choices", "selector"),
    }
    for where, table in _tables(tables, service):
        for name, value in table.items():
            if name in _OWN:
                own[name] = _OWN[name](value, f"{where}.{name}")
            else:
                _require_client_policy(name, where)
                merged.update(_policy(merged, name, value, f"{where}.{name}"))
    return ClientSettings(
        channel=_text(channel, "preferred_channel") or own["channel"],
        addresses=_addresses(address, "address") or own["address"],
        selector=own["selector"],
        policies=tuple(merged.values()),
    )


def _tables(tables: Mapping[str, Any], service: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is said for all services, then what is said for this one."""
    wide = {name: value for name, value in tables.items() if name in ON_CLIENTS or name in _OWN}
    for name, value in tables.items():
        if name not in wide and not isinstance(value, Mapping):
            if name == service:
                raise ConfigurationError(f"clients.{name} must be a table, got {value!r}")
            _require_client_policy(name, "clients")
    yield "clients", wide
    # One that is called as a setting of all has no table of its own.
    yield f"clients.{service}", {} if service in wide else tables.get(service, {})


def _require_client_policy(name: str, where: str) -> None:
    if name not in ON_CLIENTS:
        known = [*ON_CLIENTS, *_OWN]
        raise ConfigurationError(f"{where}: {name!r} is nothing that a client has{nearest(name, known)}")


def _policy(merged: Mapping[str, Policy], name: str, value: Any, where: str) -> dict[str, Policy]:
    from dataclasses import replace

    kind = builtin.load(builtin.POLICIES[name])
    if value is False:
        return {name: replace(merged[name], mode="off")} if name in merged else {}
    return {name: policy_from_config(kind, value, where)}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} must be text, got {value!r}")
    return value


def _addresses(value: Any, where: str) -> tuple[str, ...]:
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Sequence) or not all(isinstance(uri, str) and uri for uri in given):
        raise ConfigurationError(f"{where} must be a URL or a list of them, got {value!r}")
    return tuple(given)


def _selector(value: Any, where: str) -> Callable[[], Selector]:
    if not isinstance(value, str):
        if not callable(value):
            raise ConfigurationError(f"{where} must be the name of a selector, got {value!r}")
        return value  # type: ignore[no-any-return]
    if value not in builtin.SELECTORS:
        raise ConfigurationError(
            f"{where}: there is no selector {value!r}{nearest(value, builtin.SELECTORS)}"
        )
    return builtin.load(builtin.SELECTORS[value])  # type: ignore[no-any-return]


_OWN: dict[str, Callable[[Any, str], Any]] = {
    "channel": _text,
    "address": _addresses,
    "selector": _selector,
}
"""What is no policy: setting to the function that checks a value."""
