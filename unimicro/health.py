"""What declares the health of an app: ``@health``, ``@health_checks``, ``@health_check``.

.. code-block:: python

    @health_checks()
    class Checks:
        def __init__(self, database: Database) -> None:
            self.database = database

        @health_check(cache=5, timeout=0.5)
        def connection(self, result: Result) -> None:
            if not self.database.ping():
                result.set_status(HealthStatus.ERROR, "no answer to a ping")

    app = App(Orders(), health_checks=[Checks])
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from unimicro.errors import DefinitionError

__all__ = ["Health", "HealthStatus", "Result", "health", "health_check", "health_checks"]

CHECK = "__unimicro_health_check__"
CHECKS = "__unimicro_health_checks__"
PATH = "__unimicro_health_path__"

LIVE, READY, STARTED = "/livez", "/readyz", "/startupz"
"""What every app answers at."""

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


class HealthStatus(IntEnum):
    """How well something is; the worst of several counts."""

    OK = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """As draft-inadarei-api-health-check-06 §3.1 says it."""
        return ("pass", "warn", "fail")[self]


class Result:
    """What a check found.

    Args:
        status: ``OK`` unless the check says otherwise.
        details: Text for who may read it: it is shown only where the setting ``health_details`` is on.
    """

    __slots__ = ("details", "status")

    def __init__(self, status: HealthStatus = HealthStatus.OK, details: str = "") -> None:
        self.set_status(status, details)

    def set_status(self, status: HealthStatus, details: str = "") -> None:
        """Say how it is.

        Raises:
            TypeError: ``status`` is none of ``HealthStatus``, or ``details`` is no text.
        """
        if not isinstance(status, HealthStatus) or not isinstance(details, str):
            raise TypeError(f"set_status takes a HealthStatus and text, not {status!r} and {details!r}")
        self.status = status
        self.details = details

    def __repr__(self) -> str:
        return f"Result({self.status.name}, {self.details!r})"


class Finding(NamedTuple):
    """The outcome of one run of a check.

    Attributes:
        name: Of the check.
        status: ``ERROR`` also where it raised or took too long.
        details: What the check said; empty where it raised, so that the text of an exception stays here.
        seconds: It took.
        time: Seconds since the epoch at which it ended.
        critical: Whether the app is not ready while it fails.
    """

    name: str
    status: HealthStatus
    details: str = ""
    seconds: float = 0.0
    time: float = 0.0
    critical: bool = True


class Health(NamedTuple):
    """How a component, or the whole app, is.

    Attributes:
        status: The worst of the findings; a failure of one that is not critical counts as a warning.
        findings: One for each check.
        notes: Further reasons, public.
    """

    status: HealthStatus = HealthStatus.OK
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, findings: tuple[Finding, ...]) -> Health:
        """The health that ``findings`` amount to."""
        return cls(max(map(_weight, findings), default=HealthStatus.OK), findings)


def _weight(finding: Finding) -> HealthStatus:
    return finding.status if finding.critical else min(finding.status, HealthStatus.WARNING)


@dataclass(frozen=True)
class CheckOptions:
    """What ``@health_check`` was given."""

    name: str
    cache: float = 1.0
    fail_if_slower_than: float | None = None
    critical: bool = True
    timeout: float = 1.0


def health(path: str) -> Callable[[C], C]:
    """Serve the health of a component at ``path``: 200, 429 with a warning, 503 (what Consul understands).

    Raises:
        DefinitionError: ``path`` is no fixed absolute path, or the class is no component.
    """
    if not isinstance(path, str) or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise DefinitionError(f"@health: {path!r} is no fixed absolute path such as '/health'")

    def declare(kind: C) -> C:
        if not (isinstance(kind, type) and hasattr(kind, "get_health")):
            raise DefinitionError(f"@health stands on a component, not on {kind!r}")
        setattr(kind, PATH, path)
        return kind

    return declare


def health_checks() -> Callable[[C], C]:
    """Mark a class whose methods are health checks; ``App(health_checks=[...])`` takes it.

    Raises:
        DefinitionError: It has no ``@health_check``.
    """

    def declare(kind: C) -> C:
        if not isinstance(kind, type):
            raise DefinitionError(f"@health_checks stands on a class, not on {kind!r}")
        if not checks_in(kind):
            raise DefinitionError(f"@health_checks: {kind.__name__} has no method with @health_check")
        setattr(kind, CHECKS, True)
        return kind

    return declare


def health_check(
    name: str = "",
    *,
    cache: float = 1.0,
    fail_if_slower_than: float | None = None,
    critical: bool = True,
    timeout: float = 1.0,
) -> Callable[[F], F]:
    """Make a method a health check, sync or async. It may take a ``Result`` to fill, or return one.

    It stands on methods of a ``@health_checks`` class, of a service, or of a component. One run serves all
    who ask meanwhile. A sync one runs in a thread of its own, so that it may block.

    Args:
        name: In the answer; the method's name if empty.
        cache: Seconds for which a result is kept; 0 asks each time.
        fail_if_slower_than: Seconds above which the result is an ``ERROR`` whatever it says.
        critical: The app is not ready while it fails; else its failure is a warning.
        timeout: Seconds after which nobody waits for it and it counts as an ``ERROR``; keep it below that of
            the probe.

    Raises:
        DefinitionError: A number is impossible.
    """
    if not isinstance(name, str):
        raise DefinitionError("@health_check is written with parentheses: @health_check()")
    limits = {"cache": cache, "timeout": timeout}
    if fail_if_slower_than is not None:
        limits["fail_if_slower_than"] = fail_if_slower_than
    for option, seconds in limits.items():
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and isfinite(seconds)
        if not number or seconds < 0 or (seconds == 0 and option != "cache"):
            least = "from" if option == "cache" else "above"
            raise DefinitionError(f"@health_check: {option} is {seconds!r}; it must be seconds {least} 0")
    if type(critical) is not bool:
        raise DefinitionError(f"@health_check: critical must be True or False, got {critical!r}")

    def declare(method: F) -> F:
        if not callable(method) or isinstance(method, staticmethod | classmethod):
            raise DefinitionError(f"@health_check stands on a method, not on {method!r}")
        options = CheckOptions(name or method.__name__, cache, fail_if_slower_than, critical, timeout)
        setattr(method, CHECK, options)
        return method

    return declare


def checks_in(kind: type) -> dict[str, CheckOptions]:
    """Method name to options of every health check of a class, its bases' included."""
    found: dict[str, CheckOptions] = {}
    for base in reversed(kind.__mro__):
        for name, value in vars(base).items():
            options = getattr(value, CHECK, None)
            if isinstance(options, CheckOptions):
                found[name] = options
    return found
