"""From components to the objects of an app: components, services, and what has their health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.component import Component, ask_checks
from unimicro.container import Container, required_implementation
from unimicro.errors import DefinitionError
from unimicro.health import CHECKS, checks_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unimicro.health_checks import HealthChecks
    from unimicro.pipeline.ports import Clock
    from unimicro.service import Service

__all__ = ["Booted", "boot"]


class Booted(NamedTuple):
    """What was made.

    Attributes:
        components: In the order given.
        services: Those given, then those of the components.
        checks: Of all of them and of the ``@health_checks`` classes; ``None`` where there are none.
    """

    components: tuple[Component, ...]
    services: tuple[Service, ...]
    checks: HealthChecks | None


def boot(
    services: Sequence[Service],
    components: Sequence[Any],
    checks: Sequence[Any],
    given: Mapping[Any, Any],
    remote: Callable[[type[Service]], Any],
    clock: Clock,
) -> Booted:
    """Make what the components of an app consist of.

    Args:
        services: Objects given to the app.
        components: Classes or objects.
        checks: Classes decorated with ``@health_checks``, or objects of them.
        given: See ``Container``.
        remote: See ``Container``.
        clock: The app's.

    Raises:
        ConfigurationError: One is no component, has no implementation or several, or needs what nothing
            provides; two share a name.
    """
    kinds = [_component_class(component) for component in components]
    _check_names(kinds, services)
    served = [type(service) for service in services]
    served += [interface for kind in kinds for interface in kind.services]
    container = Container(given, served, remote)
    for thing in (*services, *components, *checks):
        if not isinstance(thing, type):
            container.keep(thing)
    made: tuple[Component, ...] = tuple(_made(container, component) for component in components)
    bundled = (_made(container, interface) for kind in kinds for interface in kind.services)
    all_services = (*services, *bundled)
    owners = [_made(container, _checks(each)) for each in checks]
    return Booted(made, all_services, _health_checks(made, (*owners, *made, *all_services), clock))


def _component_class(given: Any) -> type[Component]:
    kind = given if isinstance(given, type) else type(given)
    if not issubclass(kind, Component):
        raise DefinitionError(f"App: components takes components, not {given!r}")
    if not kind.services:
        raise DefinitionError(
            f"{kind.__name__} is no component yet: decorate it with @component(services=[...])"
        )
    return kind


def _check_names(kinds: Sequence[type[Component]], services: Sequence[Service]) -> None:
    names: dict[str, str] = {service.name: f"the service {type(service).__name__}" for service in services}
    for kind in kinds:
        if kind.name in names:
            raise DefinitionError(
                f"{names[kind.name]} and the component {kind.__name__} are both called {kind.name!r}"
            )
        names[kind.name] = f"the component {kind.__name__}"


def _made(container: Container, given: Any) -> Any:
    return container.make(required_implementation(given)) if isinstance(given, type) else given


def _checks(given: Any) -> Any:
    if CHECKS not in vars(given if isinstance(given, type) else type(given)):
        raise DefinitionError(
            f"App: health_checks takes classes decorated with @health_checks(), not {given!r}"
        )
    return given


def _health_checks(
    components: Sequence[Component], owners: Sequence[object], clock: Clock
) -> HealthChecks | None:
    if not any(checks_in(type(owner)) for owner in owners):
        return None
    from unimicro.health_checks import HealthChecks

    checks = HealthChecks(owners, clock)
    for component in components:
        ask_checks(component, checks.ask)
    return checks
