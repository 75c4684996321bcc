"""Built-in parts as import strings: a part that nobody asks for is never imported."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from unimicro.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.plugins.manager import Plugins

DOORS = {
    "http": "unimicro.routes.http:HttpDoor",
    "flask": "unimicro.routes.flask_entry:FlaskEntry",
    "fastapi": "unimicro.channels.fastapi_server:FastApiServer",
    "lambda": "unimicro.lambda_adapter.door:LambdaDoor",
    "memory": "unimicro.routes.memory:MemoryDoor",
    "timers": "unimicro.routes.timers:TimerDoor",
}

POLICIES: dict[str, Any] = {
    "deadline": "unimicro.pipeline.deadline:Deadline",
    "auth": "unimicro.pipeline.token:Token",
    "api_key": "unimicro.pipeline.api_key:ApiKey",
    "jwt": "unimicro.pipeline.jwt:Jwt",
    "activities": "unimicro.pipeline.activities:Activities",
    "rate_limit": "unimicro.pipeline.rate_limit:RateLimit",
    "idempotency": "unimicro.pipeline.idempotency:Idempotency",
    "cache": "unimicro.pipeline.cache:Cache",
    "fallback": "unimicro.pipeline.fallback:Fallback",
    "retry": "unimicro.pipeline.retry:Retry",
    "hedge": "unimicro.pipeline.hedge:Hedge",
    "timeout": "unimicro.pipeline.timeout:Timeout",
    "breaker": "unimicro.pipeline.breaker:Breaker",
    "bulkhead": "unimicro.pipeline.bulkhead:Bulkhead",
}

STORES = {
    "memory": {
        "breaker": "unimicro.stores.memory:MemoryBreakerStore",
        "idempotency": "unimicro.stores.memory:MemoryIdempotencyStore",
    },
    "sqlite": {"idempotency": "unimicro.stores.sqlite:SqliteIdempotencyStore"},
    "redis": {
        "breaker": "unimicro.stores.redis:RedisBreakerStore",
        "idempotency": "unimicro.stores.redis:RedisIdempotencyStore",
    },
    "dynamodb": {
        "breaker": "unimicro.stores.dynamodb:DynamoDbBreakerStore",
        "idempotency": "unimicro.stores.dynamodb:DynamoDbIdempotencyStore",
    },
    "consul": {"breaker": "unimicro.stores.consul:ConsulBreakerStore"},
}
"""Kind of store to port to implementation."""

CHANNELS: dict[str, Any] = {
    "local": "unimicro.channels.client.local:LocalChannel",
    "dispatch-json": "unimicro.channels.client.dispatch:DispatchJsonChannel",
    "dispatch-msgpack": "unimicro.channels.client.dispatch:DispatchMsgpackChannel",
    "rest": "unimicro.channels.client.rest:RestChannel",
    "stream": "unimicro.channels.client.stream:StreamChannel",
}

SELECTORS = {
    "first": "unimicro.channels.client.selectors:First",
    "round robin": "unimicro.channels.client.selectors:RoundRobin",
    "random": "unimicro.channels.client.selectors:Random",
    "two choices": "unimicro.channels.client.selectors:TwoChoices",
}

REGISTRIES = {
    "memory": "unimicro.channels.registries.memory:memory_registry",
    "file": "unimicro.channels.registries.file:FileRegistry",
    "consul": "unimicro.channels.registries.consul:ConsulRegistry",
}


def load(path: str) -> Any:
    """The object that ``module:attribute`` names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def fetch() -> Any:
    """The HTTP client of authorizers."""
    return load("unimicro.stores.http_fetch:HttpFetch")()


OF_THE_APP = frozenset(("advertise", "register", "check_interval", "check_timeout", "deregister_after"))
"""Settings in ``[registry]`` that say what the app registers; see ``unimicro.registration``."""


def registry(settings: Mapping[str, Any], plugins: Callable[[], Plugins] | None = None) -> Any:
    """The registry that a table of the configuration describes: its ``kind``, and what that takes.

    Args:
        settings: The table.
        plugins: Where to look for a kind that is not built in.

    Raises:
        ConfigurationError: There is no such kind, or its settings are impossible.
    """
    given = {name: value for name, value in settings.items() if name not in OF_THE_APP}
    kind = given.pop("kind", None)
    if not isinstance(kind, str):
        raise ConfigurationError(f"registry.kind must be one of {', '.join(REGISTRIES)}, got {kind!r}")
    made = load(REGISTRIES[kind]) if kind in REGISTRIES else plugins and plugins().find("registry", kind)
    if made is None:
        kinds = [*REGISTRIES, *(plugins().names("registry") if plugins else ())]
        raise ConfigurationError(f"registry: there is no kind {kind!r}{nearest(kind, kinds)}")
    for setting in given:
        known = signature(made).parameters
        if setting not in known:
            raise ConfigurationError(
                f"registry: unknown setting {setting!r}{nearest(setting, {*known, *OF_THE_APP})}"
            )
    try:
        return made(**given)
    except (TypeError, ConfigurationError) as error:
        raise ConfigurationError(f"registry: {error}") from error
