"""Write a service class once; serve it behind every door.

>>> from unimicro import App, Service, entry
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unimicro.app import App as App
    from unimicro.channels.client.channel import Channel as Channel
    from unimicro.channels.client.channel import ChannelContext as ChannelContext
    from unimicro.channels.client.channel import Connection as Connection
    from unimicro.channels.client.channel import channel as channel
    from unimicro.channels.client.channel import not_sent as not_sent
    from unimicro.channels.client.channel import remaining_ms as remaining_ms
    from unimicro.channels.client.channel import unavailable as unavailable
    from unimicro.channels.client.context import idempotency_key as idempotency_key
    from unimicro.channels.client.manager import ServiceManager as ServiceManager
    from unimicro.channels.client.manager import adisconnect as adisconnect
    from unimicro.channels.client.manager import connect as connect
    from unimicro.channels.client.manager import disconnect as disconnect
    from unimicro.channels.registries.consul import ConsulRegistry as ConsulRegistry
    from unimicro.channels.registries.file import FileRegistry as FileRegistry
    from unimicro.channels.registries.memory import MemoryRegistry as MemoryRegistry
    from unimicro.component import Component as Component
    from unimicro.component import ComponentStatus as ComponentStatus
    from unimicro.discovery import ChannelAddress as ChannelAddress
    from unimicro.discovery import Check as Check
    from unimicro.discovery import Instance as Instance
    from unimicro.discovery import Registry as Registry
    from unimicro.errors import unwrap as unwrap
    from unimicro.forms import Upload as Upload
    from unimicro.frontend import FrontEnd as FrontEnd
    from unimicro.functional.attempt import Try as Try
    from unimicro.functional.circuits import circuit as circuit
    from unimicro.functional.steps import lift as lift
    from unimicro.invocation import CallPayload as CallPayload
    from unimicro.invocation import HttpPayload as HttpPayload
    from unimicro.invocation import Invocation as Invocation
    from unimicro.invocation import Principal as Principal
    from unimicro.invocation import current_invocation as current_invocation
    from unimicro.metadata import Metadata as Metadata
    from unimicro.options import Cors as Cors
    from unimicro.outcome import Failure as Failure
    from unimicro.outcome import Left as Left
    from unimicro.outcome import Outcome as Outcome
    from unimicro.outcome import Response as Response
    from unimicro.outcome import Right as Right
    from unimicro.outcome import failure_of as failure_of
    from unimicro.pipeline.activities import Activities as Activities
    from unimicro.pipeline.activities import activities as activities
    from unimicro.pipeline.api_key import ApiKey as ApiKey
    from unimicro.pipeline.authorizer import Authorizer as Authorizer
    from unimicro.pipeline.breaker import Breaker as Breaker
    from unimicro.pipeline.budget import Budget as Budget
    from unimicro.pipeline.bulkhead import Bulkhead as Bulkhead
    from unimicro.pipeline.cache import Cache as Cache
    from unimicro.pipeline.clock import VirtualClock as VirtualClock
    from unimicro.pipeline.deadline import Deadline as Deadline
    from unimicro.pipeline.decider import Decider as Decider
    from unimicro.pipeline.fallback import Fallback as Fallback
    from unimicro.pipeline.hedge import Hedge as Hedge
    from unimicro.pipeline.idempotency import Idempotency as Idempotency
    from unimicro.pipeline.jwt import Jwt as Jwt
    from unimicro.pipeline.listeners import Rejection as Rejection
    from unimicro.pipeline.listeners import Retrying as Retrying
    from unimicro.pipeline.listeners import Transition as Transition
    from unimicro.pipeline.policy import Policy as Policy
    from unimicro.pipeline.rate_limit import RateLimit as RateLimit
    from unimicro.pipeline.retry import Retry as Retry
    from unimicro.pipeline.self_token import SelfToken as SelfToken
    from unimicro.pipeline.stages import Await as Await
    from unimicro.pipeline.stages import Do as Do
    from unimicro.pipeline.stages import Pause as Pause
    from unimicro.pipeline.stages import Stage as Stage
    from unimicro.pipeline.stages import Steps as Steps
    from unimicro.pipeline.timeout import Timeout as Timeout
    from unimicro.pipeline.token import Token as Token
    from unimicro.pipeline.userinfo import UserInfo as UserInfo
    from unimicro.plugins.hookspecs import hookimpl as hookimpl
    from unimicro.routes.json_door import JsonDoor as JsonDoor
    from unimicro.service import Service as Service
    from unimicro.service import entry as entry
    from unimicro.service import event as event
    from unimicro.service import every as every
    from unimicro.signature import Body as Body
    from unimicro.signature import Header as Header
    from unimicro.signature import Path as Path
    from unimicro.signature import Query as Query

__version__ = "0.1.0"

# Name → module. A name is imported when it is first used (PEP 562): a Lambda function that uses
# no breaker does not load one. The block above tells type checkers the same.
_NAMES = {
    "Activities": "unimicro.pipeline.activities",
    "ApiKey": "unimicro.pipeline.api_key",
    "App": "unimicro.app",
    "Authorizer": "unimicro.pipeline.authorizer",
    "Await": "unimicro.pipeline.stages",
    "Body": "unimicro.signature",
    "Breaker": "unimicro.pipeline.breaker",
    "Budget": "unimicro.pipeline.budget",
    "Bulkhead": "unimicro.pipeline.bulkhead",
    "Cache": "unimicro.pipeline.cache",
    "CallPayload": "unimicro.invocation",
    "Channel": "unimicro.channels.client.channel",
    "ChannelAddress": "unimicro.discovery",
    "ChannelContext": "unimicro.channels.client.channel",
    "Check": "unimicro.discovery",
    "Component": "unimicro.component",
    "ComponentStatus": "unimicro.component",
    "Connection": "unimicro.channels.client.channel",
    "ConsulRegistry": "unimicro.channels.registries.consul",
    "Cors": "unimicro.options",
    "Deadline": "unimicro.pipeline.deadline",
    "Decider": "unimicro.pipeline.decider",
    "Do": "unimicro.pipeline.stages",
    "Failure": "unimicro.outcome",
    "Fallback": "unimicro.pipeline.fallback",
    "FileRegistry": "unimicro.channels.registries.file",
    "FrontEnd": "unimicro.frontend",
    "Header": "unimicro.signature",
    "Hedge": "unimicro.pipeline.hedge",
    "HttpPayload": "unimicro.invocation",
    "Idempotency": "unimicro.pipeline.idempotency",
    "Instance": "unimicro.discovery",
    "Invocation": "unimicro.invocation",
    "JsonDoor": "unimicro.routes.json_door",
    "Jwt": "unimicro.pipeline.jwt",
    "Left": "unimicro.outcome",
    "MemoryRegistry": "unimicro.channels.registries.memory",
    "Metadata": "unimicro.metadata",
    "Outcome": "unimicro.outcome",
    "Path": "unimicro.signature",
    "Pause": "unimicro.pipeline.stages",
    "Policy": "unimicro.pipeline.policy",
    "Principal": "unimicro.invocation",
    "Query": "unimicro.signature",
    "RateLimit": "unimicro.pipeline.rate_limit",
    "Registry": "unimicro.discovery",
    "Rejection": "unimicro.pipeline.listeners",
    "Response": "unimicro.outcome",
    "Retry": "unimicro.pipeline.retry",
    "Retrying": "unimicro.pipeline.listeners",
    "Right": "unimicro.outcome",
    "SelfToken": "unimicro.pipeline.self_token",
    "Service": "unimicro.service",
    "ServiceManager": "unimicro.channels.client.manager",
    "Stage": "unimicro.pipeline.stages",
    "Steps": "unimicro.pipeline.stages",
    "Timeout": "unimicro.pipeline.timeout",
    "Token": "unimicro.pipeline.token",
    "Transition": "unimicro.pipeline.listeners",
    "Try": "unimicro.functional.attempt",
    "Upload": "unimicro.forms",
    "UserInfo": "unimicro.pipeline.userinfo",
    "VirtualClock": "unimicro.pipeline.clock",
    "activities": "unimicro.pipeline.activities",
    "adisconnect": "unimicro.channels.client.manager",
    "channel": "unimicro.channels.client.channel",
    "circuit": "unimicro.functional.circuits",
    "connect": "unimicro.channels.client.manager",
    "current_invocation": "unimicro.invocation",
    "disconnect": "unimicro.channels.client.manager",
    "entry": "unimicro.service",
    "event": "unimicro.service",
    "every": "unimicro.service",
    "failure_of": "unimicro.outcome",
    "hookimpl": "unimicro.plugins.hookspecs",
    "idempotency_key": "unimicro.channels.client.context",
    "lift": "unimicro.functional.steps",
    "not_sent": "unimicro.channels.client.channel",
    "remaining_ms": "unimicro.channels.client.channel",
    "unavailable": "unimicro.channels.client.channel",
    "unwrap": "unimicro.errors",
}

__all__ = sorted([*_NAMES, "__version__"])  # noqa: PLE0605 - the table is the list


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'unimicro' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
