"""Runs health checks: each with a timeout, its result kept for a while, one run for all who ask meanwhile."""

from __future__ import annotations

import asyncio
import inspect
import logging
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from unimicro.errors import DefinitionError
from unimicro.health import CheckOptions, Finding, Health, HealthStatus, Result, checks_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from unimicro.component import Component
    from unimicro.pipeline.ports import Clock

__all__ = ["HealthChecks"]

log = logging.getLogger("unimicro")


class HealthChecks:
    """The checks of an app.

    Args:
        owners: Objects whose methods are health checks; those without any are passed over.
        clock: The app's.

    Raises:
        DefinitionError: Two checks have the same name, or one takes what cannot be given to it.
    """

    def __init__(self, owners: Iterable[object], clock: Clock) -> None:
        self._checks: dict[str, _Check] = {}
        self._owner: dict[str, object] = {}
        for owner in owners:
            for method, options in checks_in(type(owner)).items():
                other = self._owner.setdefault(options.name, owner)
                if options.name in self._checks:
                    kinds = f"{type(other).__name__} and {type(owner).__name__}"
                    raise DefinitionError(
                        f"two health checks are called {options.name!r}, in {kinds}: give one another name"
                    )
                self._checks[options.name] = _Check(options, getattr(owner, method), clock)

    def __bool__(self) -> bool:
        return bool(self._checks)

    async def ask(self, *, critical_only: bool = False) -> Health:
        """What all checks find, run at once."""
        asked = [check for check in self._checks.values() if check.options.critical or not critical_only]
        return Health.of(tuple(await asyncio.gather(*(check.ask() for check in asked))))


def own_health(component: Component, clock: Clock) -> Callable[[], Awaitable[Health]]:
    """Asks a component that has a ``get_health`` of its own, as a check with the default options."""

    async def check() -> Result:
        health = await component.get_health()
        return Result(health.status, "; ".join(health.notes))

    asked = _Check(CheckOptions(component.name), check, clock)

    async def ask() -> Health:
        return Health.of((await asked.ask(),))

    return ask


class _Run:
    """One run of a check, and who waits for it: from any thread or event loop."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.landed: Future[Finding] = Future()
        self.task: asyncio.Task[Finding] | None = None


class _Check:
    """One check. The lock guards what is kept, never a run."""

    def __init__(self, options: CheckOptions, method: Callable[..., Any], clock: Clock) -> None:
        self.options = options
        self._method = method
        self._is_async = inspect.iscoroutinefunction(method)
        self._takes_result = _takes_result(method)
        self._clock = clock
        self._lock = Lock()
        self._run: _Run | None = None
        self._kept: Finding | None = None
        self._kept_until = 0.0
        self._told = False

    async def ask(self) -> Finding:
        """The kept result, or that of the run that is under way, or that of a new one."""
        with self._lock:
            if self._kept is not None and self._clock.now() < self._kept_until:
                return self._kept
            run, begins = self._run, self._run is None
            if run is None:
                run = self._run = _Run(self._clock.now())
        if begins:
            self._begin(run)
        try:
            async with self._clock.timeout_at(run.begun + self.options.timeout):
                # Shielded: who gives up waiting must not end the run of the others.
                return await asyncio.shield(asyncio.wrap_future(run.landed))
        except TimeoutError:
            return self._late(run)

    def _begin(self, run: _Run) -> None:
        if self._is_async:
            run.task = asyncio.ensure_future(self._arun(run))
            # Not within the task: one that is cancelled before its first step, with its loop, runs nothing.
            run.task.add_done_callback(lambda task: self._land(run, self._found(task, run)))
        else:
            # A thread of its own: one that hangs must not take a place away from requests.
            Thread(target=self._work, args=(run,), name="unimicro-health", daemon=True).start()

    def _work(self, run: _Run) -> None:
        finding = self._late(run)
        given = self._given()
        try:
            finding = self._judged(given, self._method(*given), run)
        except Exception as error:
            finding = self._raised(error, run)
        finally:
            self._land(run, finding)

    async def _arun(self, run: _Run) -> Finding:
        given = self._given()
        try:
            async with self._clock.timeout_at(run.begun + self.options.timeout):
                returned = await self._method(*given)
            return self._judged(given, returned, run)
        except Exception as error:
            # A timeout of its own is one like any other; ours comes when the time is over.
            if isinstance(error, TimeoutError) and self._is_late(run):
                return self._late(run)
            return self._raised(error, run)

    def _found(self, task: asyncio.Task[Finding], run: _Run) -> Finding:
        return self._late(run) if task.cancelled() or task.exception() else task.result()

    def _given(self) -> tuple[Result, ...]:
        return (Result(),) if self._takes_result else ()

    def _judged(self, given: tuple[Result, ...], returned: object, run: _Run) -> Finding:
        result = given[0] if returned is None and given else returned
        if not isinstance(result, Result | None):
            raise TypeError(f"a health check returns a Result or nothing, not {result!r}")
        result = result or Result()
        self._told = False
        seconds, limit = self._clock.now() - run.begun, self.options.fail_if_slower_than
        if self._is_late(run):
            return self._late(run)
        if limit is not None and seconds > limit:
            return self._finding(HealthStatus.ERROR, f"took {seconds:.3f} s, more than {limit:g} s", run)
        return self._finding(result.status, result.details, run)

    def _is_late(self, run: _Run) -> bool:
        return self._clock.now() >= run.begun + self.options.timeout

    def _late(self, run: _Run) -> Finding:
        return self._finding(HealthStatus.ERROR, f"no result within {self.options.timeout:g} s", run)

    def _raised(self, error: Exception, run: _Run) -> Finding:
        if not self._told:  # probes come every few seconds: once for each outage
            log.error("health check %r raised", self.options.name, exc_info=error)
        self._told = True
        return self._finding(HealthStatus.ERROR, "", run)

    def _finding(self, status: HealthStatus, details: str, run: _Run) -> Finding:
        clock, options = self._clock, self.options
        return Finding(options.name, status, details, clock.now() - run.begun, clock.time(), options.critical)

    def _land(self, run: _Run, finding: Finding) -> None:
        with self._lock:
            self._run = None
            self._kept, self._kept_until = finding, self._clock.now() + self.options.cache
        run.landed.set_result(finding)


def _takes_result(method: Callable[..., Any]) -> bool:
    required = [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if len(required) > 1:
        name = getattr(method, "__qualname__", repr(method))
        raise DefinitionError(f"{name}: a health check takes a Result or nothing, not {', '.join(required)}")
    return bool(required)
