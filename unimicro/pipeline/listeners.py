"""What happens inside pipelines, for those who want to know: metrics, logs, alarms.

A listener is any object with one or more of the methods of ``OnTransition``, ``OnRetry`` and ``OnReject``; it
is given to the app. They are called in the thread or task of the call, so they must be quick; one that raises
is logged and changes nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from unimicro.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from unimicro.outcome import Failure

__all__ = ["Listeners", "OnReject", "OnRetry", "OnTransition", "Rejection", "Retrying", "Transition"]

log = logging.getLogger("unimicro")


@dataclass(frozen=True, slots=True)
class Transition:
    """A circuit breaker changed its state.

    Attributes:
        circuit: Its name.
        before: State until now.
        after: State from now on.
        reason: Why, in words.
        retry_after: Seconds until a probe is let through, when it opened; else 0.
    """

    circuit: str
    before: str
    after: str
    reason: str
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call is about to be repeated.

    Attributes:
        operation: Qualified name.
        invocation_id: Of the call.
        attempt: Number of the attempt that failed; 1 for the first.
        delay: Seconds until the next one.
        failure: What the attempt came back with.
    """

    operation: str
    invocation_id: str
    attempt: int
    delay: float
    failure: Failure


@dataclass(frozen=True, slots=True)
class Rejection:
    """A stage refused a call, or would have done so in shadow mode.

    Attributes:
        operation: Qualified name.
        invocation_id: Of the call.
        layer: Name of the stage.
        failure: What the caller got, or would have got; its ``policy`` and ``retry_after`` say more.
        shadow: The stage only looked on.
    """

    operation: str
    invocation_id: str
    layer: str
    failure: Failure
    shadow: bool = False


class OnTransition(Protocol):
    """Told of breakers that change their state."""

    def on_transition(self, transition: Transition, /) -> None: ...


class OnRetry(Protocol):
    """Told of repeated calls."""

    def on_retry(self, retrying: Retrying, /) -> None: ...


class OnReject(Protocol):
    """Told of refused calls."""

    def on_reject(self, rejection: Rejection, /) -> None: ...


class Listeners:
    """All listeners of an app.

    Attributes:
        shadowed: (operation, stage) → how often a stage in shadow mode would have changed the outcome.

    Raises:
        DefinitionError: One has none of the methods.
    """

    def __init__(self, listeners: Iterable[object] = ()) -> None:
        given = tuple(listeners)
        for listener in given:
            if not any(callable(getattr(listener, name, None)) for name in _METHODS):
                raise DefinitionError(f"a listener has {', '.join(_METHODS)}; {listener!r} has none of them")
        self._on_transition = _methods(given, "on_transition")
        self._on_retry = _methods(given, "on_retry")
        self._on_reject = _methods(given, "on_reject")
        self.shadowed: Counter[tuple[str, str]] = Counter()

    @property
    def hear_rejections(self) -> bool:
        """Whether anybody listens: asked at assembly."""
        return bool(self._on_reject)

    def transition(self, transition: Transition) -> None:
        """Tell of a breaker."""
        _tell(self._on_transition, transition)

    def retry(self, retrying: Retrying) -> None:
        """Tell of a repeated call."""
        _tell(self._on_retry, retrying)

    def reject(self, rejection: Rejection) -> None:
        """Tell of a refused call."""
        _tell(self._on_reject, rejection)

    # A stage in shadow mode changes no outcome: what it would have done is counted and logged.

    def would_differ(self, operation: str, stage: str, invocation_id: str, what: str) -> None:
        """Note that a stage in shadow mode would have changed the outcome: ``what`` ends the sentence."""
        self.shadowed[operation, stage] += 1
        log.warning(
            "%s: %s in shadow mode: it would have %s (invocation %s)", operation, stage, what, invocation_id
        )

    def would_reject(self, operation: str, stage: str, invocation_id: str, failure: Failure) -> None:
        """Note, and tell, that a stage in shadow mode would have refused a call with ``failure``."""
        self.would_differ(operation, stage, invocation_id, f"answered {failure.code}: {failure.message}")
        self.reject(Rejection(operation, invocation_id, stage, failure, shadow=True))


_METHODS = ("on_transition", "on_retry", "on_reject")


def _methods(listeners: Iterable[object], name: str) -> tuple[Callable[[Any], None], ...]:
    found = (getattr(listener, name, None) for listener in listeners)
    return tuple(method for method in found if callable(method))


def _tell(methods: tuple[Callable[[Any], None], ...], details: object) -> None:
    for method in methods:
        try:
            method(details)
        except Exception:
            log.exception("a listener raised on %s", type(details).__name__)
