"""What declares an interface: ``@service``, and the decorators of its REST form.

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
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from unimicro.errors import DefinitionError
from unimicro.service import BINDINGS, INTERFACE, Binding, Http, Service, entry, snake_case
from unimicro.signature import Body, Query

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Body", "QueryParam", "delete", "get", "patch", "post", "put", "rest", "service"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound="Callable[..., Any]")

QueryParam = Query


def service(name: str = "", description: str = "", *, no_auth: bool = False) -> Callable[[C], C]:
    """Make a class an interface: each public method is an entry, and an override of one is one too.

    Args:
        name: Of the service; the class name in snake case if empty.
        description: Shown by every door; the docstring if empty.
        no_auth: The methods that do not say themselves what they are are open to everyone.

    Raises:
        DefinitionError: The class is no ``Service``.
    """

    def declare(interface: C) -> C:
        if not (isinstance(interface, type) and issubclass(interface, Service)):
            raise DefinitionError(f"@service stands on a class derived from Service, not on {interface!r}")
        methods = _public_methods(interface)
        if not methods:
            raise DefinitionError(f"@service: {interface.__name__} has no public methods")
        interface.name = name or vars(interface).get("name") or snake_case(interface.__name__)
        if description:
            interface.__doc__ = description
        if not interface.url_prefix and not any(_has_path(method) for method in methods):
            # So that two interfaces of one app may have methods of the same name.
            interface.url_prefix = f"/{interface.name}"
        for method in methods:
            if BINDINGS not in vars(method):
                entry(no_auth=no_auth)(method)
        setattr(interface, INTERFACE, interface)
        return interface

    return declare


def _public_methods(interface: type) -> list[Callable[..., Any]]:
    """Functions of the class and of its bases that are the user's own."""
    found: list[Callable[..., Any]] = []
    for kind in interface.__mro__:
        if kind is Service:
            break
        found += [
            value
            for name, value in vars(kind).items()
            if inspect.isfunction(value) and not name.startswith("_") and not hasattr(Service, name)
        ]
    return found


def _has_path(method: Callable[..., Any]) -> bool:
    bindings: list[Binding] = vars(method).get(BINDINGS, [])
    return any(isinstance(b.trigger, Http) and b.trigger.path is not None for b in bindings)


def rest(prefix: str = "") -> Callable[[C], C]:
    """Put ``prefix`` before the path of every entry of the class.

    Raises:
        DefinitionError: It does not begin with ``/``.
    """
    if prefix and not prefix.startswith("/"):
        raise DefinitionError(f"@rest: the prefix {prefix!r} must start with '/'")

    def declare(interface: C) -> C:
        interface.url_prefix = prefix.rstrip("/")  # type: ignore[attr-defined]
        return interface

    return declare


def get(path: str, /, **options: Any) -> Callable[[F], F]:
    """``@entry("GET", path)``; takes its options."""
    return entry("GET", path, **options)


def post(path: str, /, **options: Any) -> Callable[[F], F]:
    """``@entry("POST", path)``."""
    return entry("POST", path, **options)


def put(path: str, /, **options: Any) -> Callable[[F], F]:
    """``@entry("PUT", path)``."""
    return entry("PUT", path, **options)


def patch(path: str, /, **options: Any) -> Callable[[F], F]:
    """``@entry("PATCH", path)``."""
    return entry("PATCH", path, **options)


def delete(path: str, /, **options: Any) -> Callable[[F], F]:
    """``@entry("DELETE", path)``."""
    return entry("DELETE", path, **options)
