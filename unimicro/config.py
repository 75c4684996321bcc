"""Settings: defaults ← code ← ``unimicro.toml`` or ``[tool.unimicro]`` ← environment.

.. code-block:: toml

    stage = "dev"
    max_body_bytes = 1048576

    [policies]                      # every operation
    deadline = { timeout = 10.0 }

    [entries."orders.place"]        # one operation
    breaker = false

    [stores.fleet]                  # state shared by processes
    kind = "redis"
    url = "redis://127.0.0.1:6379/0"

    [plugins]
    disabled = ["admin"]

The environment overrides a setting with ``UNIMICRO_<NAME>`` (``UNIMICRO_STAGE=prod``), the policies of
entries with JSON in ``UNIMICRO_ENTRIES``, and the URL that a registry is told with ``UNIMICRO_ADVERTISE``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unimicro.errors import ConfigurationError, nearest

PREFIX = "UNIMICRO_"

Config = Mapping[str, Any] | str | os.PathLike[str] | None
"""A mapping instead of a file, the path of a TOML file, or ``None`` to look for one."""


@dataclass(frozen=True)
class Settings:
    """What can be set for a whole app.

    Attributes:
        stage: Deployment stage.
        base_path: Path under which a gateway serves the app, stripped from requests: ``/api``.
        max_body_bytes: Largest request body; above it 413.
        max_fields: Most query or form fields of a request.
        gzip_min_bytes: Smallest answer that is compressed for a client that accepts gzip; 0 is never.
        threads: Worker threads of an async door for sync methods.
        deadline_reserve: Seconds of Lambda's remaining time kept back to answer in.
        authorizer_response: What a REQUEST authorizer event of payload 2.0 is answered with:
            ``simple`` or ``iam``, as the gateway is configured.
        openapi: Serve ``/docs`` and ``/openapi.json``; by default in stage ``dev`` only.
        waits: Whether retries and other policies wait at all; ``false`` is for tests.
        policies: Policy name to settings, for every operation.
        entries: Operation name to policy name to settings.
        stores: Name to the settings of a store: its ``kind``, and what that kind takes.
        clients: How other services are called: policies, ``channel``, ``address`` and ``selector`` for all of
            them, or in a table by the name of one.
        channels: Channel name to its settings.
        registry: Where instances are found and made known: its ``kind``, what that kind takes, and what
            ``RegistrationSettings`` has.
        health: Serve ``/livez``, ``/readyz``, ``/startupz`` and the health of components.
        health_details: Say there also what the checks said, to everyone who can reach the server.
        drain_wait: Seconds to go on serving after SIGTERM, until callers know; by default 3 where the app is
            registered, else 0.
        drain_timeout: Seconds that requests in flight have after that.
        disabled_plugins: Plugins left out although asked for.
    """

    stage: str = "dev"
    base_path: str = ""
    max_body_bytes: int = 10 * 1024 * 1024
    max_fields: int = 1000
    gzip_min_bytes: int = 1024
    threads: int = 40
    deadline_reserve: float = 0.5
    authorizer_response: str = "simple"
    openapi: bool | None = None
    waits: bool = True
    policies: Mapping[str, Any] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clients: Mapping[str, Any] = field(default_factory=dict)
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    registry: Mapping[str, Any] = field(default_factory=dict)
    health: bool = True
    health_details: bool = False
    drain_wait: float | None = None
    drain_timeout: float = 20.0
    disabled_plugins: tuple[str, ...] = ()

    @property
    def serves_openapi(self) -> bool:
        return self.stage == "dev" if self.openapi is None else self.openapi


_KINDS: dict[str, tuple[type, ...]] = {
    "stage": (str,),
    "base_path": (str,),
    "max_body_bytes": (int,),
    "max_fields": (int,),
    "gzip_min_bytes": (int,),
    "threads": (int,),
    "deadline_reserve": (int, float),
    "authorizer_response": (str,),
    "openapi": (bool,),
    "waits": (bool,),
    "health": (bool,),
    "health_details": (bool,),
    "drain_wait": (int, float),
    "drain_timeout": (int, float),
}
_ALLOWED = {"authorizer_response": ("simple", "iam")}
_LOWEST: dict[str, float] = {
    "max_body_bytes": 0,
    "max_fields": 1,
    "gzip_min_bytes": 0,
    "threads": 1,
    "deadline_reserve": 0,
    "drain_wait": 0,
    "drain_timeout": 0,
}


def load_settings(stage: str | None, config: Config) -> Settings:
    """Merge all sources.

    Args:
        stage: Given in code.
        config: A mapping instead of a file, the path of a TOML file, or ``None`` to look for
            ``unimicro.toml`` and then ``pyproject.toml`` in the working directory.

    Raises:
        ConfigurationError: A setting is unknown or impossible; the text names source and setting.
    """
    if not isinstance(stage, str | None):
        raise ConfigurationError(f"App: stage must be str, got {stage!r}")
    settings = Settings() if stage is None else replace(Settings(), stage=stage)
    table, source = _file_table(config)
    settings = _merge(settings, table, source)
    return _merge(settings, _environment(os.environ), "environment")


def _file_table(config: Config) -> tuple[Mapping[str, Any], str]:
    if isinstance(config, Mapping):
        return config, "config"
    if config is not None:
        return _read_toml(os.fspath(config)), os.fspath(config)
    if Path("unimicro.toml").exists():
        return _read_toml("unimicro.toml"), "unimicro.toml"
    if Path("pyproject.toml").exists():
        tool = _table(_read_toml("pyproject.toml").get("tool", {}), "pyproject.toml: tool")
        return _table(tool.get("unimicro", {}), "pyproject.toml: tool.unimicro"), "[tool.unimicro]"
    return {}, ""


def _read_toml(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _environment(environ: Mapping[str, str]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, kinds in _KINDS.items():
        text = environ.get(PREFIX + name.upper())
        if text is not None:
            table[name] = _from_text(text, kinds, PREFIX + name.upper())
    advertise = environ.get(PREFIX + "ADVERTISE")
    if advertise:
        table["registry"] = {"advertise": advertise}
    entries = environ.get(PREFIX + "ENTRIES")
    if entries is not None:
        from unimicro.wire import from_json

        try:
            table["entries"] = from_json(entries)
        except ValueError as error:
            raise ConfigurationError(f"{PREFIX}ENTRIES: {error}") from error
    return table


def _from_text(text: str, kinds: tuple[type, ...], name: str) -> Any:
    kind = kinds[-1]
    if kind is bool:
        known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in known:
            raise ConfigurationError(f"{name}: {text!r} is neither true nor false")
        return known[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {text!r} is no {kind.__name__}") from error


def _merge(settings: Settings, table: Mapping[str, Any], source: str) -> Settings:
    changes: dict[str, Any] = {}
    for name, value in table.items():
        if name == "plugins":
            changes["disabled_plugins"] = _disabled(value, source)
        elif name in {"policies", "clients", "registry"}:
            changes[name] = {**getattr(settings, name), **_table(value, f"{source}: {name}")}
        elif name in {"entries", "stores", "channels"}:
            changes[name] = _merge_tables(name, getattr(settings, name), value, source)
        elif name in _KINDS:
            changes[name] = _checked(name, value, source)
        else:
            known = [*_KINDS, "policies", "entries", "stores", "clients", "channels", "registry", "plugins"]
            raise ConfigurationError(f"{source}: unknown setting {name!r}{nearest(name, known)}")
    return replace(settings, **changes)


def _merge_tables(
    setting: str, tables: Mapping[str, Mapping[str, Any]], value: Any, source: str
) -> dict[str, Mapping[str, Any]]:
    merged = dict(tables)
    for name, table in _table(value, f"{source}: {setting}").items():
        merged[name] = {**merged.get(name, {}), **_table(table, f"{source}: {setting}.{name}")}
    return merged


def _checked(name: str, value: Any, source: str) -> Any:
    kinds = _KINDS[name]
    if type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigurationError(f"{source}: {name} must be {wanted}, got {value!r}")
    if name in _LOWEST and not value >= _LOWEST[name]:
        raise ConfigurationError(f"{source}: {name} must be at least {_LOWEST[name]}, got {value!r}")
    if value == math.inf:
        raise ConfigurationError(f"{source}: {name} must be finite")
    if name == "stage" and not value.strip():
        raise ConfigurationError(f"{source}: stage must have a name; leave it out for 'dev'")
    if name in _ALLOWED and value not in _ALLOWED[name]:
        raise ConfigurationError(f"{source}: {name} must be one of {', '.join(_ALLOWED[name])}")
    if name == "base_path" and value and not value.startswith("/"):
        raise ConfigurationError(f"{source}: base_path {value!r} must start with '/'")
    return value


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} must be a table, got {value!r}")
    return value


def _disabled(value: Any, source: str) -> tuple[str, ...]:
    table = _table(value, f"{source}: plugins")
    unknown = set(table) - {"disabled"}
    names = table.get("disabled", [])
    if unknown or not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise ConfigurationError(f"{source}: plugins takes only disabled = [names], got {dict(table)!r}")
    return tuple(names)
