"""Functions for a functional style: exceptions, steps, circuits and HTTP as ``Outcome`` values.

>>> from unimicro.functional import Try, circuit, get, lift, pipeline, post, tried
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unimicro.functional.attempt import Try as Try
    from unimicro.functional.attempt import atry as atry
    from unimicro.functional.attempt import tried as tried
    from unimicro.functional.circuits import circuit as circuit
    from unimicro.functional.http import Http as Http
    from unimicro.functional.http import aget as aget
    from unimicro.functional.http import apost as apost
    from unimicro.functional.http import get as get
    from unimicro.functional.http import post as post
    from unimicro.functional.providers import CircuitState as CircuitState
    from unimicro.functional.providers import MemoryProvider as MemoryProvider
    from unimicro.functional.providers import StateProvider as StateProvider
    from unimicro.functional.replies import Reply as Reply
    from unimicro.functional.replies import ReplyError as ReplyError
    from unimicro.functional.steps import apipeline as apipeline
    from unimicro.functional.steps import lift as lift
    from unimicro.functional.steps import pipeline as pipeline

# Name → module, imported when it is first used (PEP 562), as in the package above. No module is called as
# a name of its own: whoever imports it would put the module in the name's place.
_NAMES = {
    "CircuitState": "providers",
    "Http": "http",
    "MemoryProvider": "providers",
    "Reply": "replies",
    "ReplyError": "replies",
    "StateProvider": "providers",
    "Try": "attempt",
    "aget": "http",
    "apipeline": "steps",
    "apost": "http",
    "atry": "attempt",
    "circuit": "circuits",
    "get": "http",
    "lift": "steps",
    "pipeline": "steps",
    "post": "http",
    "tried": "attempt",
}

__all__ = sorted(_NAMES)  # noqa: PLE0605 - the table is the list


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'unimicro.functional' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"unimicro.functional.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
