"""Retry budgets: how much load retries may add to what is failing already."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, fields
from itertools import count
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock

log = logging.getLogger("unimicro")

_SLICES = 10
_EVERY = 63
_ALMOST = 1 - 1e-9


@dataclass(frozen=True)
class Budget:
    """Retries are a share of the requests, and at least a few each second.

    As many as the *larger* of the two allow, so that attempts are at most ``1 + ratio`` times the requests
    wherever that share of them is more than ``per_second``. What ``per_second`` brings in ``ttl`` seconds may
    be spent at once, and is paid back from the share of the requests that follow: a process that has just
    begun may retry as well. After Finagle's RetryBudget (https://twitter.github.io/finagle/guide/Clients.html#retries),
    which adds the two.

    Args:
        ratio: Retries per request, from 0.
        per_second: Retries each second while the requests are few, from 0.
        ttl: Seconds after which a request allows no retry any more.
        name: Operations of an app that name the same budget share it; the operation's own if empty.
    """

    ratio: float = 0.1
    per_second: float = 3.0
    ttl: float = 10.0
    name: str = ""

    def __post_init__(self) -> None:
        for name in ("ratio", "per_second", "ttl"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
                raise DefinitionError(f"Budget.{name} must be a number from 0, got {value!r}")
        if not isinstance(self.name, str):
            raise DefinitionError(f"Budget.name must be text, got {self.name!r}")
        if self.ttl == 0:
            raise DefinitionError("Budget.ttl must be above 0, got 0")
        if self.ratio == self.per_second == 0:
            raise DefinitionError("Budget: with ratio=0 and per_second=0 there would never be a retry")

    @classmethod
    def of(cls, given: object, owner: str) -> Budget | None:
        """A budget as configuration can write it: a table, ``true`` for the defaults, ``false`` for none.

        Raises:
            DefinitionError: ``given`` is none of these, or a setting is unknown.
        """
        if given is None or given is False or isinstance(given, cls):
            return given or None
        settings = {} if given is True else given
        known = [field.name for field in fields(cls)]
        if not isinstance(settings, dict) or not set(settings) <= set(known):
            raise DefinitionError(
                f"{owner}.budget must be a Budget or a table of {', '.join(known)}, got {given!r}"
            )
        return cls(**settings)

    def spending(self, kind: str, operation: Operation, assembly: Assembly) -> Spending:
        """The state of this budget in an app.

        Args:
            kind: Which policy spends it; each counts its own requests.
            operation: Its name stands for a budget without one.
            assembly: Where it is shared.

        Raises:
            DefinitionError: The shared budget has other settings elsewhere.
        """
        name = self.name or operation.name
        return assembly.shared(f"budget of {kind}", name, lambda: Spending(name, self, assembly.clock), self)


DEFAULT_BUDGET = Budget()


class Spending:
    """What is left of one budget. The lock guards the bookkeeping only, never a call.

    A success costs a number and nothing else. Numbers are dated when a retry is asked for, and every
    ``_EVERY + 1`` of them; a request counts as made at the reading before it, so never as younger than it is.
    """

    def __init__(self, name: str, settings: Budget, clock: Clock) -> None:
        self.name = name
        self.settings = settings
        self._now = clock.now
        self._lock = Lock()
        self._count = count().__next__
        self._read = self._count()
        self._read_at = clock.now()
        self._slices: deque[list[float]] = deque()
        """[Time it begins at, requests in it], the last ``ttl`` seconds."""
        self._reserve = max(1.0, settings.per_second * settings.ttl) if settings.per_second else 0.0
        self._floor = self._reserve
        self._credit = 0.0
        """Retries that the requests allow. Below 0 what they owe: the reserve, and what it got meanwhile; a
        larger debt is forgiven, or a busy hour would pay for a quiet one."""
        self._quiet_until = -inf

    def counted(self, runner: Callable[[Invocation], Any]) -> Callable[[Invocation], Any]:
        """``runner``, each call of which is a request. Of either colour: it waits for nothing."""
        number, read = self._count, self._read_locked

        def layer(invocation: Invocation) -> Any:
            if not number() & _EVERY:
                read()
            return runner(invocation)

        return layer

    def withdraw(self) -> bool:
        """Whether there may be one more retry; if so, it is taken."""
        with self._lock:
            now = self._read_up()
            if self._credit >= _ALMOST or self._floor >= _ALMOST:
                self._credit = max(self._credit - 1, -2 * self._reserve)
                self._floor = max(self._floor - 1, 0.0)
                return True
            silent = now < self._quiet_until
            if not silent:
                self._quiet_until = now + self.settings.ttl
        if not silent:
            log.warning("the retry budget of %s is spent: failures go back without a retry", self.name)
        return False

    def _read_locked(self) -> None:
        with self._lock:
            self._read_up()

    def _read_up(self) -> float:
        settings, now = self.settings, self._now()
        # The reading takes a number as well.
        number = self._count()
        fresh, self._read = number - self._read - 1, number
        self._note(fresh, now)
        recent = sum(requests for _, requests in self._slices)
        self._credit = min(self._credit + settings.ratio * fresh, settings.ratio * recent)
        self._floor = min(self._reserve, self._floor + settings.per_second * (now - self._read_at))
        self._read_at = now
        return now

    def _note(self, fresh: int, now: float) -> None:
        slices, ttl = self._slices, self.settings.ttl
        if slices and self._read_at - slices[-1][0] < ttl / _SLICES:
            slices[-1][1] += fresh
        else:
            slices.append([self._read_at, fresh])
        while slices and slices[0][0] <= now - ttl:
            slices.popleft()
