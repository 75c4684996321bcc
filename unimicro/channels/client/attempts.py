"""One attempt at a call: the endpoint that is asked, and the next one where the call was never sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.channels.client.channel import NotSent, not_sent
from unimicro.errors import ConfigurationError
from unimicro.outcome import Failure, Left, failure_of
from unimicro.pipeline.circuit import CircuitOpen
from unimicro.pipeline.deadline import expired

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.channels.client.endpoints import Endpoint, Endpoints
    from unimicro.invocation import Invocation
    from unimicro.outcome import Outcome

__all__ = ["Attempt"]


class Attempt:
    """Which endpoints one attempt has been to, and what came of it. Each is asked once at most.

    Args:
        operation: Its name, as circuits have it.
        invocation: ``native`` holds the endpoints that the call has been to in all of its attempts.
        endpoints: Their list may change meanwhile.
        choose: The selector's.
    """

    __slots__ = (
        "_asked",
        "_choose",
        "_deadline",
        "_endpoints",
        "_failed",
        "_operation",
        "_refusals",
        "_unsent",
    )

    def __init__(
        self,
        operation: str,
        invocation: Invocation,
        endpoints: Endpoints,
        choose: Callable[[Sequence[Endpoint]], Endpoint],
    ) -> None:
        self._operation = operation
        self._asked: set[Endpoint] = invocation.native
        self._deadline = invocation.deadline
        self._endpoints = endpoints
        self._choose = choose
        self._failed: set[Endpoint] = set()
        self._unsent: Outcome[Any] | None = None
        self._refusals: list[Failure] = []

    def next(self, now: float) -> Endpoint | None:
        """Whom to ask, with the call begun there: rather one that was not asked for this call yet."""
        if self._deadline is not None and now >= self._deadline:
            self._unsent = Left(expired("not started: "))
            return None
        while True:
            endpoint = self._chosen()
            # One that left the list between the two lines is not in the next one.
            if endpoint is None or endpoint.enter():
                return endpoint

    def _chosen(self) -> Endpoint | None:
        current = self._endpoints.current
        if len(current) == 1:
            return None if current[0] in self._failed else current[0]
        left = [endpoint for endpoint in current if endpoint not in self._failed]
        if not left:
            return None
        able = [endpoint for endpoint in left if not endpoint.refuses(self._operation)]
        asked = self._asked
        fresh = [endpoint for endpoint in able if endpoint not in asked] if asked else able
        offered = fresh or able or left
        endpoint = self._choose(offered)
        if endpoint not in offered:
            # Believed, one that refuses would be asked without end.
            raise ConfigurationError(f"the selector chose {endpoint!r}, which it was not offered")
        asked.add(endpoint)
        return endpoint

    def leave(self, endpoint: Endpoint, outcome: Outcome[Any] | None, seconds: float) -> bool:
        """Take note of what came back; whether that is what the attempt came to.

        ``False``: the call was not sent there, so another may be asked, whatever the operation does.
        """
        if outcome is None:
            endpoint.leave(None)  # cut off: nothing is learned from it
            return True
        if outcome.monoid[1]:
            endpoint.leave(seconds)
            return True
        failure = failure_of(outcome)
        unsent = isinstance(failure.cause, NotSent | CircuitOpen)
        endpoint.leave(None if unsent else seconds, failed=True)
        if endpoint.refuses(self._operation):
            endpoint.forget_latency()
        if not unsent:
            return True
        self._failed.add(endpoint)
        if isinstance(failure.cause, CircuitOpen):
            self._refusals.append(failure)
        else:
            self._unsent = outcome
        return False

    def given_up(self, service: str) -> Outcome[Any]:
        """The outcome where nobody could be asked."""
        if self._unsent is not None:
            return self._unsent
        if not self._refusals:
            return not_sent(f"no instance of {service!r} is known on channel {self._endpoints.channel!r}")
        first = min(self._refusals, key=lambda failure: failure.retry_after or 0.0)
        # Its own text names an address, which may reach the callers of a service that hands it on.
        return Left(
            Failure(
                "unavailable",
                f"every instance of {service!r} has an open circuit",
                retry_after=first.retry_after,
                layer="breaker",
                policy=self._operation,
                cause=first.cause,
            )
        )
