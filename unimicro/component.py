"""What declares interfaces, their implementations and components, and the decorators of the REST form.

.. code-block:: python

    @service(name="greetings", description="Says hello.")
    @rest("/api")
    class Greetings(Service, ABC):
        @abstractmethod
        @get("/hello/{message}")
        def hello(self, message: str) -> str: ...

    @implementation()
    class GreetingsImpl(Greetings):
        def hello(self, message: str) -> str:
            return f"hello {message}"

    @component(services=[Greetings])
    class GreetingComponent(Component):
        def startup(self) -> None: ...

    app = App(components=[GreetingComponent])
"""

from __future__ import annotations

import inspect
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from unimicro.errors import DefinitionError
from unimicro.health import Health
from unimicro.interface import QueryParam, delete, get, patch, post, put, rest, service
from unimicro.options import listed
from unimicro.service import Service, is_name, snake_case
from unimicro.signature import Body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from unimicro.discovery import ChannelAddress

__all__ = [
    "Body",
    "Component",
    "ComponentStatus",
    "QueryParam",
    "component",
    "delete",
    "get",
    "implementation",
    "patch",
    "post",
    "put",
    "rest",
    "service",
]

COMPONENT = "__unimicro_component__"
"""On an interface: the name of the component that has it."""
IMPLEMENTATION = "__unimicro_implementation__"

C = TypeVar("C", bound=type)


def implementation() -> Callable[[C], C]:
    """Say that a class is made where one of its bases is wanted: an interface, a component, a port.

    Its constructor gets what its type hints name, see ``App(provide=...)``.

    Raises:
        DefinitionError: It is no class, or methods of its bases are still abstract.
    """

    def declare(kind: C) -> C:
        if not isinstance(kind, type):
            raise DefinitionError(f"@implementation stands on a class, not on {kind!r}")
        missing = abstract_methods(kind)
        if missing:
            raise DefinitionError(f"@implementation: {kind.__name__} lacks {', '.join(missing)}")
        setattr(kind, IMPLEMENTATION, True)
        return kind

    return declare


def abstract_methods(kind: type) -> list[str]:
    """Names of the methods that a class declares without having them, also where it is no ``ABC``."""
    attributes = {name: inspect.getattr_static(kind, name) for name in dir(kind)}
    return sorted(name for name, value in attributes.items() if getattr(value, "__isabstractmethod__", False))


class ComponentStatus(Enum):
    """Where a component stands in its life."""

    VIRGIN = "virgin"
    RUNNING = "running"
    STOPPED = "stopped"


class Component:
    """Base class of components: services that are deployed, started, found and checked together.

    Attributes:
        name: Under which registries and the dispatch wire know it; set by ``@component``.
        services: The interfaces that it bundles.
    """

    name: ClassVar[str] = ""
    services: ClassVar[tuple[type[Service], ...]] = ()

    _status = ComponentStatus.VIRGIN
    _reachable: tuple[ChannelAddress, ...] = ()
    _ask_health: Callable[[], Awaitable[Health]] | None = None

    def startup(self) -> Awaitable[None] | None:
        """Called when the app starts, before its services are set up and before any door; may be async."""
        return None

    def shutdown(self) -> Awaitable[None] | None:
        """Called when the app stops, after its services are; may be async."""
        return None

    def get_addresses(self, port: int) -> Sequence[ChannelAddress]:  # noqa: ARG002 - for those who override it
        """Where the component can be called: what a registry is told.

        Args:
            port: The one that the server listens on; the addresses of this default have the URL that
                ``[registry] advertise`` or the server says.
        """
        return self._reachable

    def get_status(self) -> ComponentStatus:
        """``VIRGIN`` until it has started, ``STOPPED`` once it has been shut down."""
        return self._status

    async def get_health(self) -> Health:
        """Its health: what the checks of the app find. May be overridden."""
        return Health() if self._ask_health is None else await self._ask_health()


def component(
    name: str = "", description: str = "", *, services: Sequence[type[Service]] = ()
) -> Callable[[C], C]:
    """Make a class derived from ``Component`` a bundle of services; ``App(components=[...])`` boots it.

    Args:
        name: Of the component; the class name in snake case if empty.
        description: The docstring if empty.
        services: Their interfaces, or service classes that are their own.

    Raises:
        DefinitionError: The class is no ``Component``, the name is none, or an interface is no ``Service``,
            is named twice, or belongs to another component.
    """

    def declare(kind: C) -> C:
        if not (isinstance(kind, type) and issubclass(kind, Component)):
            raise DefinitionError(f"@component stands on a class derived from Component, not on {kind!r}")
        kind.name = name or snake_case(kind.__name__)
        if not is_name(kind.name):
            raise DefinitionError(f"{kind.name!r} is no component name: letters, digits, '_' and '-' only")
        if description:
            kind.__doc__ = description
        kind.services = _bundled(kind.__name__, listed("services", services))
        for interface in kind.services:
            owner = vars(interface).get(COMPONENT, kind.name)
            if owner != kind.name:
                raise DefinitionError(f"{interface.__name__} belongs to the component {owner!r} already")
            setattr(interface, COMPONENT, kind.name)
        return kind

    return declare


def _bundled(kind: str, services: tuple[Any, ...]) -> tuple[type[Service], ...]:
    if not services:
        raise DefinitionError(f"@component: {kind} bundles nothing; name its interfaces: services=[...]")
    for interface in services:
        if not (isinstance(interface, type) and issubclass(interface, Service)):
            raise DefinitionError(f"@component: {kind}: services takes service classes, not {interface!r}")
    if len(set(services)) < len(services):
        raise DefinitionError(f"@component: {kind} names a service twice")
    return services


def set_status(component: Component, status: ComponentStatus) -> None:
    """Take note of where it stands; for who starts and stops it."""
    component._status = status  # noqa: SLF001 - its half of the class


def ask_checks(component: Component, ask: Callable[[], Awaitable[Health]]) -> None:
    """Tell it how the app's checks are asked."""
    component._ask_health = ask  # noqa: SLF001 - as above


def connect_component(component: Component, reachable: tuple[ChannelAddress, ...]) -> None:
    """Tell it under which addresses it is served."""
    component._reachable = reachable  # noqa: SLF001 - as above
