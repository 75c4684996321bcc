"""How long to wait between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from unimicro.errors import DefinitionError, nearest

if TYPE_CHECKING:
    from unimicro.outcome import Failure

Draw = Callable[[int, "Failure", float], float]
Backoff = Callable[[int, "Failure"], float]

# 2.0**1024 is no float.
_MOST_GROWTH = 60


class Schedule(NamedTuple):
    """The waits of one retry policy.

    Attributes:
        draw: From (number of the attempt that failed, its failure, the wait before it) to seconds.
        longest: The most that ``draw`` gives after that attempt.
    """

    draw: Draw
    longest: Callable[[int], float]


def full_jitter(base: float, cap: float) -> Schedule:
    """``U(0, min(cap, base * 2**n))`` before retry *n*, from 0.

    Bounded first and drawn after, so that the waits of many callers stay spread at the cap as well
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    longest = exponential(base, cap).longest
    return Schedule(lambda attempt, _, __: random.uniform(0, longest(attempt)), longest)  # noqa: S311


def exponential(base: float, cap: float) -> Schedule:
    """``min(cap, base * 2**n)``: the same for every caller, so for one that is alone."""

    def longest(attempt: int) -> float:
        return min(cap, base * 2.0 ** min(attempt - 1, _MOST_GROWTH))

    return Schedule(lambda attempt, _, __: longest(attempt), longest)


def decorrelated(base: float, cap: float) -> Schedule:
    """``U(base, min(cap, 3 * the wait before))``, the page above's but for the order: it cuts off last."""

    def draw(_: int, __: Failure, before: float) -> float:
        return random.uniform(min(base, cap), min(cap, 3 * (before or base)))  # noqa: S311

    return Schedule(draw, lambda attempt: min(cap, base * 3.0 ** min(attempt, _MOST_GROWTH)))


def constant(base: float) -> Schedule:
    """``base`` each time."""
    return Schedule(lambda _, __, ___: base, lambda _: base)


def linear(start: float, increment: float, most: float) -> Schedule:
    """``min(most, start + increment * n)``."""

    def longest(attempt: int) -> float:
        return min(most, start + increment * (attempt - 1))

    return Schedule(lambda attempt, _, __: longest(attempt), longest)


def by_function(function: Backoff) -> Schedule:
    """What a function of the user says; ``draw`` raises ``ValueError`` where that is no time to wait."""

    def draw(attempt: int, failure: Failure, _: float) -> float:
        seconds = function(attempt, failure)
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a backoff function returned {seconds!r}; it must be seconds from 0")
        return seconds

    # Nobody can tell beforehand.
    return Schedule(draw, lambda _: 0.0)


KINDS = ("full_jitter", "constant", "linear", "exponential", "decorrelated")


def require_kind(backoff: object) -> None:
    """Check ``Retry.backoff``.

    Raises:
        DefinitionError: It is neither a function nor one of ``KINDS``.
    """
    if callable(backoff) or backoff in KINDS:
        return
    hint = nearest(backoff, KINDS) if isinstance(backoff, str) else f"; known: {', '.join(KINDS)}"
    raise DefinitionError(f"Retry.backoff: {backoff!r} is no function and no known kind{hint}")


def schedule_of(
    backoff: str | Backoff,
    base: float,
    cap: float,
    start: float | None,
    increment: float | None,
    most: float | None,
) -> Schedule:
    """The schedule of a retry's settings."""
    if callable(backoff):
        return by_function(backoff)
    if backoff == "constant":
        return constant(base)
    if backoff == "linear":
        return linear(start or base, increment or base, most or cap)
    kinds = {"full_jitter": full_jitter, "exponential": exponential, "decorrelated": decorrelated}
    return kinds[backoff](base, cap)
