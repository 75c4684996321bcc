"""``@circuit``: the house's breaker around any function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from unimicro.errors import DefinitionError
from unimicro.functional.arrows import Lifting
from unimicro.functional.attempt import tried
from unimicro.functional.calls import call_of, stages_for
from unimicro.functional.providers import ProvidedStore
from unimicro.invocation import CallPayload
from unimicro.options import listed
from unimicro.pipeline.breaker import Breaker, find_circuit
from unimicro.pipeline.clock import SystemClock
from unimicro.pipeline.compiler import wrap_async, wrap_sync
from unimicro.pipeline.listeners import Listeners
from unimicro.pipeline.policy import Assembly, policy_from_config

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from unimicro.functional.attempt import Tried
    from unimicro.functional.providers import StateProvider
    from unimicro.invocation import Invocation
    from unimicro.outcome import Outcome
    from unimicro.pipeline.circuit import Circuit
    from unimicro.pipeline.ports import Clock

__all__ = ["Guarding", "circuit"]


class Guarding(Lifting):
    """The decorator of one circuit; see ``circuit``."""

    called = "circuit"

    def __init__(
        self, breaker: Breaker, provider: StateProvider | None, attempts: Tried, assembly: Assembly
    ) -> None:
        self._name = breaker.circuit
        self._attempts = attempts
        self._assembly = assembly
        if provider is not None:
            store = ProvidedStore(provider, breaker, assembly.clock, self._failures)
            breaker = replace(breaker, store=store)
        self._stages = stages_for(breaker, self._name, assembly)

    @property
    def circuit(self) -> Circuit:
        """Its state, and methods that force one.

        Raises:
            ConfigurationError: ``mode="off"`` leaves none.
        """
        return find_circuit(self._assembly, self._name)

    def _failures(self) -> int:
        return self.circuit.tally().failed

    def _lift(self, function: Callable[..., Any]) -> Callable[..., Outcome[Any]]:
        name = self._name
        run = wrap_sync(self._stages, self._calling(function), self._assembly.clock)
        return lambda *args, **kwargs: run(call_of(name, payload=CallPayload(args, kwargs)))

    def _lift_async(self, function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Outcome[Any]]]:
        name = self._name
        run = wrap_async(self._stages, self._calling(function), self._assembly.clock, None)

        async def guarded(*args: Any, **kwargs: Any) -> Outcome[Any]:
            return await run(call_of(name, payload=CallPayload(args, kwargs)))

        return guarded

    def _calling(self, function: Callable[..., Any]) -> Callable[[Invocation], Any]:
        attempt: Callable[..., Any] = self._attempts(function)

        def call(invocation: Invocation) -> Any:
            payload: Any = invocation.payload
            return attempt(*payload.args, **payload.kwargs)

        return call


def circuit(
    name: str,
    *,
    provider: StateProvider | None = None,
    errors: Sequence[type[Exception]] = (),
    clock: Clock | None = None,
    listeners: Sequence[object] = (),
    **settings: Any,
) -> Guarding:
    """A decorator, for sync and async functions: refuse calls while most of the recent ones failed.

    The function answers with an ``Outcome`` from then on: its result, its exception as ``tried`` has it, or
    the circuit's ``unavailable`` with ``retry_after``. All functions of one decorator share the circuit.

    Args:
        name: Of the circuit; refusals name it.
        provider: Where its state is kept besides this process; nowhere if ``None``.
        errors: Exception classes that are public, as on an entry.
        clock: Source of time, of an app or for tests.
        listeners: Objects told of transitions; see ``unimicro.pipeline.listeners``.
        settings: Those of ``Breaker``.

    Raises:
        ConfigurationError: A setting is unknown or impossible.
    """
    if not isinstance(name, str) or not name:
        raise DefinitionError(f'a circuit has a name: circuit("stock"), not {name!r}')
    breaker = policy_from_config(Breaker, {**settings, "circuit": name}, f"circuit {name!r}")
    assembly = Assembly(clock or SystemClock(), Listeners(listed("listeners", listeners)))
    return Guarding(cast("Breaker", breaker), provider, tried(errors=errors), assembly)
