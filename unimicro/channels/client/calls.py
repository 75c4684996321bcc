"""How one operation is called: policies, the choice of an endpoint, the next one where that fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.channels.client.attempts import Attempt
from unimicro.channels.client.context import key_for
from unimicro.channels.client.own_token import token_stage
from unimicro.errors import unwrap
from unimicro.invocation import CallPayload, Invocation, current_invocation, new_id
from unimicro.outcome import Response
from unimicro.pipeline.breaker import Breaker, find_circuit
from unimicro.pipeline.compiler import stage_of, wrap_async, wrap_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.channels.client.channel import Channel
    from unimicro.channels.client.context import Outgoing
    from unimicro.channels.client.endpoints import Endpoint, Endpoints
    from unimicro.channels.client.own_token import TokenSource
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
        token_source: Where the token comes from, if it has to be obtained.
    """

    channel: Channel[Any]
    endpoints: Endpoints
    selector: Selector
    policies: Sequence[Policy]
    assembly: Assembly
    assembly_of: Callable[[Endpoint], Assembly]
    outgoing: Outgoing
    token_source: TokenSource | None = None


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
        if route.token_source is not None:
            self._around.append(token_stage(route.token_source, is_async=operation.is_async))
            self._around.sort(key=lambda stage: stage.order)
        self._policies = [p for p in route.policies if p.name in PER_ENDPOINT and p.mode != "off"]
        self._stages(self._policies, route.assembly)  # what is wrong with them is said now
        self._runners: dict[Endpoint, Any] = {}
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
            native=set(),
        )

    # -- one attempt: the same twice, once per colour ------------------------------------------

    def _send(self, invocation: Invocation) -> Outcome[Any]:
        attempt = Attempt(self._name, invocation, self._endpoints, self._choose)
        while (endpoint := attempt.next(began := self._now())) is not None:
            outcome: Outcome[Any] | None = None
            try:
                outcome = self._runner_of(endpoint)(invocation)
            finally:
                over = attempt.leave(endpoint, outcome, self._now() - began)
            if over:
                return outcome
        return attempt.given_up(self._operation.service.name)

    async def _asend(self, invocation: Invocation) -> Outcome[Any]:
        attempt = Attempt(self._name, invocation, self._endpoints, self._choose)
        while (endpoint := attempt.next(began := self._now())) is not None:
            outcome: Outcome[Any] | None = None
            try:
                outcome = await self._runner_of(endpoint)(invocation)
            finally:
                over = attempt.leave(endpoint, outcome, self._now() - began)
            if over:
                return outcome
        return attempt.given_up(self._operation.service.name)

    def _runner_of(self, endpoint: Endpoint) -> Any:
        runner = self._runners.get(endpoint)
        return self._new_runner(endpoint) if runner is None else runner

    def _new_runner(self, endpoint: Endpoint) -> Any:
        with self._endpoints.making:
            runner = self._made_runner(endpoint)
            current = set(self._endpoints.current)
            kept = {each: made for each, made in self._runners.items() if each in current}
            self._runners = {**kept, endpoint: runner}
            return runner

    def _made_runner(self, endpoint: Endpoint) -> Any:
        assembly = self._assembly_of(endpoint)
        policies = [_at_endpoint(policy, self._name, endpoint.uri) for policy in self._policies]
        stages = self._stages(policies, assembly)
        for policy in policies:
            if isinstance(policy, Breaker) and policy.mode == "enforce":
                endpoint.circuits[self._name] = find_circuit(assembly, policy.circuit)
        wire, connection = self._wire, endpoint.connection
        if self._operation.is_async:
            return wrap_async(stages, lambda inv: connection.ainvoke(wire, inv), self._clock, None)
        return wrap_sync(stages, lambda inv: connection.invoke(wire, inv), self._clock)


def _at_endpoint(policy: Policy, operation: str, uri: str) -> Policy:
    """Circuits are shared by their names, also with other processes: each address has one of its own."""
    if not isinstance(policy, Breaker):
        return policy
    service = operation.rpartition(".")[0]
    name = f"{service}: {policy.circuit}" if policy.circuit else operation
    return replace(policy, circuit=f"{name} at {uri}" if uri else name)
