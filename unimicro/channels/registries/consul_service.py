"""The form of an instance in Consul: what is registered, and what is read from its health endpoint.

The service's name is the component, its id that of the instance; in both, ``%``, ``/`` and a dot at the
beginning are percent-encoded, as Consul takes them for parts of a path. Each address is a pair of the
service's ``Meta``: ``unimicro-address-0`` is ``dispatch-json http://127.0.0.1:8000``, and so on in the order
of preference. ``Address`` and ``Port`` are those of the first address, for programs that know only these.
The rest of ``Meta`` is the instance's own. A service without such pairs was registered by somebody else: it
is taken for an HTTP server at its address, over the channels of ``FOREIGN``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from unimicro.discovery import ChannelAddress, Instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.discovery import Check, Status

__all__ = ["FOREIGN", "check_id", "escaped", "instance_of", "service_of"]

FOREIGN = ("dispatch-json", "dispatch-msgpack", "rest")
PREFIX = "unimicro-address-"

_WORST: tuple[Status, ...] = ("critical", "warning", "passing")
_ESCAPED = re.compile(r"[%/]|^\.")


def escaped(name: str) -> str:
    """A name as Consul has it."""
    return _ESCAPED.sub(lambda found: "%2E" if found[0] == "." else quote(found[0], safe=""), name)


def check_id(instance_id: str) -> str:
    """The id that Consul gives to the one check of a service."""
    return f"service:{escaped(instance_id)}"


def service_of(instance: Instance, check: Check) -> dict[str, Any]:
    """The body of a registration (https://developer.hashicorp.com/consul/api-docs/agent/service)."""
    pairs = {f"{PREFIX}{n}": " ".join(address) for n, address in enumerate(instance.addresses)}
    service: dict[str, Any] = {
        "Name": escaped(instance.component),
        "ID": escaped(instance.id),
        "Meta": {**instance.meta, **pairs},
        "Check": {
            # Without it every instance would be critical until it was first asked.
            "Status": instance.status,
            "DeregisterCriticalServiceAfter": _duration(check.deregister_after),
            **_way_of(check),
        },
    }
    host, port = _host_and_port(instance.addresses[0].uri)
    if host:
        service |= {"Address": host, "Port": port}
    return service


def _way_of(check: Check) -> dict[str, str]:
    if not check.url:
        return {"TTL": _duration(check.interval)}
    return {
        "HTTP": check.url,
        "Interval": _duration(check.interval),
        "Timeout": _duration(check.timeout),
    }


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _host_and_port(uri: str) -> tuple[str, int]:
    try:
        parts = urlsplit(uri)
        return parts.hostname or "", parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    except ValueError:
        return "", 0


def instance_of(entry: Mapping[str, Any]) -> Instance | None:
    """The instance of one entry of ``/v1/health/service``; ``None`` for one that says nothing."""
    service = entry.get("Service") or {}
    pairs = {str(key): str(value) for key, value in (service.get("Meta") or {}).items()}
    own = {key: value for key, value in pairs.items() if not key.startswith(PREFIX)}
    addresses = _own_addresses(pairs)
    instance_id, name = str(service.get("ID") or ""), str(service.get("Service") or "")
    if not addresses:
        node = entry.get("Node") or {}
        addresses = _foreign_addresses(service.get("Address") or node.get("Address"), service.get("Port"))
    else:
        instance_id, name = unquote(instance_id), unquote(name)
    if not instance_id:
        return None
    return Instance(instance_id, name, addresses, _status_of(entry.get("Checks") or ()), own)


def _own_addresses(pairs: Mapping[str, str]) -> tuple[ChannelAddress, ...]:
    found: list[ChannelAddress] = []
    while f"{PREFIX}{len(found)}" in pairs:
        channel, _, uri = pairs[f"{PREFIX}{len(found)}"].partition(" ")
        found.append(ChannelAddress(channel, uri))
    return tuple(address for address in found if address.channel and address.uri)


def _foreign_addresses(host: Any, port: Any) -> tuple[ChannelAddress, ...]:
    if not (isinstance(host, str) and host and isinstance(port, int) and port):
        return ()
    uri = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return tuple(ChannelAddress(channel, uri) for channel in FOREIGN)


def _status_of(checks: Any) -> Status:
    """The worst of its own and of its node's."""
    said = {check.get("Status") for check in checks}
    unknown = not said <= set(_WORST)
    return "critical" if unknown else next((status for status in _WORST if status in said), "passing")
