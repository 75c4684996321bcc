"""How one operation is called: policies, the choice of an endpoint, the next one where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.client.channel import NotSent, not_sent
from unimicro.channels.client.context import key_for
from unimicro.errors import unwrap
from unimicro.invocation import CallPayload, Invocation, current_invocation, new_id
from unimicro.outcome import Failure, Left, Response, failure_of
from unimicro.pipeline.breaker import find_circuit
from unimicro.pipeline.circuit import CircuitOpen
from unimicro.pipeline.compiler import stage_of, wrap_async, wrap_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.channels.client.channel import Channel
    from unimicro.channels.client.context import Outgoing
    from unimicro.channels.client.endpoints import Endpoint, Endpoints
    from unimicro.channels.client.selectors import Selector
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome
    from unimicro.pipeline.policy import Assembly, Policy
    from unimicro.pipeline.stages import Stage

__all__ = ["Route", "method_for"]

PER_ENDPOINT = ("breaker",)
"""Policies whose state is that of one endpoint; all others stand around the choice of one."""


class Route(NamedTuple):
    """The way of one interface: what its operations share.

    Attributes:
        channel: Over which it is called.
        endpoints: Addresses on that channel.
        selector: It chooses among them.
        policies: By name; those that may not stand on an operation are left out for it.
        assembly: What the stages around the choice share.
        assembly_of: What the stages of one endpoint share, made once per endpoint.
        outgoing: Makes header fields.
    """

    channel: Channel[Any]
    endpoints: Endpoints
    selector: Selector
    policies: Sequence[Policy]
    assembly: Assembly
    assembly_of: Callable[[Endpoint], Assembly]
    outgoing: Outgoing


def method_for(operation: Operation, route: Route) -> Callable[..., Any]:
    """The proxy's method: it calls, and returns the result or raises what the failure stands for.

    Raises:
        DefinitionError: The channel cannot carry the operation, or a policy has impossible settings.
    """
    target = _Target(operation, route)
    declared = tuple(operation.errors)
    runner = target.runner()
    invocation_of = target.invocation

    if operation.is_async:

        async def acall(*args: Any, **kwargs: Any) -> Any:
            value, is_right = (outcome := await runner(invocation_of(args, kwargs))).monoid
            if not is_right:
                return unwrap(outcome, declared)
            value = outcome.value
            return value.body if type(value) is Response else value

        return acall

    def call(*args: Any, **kwargs: Any) -> Any:
        value = unwrap(runner(invocation_of(args, kwargs)), declared)
        return value.body if type(value) is Response else value

    return call


class _Target:
    """One operation on its route."""

    def __init__(self, operation: Operation, route: Route) -> None:
        self._operation = operation
        self._name = operation.name
        self._endpoints = route.endpoints
        self._choose = route.selector.choose
        self._assembly_of = route.assembly_of
        self._outgoing = route.outgoing
        self._clock = route.assembly.clock
        self._now = route.assembly.clock.now
        self._wire = route.channel.prepare(operation)
        self._around = self._stages([p for p in route.policies if p.name not in PER_ENDPOINT], route.assembly)
        self._policies = [p for p in route.policies if p.name in PER_ENDPOINT and p.mode != "off"]
        self._keyed = not operation.options.safe

    def _stages(self, policies: Sequence[Policy], assembly: Assembly) -> list[Stage]:
        stages = [stage_of(policy, self._operation, assembly) for policy in policies]
        return sorted((stage for stage in stages if stage is not None), key=lambda stage: stage.order)

    def runner(self) -> Any:
        """From invocation to outcome: a coroutine function where the operation is async."""
        if self._operation.is_async:
            return wrap_async(self._around, self._asend, self._clock, None)
        return wrap_sync(self._around, self._send, self._clock)

    def invocation(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation:
        """One logical call; retries and hedges share its key and know whom it has asked."""
        served = current_invocation()
        key = key_for(self._name, served) if self._keyed else None
        return Invocation(
            self._name,
            CallPayload(args, kwargs),
            metadata=self._outgoing.metadata(served, key),
            deadline=served and served.deadline,
            trace=served and served.trace,
            key=key,
            id=new_id() if served is None else served.id,
            native=[],
        )

    # -- one attempt: the same twice, once per colour ------------------------------------------

    def _send(self, invocation: Invocation) -> Outcome[Any]:
        failed: list[Endpoint] = []
        outcome: Outcome[Any] | None = None
        while True:
            endpoint = self._next(invocation.native, failed)
            if endpoint is None:
                return self._given_up(outcome)
            began = self._now()
            endpoint.in_flight += 1
            try:
                outcome = self._runner_of(endpoint)(invocation)
            finally:
                endpoint.in_flight -= 1
            if outcome.monoid[1] or not _was_not_sent(outcome):
                endpoint.took(self._now() - began)
                return outcome
            failed.append(endpoint)

    async def _asend(self, invocation: Invocation) -> Outcome[Any]:
        failed: list[Endpoint] = []
        outcome: Outcome[Any] | None = None
        while True:
            endpoint = self._next(invocation.native, failed)
            if endpoint is None:
                return self._given_up(outcome)
            began = self._now()
            endpoint.in_flight += 1
            try:
                outcome = await self._runner_of(endpoint)(invocation)
            finally:
                endpoint.in_flight -= 1
            if outcome.monoid[1] or not _was_not_sent(outcome):
                endpoint.took(self._now() - began)
                return outcome
            failed.append(endpoint)

    def _next(self, asked: list[Endpoint], failed: list[Endpoint]) -> Endpoint | None:
        """Whom to ask: rather one that was not asked for this call yet, and none whose circuit is open."""
        current = self._endpoints.current
        if len(current) == 1:
            return None if failed else current[0]
        left = [endpoint for endpoint in current if endpoint not in failed]
        if not left:
            return None
        able = [endpoint for endpoint in left if not endpoint.refuses(self._name)]
        fresh = [endpoint for endpoint in able if endpoint not in asked]
        endpoint = self._choose(fresh or able or left)
        asked.append(endpoint)
        return endpoint

    def _given_up(self, outcome: Outcome[Any] | None) -> Outcome[Any]:
        service = self._operation.service.name
        if outcome is None:
            return not_sent(f"no instance of {service!r} is known")
        failure = failure_of(outcome)
        if failure.layer != "breaker":
            return outcome
        # Its own text names an address, which may reach the callers of a service that hands it on.
        return Left(
            Failure(
                "unavailable",
                f"every instance of {service!r} has an open circuit",
                retry_after=failure.retry_after,
                layer="breaker",
                policy=self._name,
            )
        )

    def _runner_of(self, endpoint: Endpoint) -> Any:
        runner = endpoint.runners.get(self)
        return self._new_runner(endpoint) if runner is None else runner

    def _new_runner(self, endpoint: Endpoint) -> Any:
        assembly, operation = self._assembly_of(endpoint), self._operation
        stages = self._stages(self._policies, assembly)
        wire, connection = self._wire, endpoint.connection
        if operation.is_async:
            runner: Any = wrap_async(stages, lambda inv: connection.ainvoke(wire, inv), self._clock, None)
        else:
            runner = wrap_sync(stages, lambda inv: connection.invoke(wire, inv), self._clock)
        for policy in self._policies:
            circuit = getattr(policy, "circuit", "") or self._name
            endpoint.circuits[self._name] = find_circuit(assembly, circuit)
        endpoint.runners[self] = runner
        return runner


def _was_not_sent(outcome: Outcome[Any]) -> bool:
    failure = failure_of(outcome)
    return isinstance(failure.cause, NotSent | CircuitOpen)
