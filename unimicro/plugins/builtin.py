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

POLICIES = {
    "auth": "unimicro.pipeline.token:Token",
    "deadline": "unimicro.pipeline.deadline:Deadline",
    "retry": "unimicro.pipeline.retry:Retry",
    "breaker": "unimicro.pipeline.breaker:Breaker",
}


def load(path: str) -> Any:
    """The object that ``module:attribute`` names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
