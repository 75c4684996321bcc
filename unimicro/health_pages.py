"""``/livez``, ``/readyz``, ``/startupz`` and the health of components, as routes of every HTTP door.

A page is an operation that no policy stands around: it needs no token, and no name reaches it but its path.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unimicro.component import Component
from unimicro.errors import DefinitionError
from unimicro.health import LIVE, PATH, READY, STARTED, Finding, Health, HealthStatus
from unimicro.operation import HttpBinding, Operation, operations_of
from unimicro.outcome import Response
from unimicro.service import Service, entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from unimicro.config import Settings
    from unimicro.health_checks import HealthChecks
    from unimicro.pipeline.ports import Clock
    from unimicro.presence import Presence

__all__ = ["HEALTH_JSON", "pages"]

HEALTH_JSON = "application/health+json"
"""draft-inadarei-api-health-check-06 §2."""

STATUSES = {HealthStatus.OK: 200, HealthStatus.WARNING: 200, HealthStatus.ERROR: 503}
"""A warning is no reason for Kubernetes to take the app out: any 2xx is a success to a probe."""

OF_COMPONENTS = {**STATUSES, HealthStatus.WARNING: 429}
"""As Consul reads the answers to an HTTP check: 2xx passing, 429 warning, else critical."""


class _Page(Service):
    """Answers at its ``url_prefix``; nothing in it waits."""

    def __init__(
        self, path: str, ask: Callable[[], Any], statuses: Mapping[HealthStatus, int], details: bool
    ) -> None:
        super().__init__(name="page", url_prefix=path)
        self._ask, self._statuses, self._details = ask, statuses, details

    @entry("GET", "/", no_auth=True, blocking=False)
    def show(self, **_: Any) -> Response:
        """The health."""
        return self._answer(self._ask())

    def _answer(self, health: Health) -> Response:
        headers = {"Content-Type": HEALTH_JSON, "Cache-Control": "no-store"}
        return Response(_document(health, self._details), self._statuses[health.status], headers)


class _AskingPage(_Page):
    """The same where checks have to be asked."""

    @entry("GET", "/", no_auth=True)
    async def show(self, **_: Any) -> Response:  # type: ignore[override]  # as any entry may be
        """The health."""
        return self._answer(await self._ask())


def pages(
    operations: Mapping[str, Operation],
    components: Iterable[Component],
    presence: Presence,
    checks: HealthChecks | None,
    settings: Settings,
    clock: Clock,
) -> dict[str, Operation]:
    """The pages of an app, by their path, which is also the name of the operation.

    One of the three at which an entry answers GET is left to the entry.

    Raises:
        DefinitionError: A component's is the path of an entry or of another component.
    """
    taken = {
        operation.http.template: name
        for name, operation in operations.items()
        if operation.http is not None and operation.http.verb == "GET"
    }
    found: dict[str, _Page] = {}
    for component in components:
        path = getattr(component, PATH, "")
        if path in taken:
            raise DefinitionError(
                f"the health of component {component.name} is at {path}, like {taken[path]}"
            )
        if path:
            taken[path] = f"that of component {component.name}"
            ask = _asked(component, clock)
            found[path] = _AskingPage(path, ask, OF_COMPONENTS, settings.health_details)
    ready: Callable[[], Any] = presence.readiness
    kind = _Page
    if checks:
        ready, kind = _asking(presence, checks), _AskingPage
    found |= {
        path: made
        for path, made in (
            (LIVE, _Page(LIVE, Health, STATUSES, settings.health_details)),
            (STARTED, _Page(STARTED, presence.startedness, STATUSES, settings.health_details)),
            (READY, kind(READY, ready, STATUSES, settings.health_details)),
        )
        if path not in taken
    }
    return _compiled(found, settings)


def _asked(component: Component, clock: Clock) -> Callable[[], Awaitable[Health]]:
    if type(component).get_health is Component.get_health:
        return component.get_health
    from unimicro.health_checks import own_health

    return own_health(component, clock)


def _asking(presence: Presence, checks: HealthChecks) -> Callable[[], Awaitable[Health]]:
    async def ready() -> Health:
        present = presence.readiness()
        return await checks.ask(critical_only=True) if present.status is HealthStatus.OK else present

    return ready


def _compiled(found: Mapping[str, _Page], settings: Settings) -> dict[str, Operation]:
    # One of each kind: to compile is most of the price, and a function pays it at each cold start.
    kinds = {type(page): page for page in found.values()}
    first = {
        kind: next(operations_of(page, settings.stage, settings.max_fields)) for kind, page in kinds.items()
    }
    # No service has such a name: nothing that calls operations by name finds it.
    return {
        path: replace(
            first[type(page)],
            name=path,
            service=page,
            method=page.show,
            http=HttpBinding("GET", path, ()),
        )
        for path, page in found.items()
    }


def _document(health: Health, details: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"status": health.status.word}
    if health.notes:
        document["notes"] = list(health.notes)
    if health.findings:
        document["checks"] = {found.name: [_check(found, details)] for found in health.findings}
    return document


def _check(finding: Finding, details: bool) -> dict[str, Any]:
    """§4: what the check said, how long it took and when, only for who may know."""
    check: dict[str, Any] = {"status": finding.status.word}
    if details:
        from datetime import UTC, datetime

        when = datetime.fromtimestamp(finding.time, UTC).isoformat(timespec="milliseconds")
        check |= {"time": when, "observedValue": round(finding.seconds * 1000, 3), "observedUnit": "ms"}
        if finding.details:
            check["output"] = finding.details.encode("utf-8", "backslashreplace").decode()
    return check
