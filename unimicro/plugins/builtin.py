"""Built-in parts as import strings: a part that nobody asks for is never imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

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


def load(path: str) -> Any:
    """The object that ``module:attribute`` names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def fetch() -> Any:
    """The HTTP client of authorizers."""
    return load("unimicro.stores.http_fetch:HttpFetch")()
