"""What declares an interface: ``@service``, and the decorators of its REST form."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from unimicro.errors import DefinitionError
from unimicro.health import CHECK
from unimicro.service import BINDINGS, INTERFACE, Binding, Http, Service, entry, snake_case
from unimicro.signature import Query

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["QueryParam", "delete", "get", "patch", "post", "put", "rest", "service"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound="Callable[..., Any]")

QueryParam = Query


def service(name: str = "", description: str = "", *, no_auth: bool = False) -> Callable[[C], C]:
    """Make a class an interface: each public method is an entry, and an override of one is one too.

    Args:
        name: Of the service; the class name in snake case if empty.
        description: Shown by every door; the docstring if empty.
        no_auth: The methods are open to everyone, but for those whose own decorator says who may call
            (``no_auth=``, ``auth=``, ``activities=``).

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
        if not interface.url_prefix and not any(map(_has_path, methods.values())):
            # So that two interfaces of one app may have methods of the same name.
            interface.url_prefix = f"/{interface.name}"
        for name_, method in methods.items():
            _make_entry(interface, name_, method, no_auth)
        setattr(interface, INTERFACE, interface)
        return interface

    return declare


def _public_methods(interface: type) -> dict[str, FunctionType]:
    """Functions of the class and of its bases that are the user's own, by name."""
    found: dict[str, FunctionType] = {}
    for kind in interface.__mro__:
        if kind is Service:
            break
        for name, value in vars(kind).items():
            if inspect.isfunction(value) and not name.startswith("_") and not hasattr(Service, name):
                found.setdefault(name, value)
    return {name: method for name, method in found.items() if CHECK not in vars(method)}


def _make_entry(interface: type, name: str, method: FunctionType, no_auth: bool) -> None:
    if name not in vars(interface):
        if any(name in vars(base) and INTERFACE in vars(base) for base in interface.__mro__):
            return  # another interface has said what it is
        # A copy: what this interface says of it is no business of the other classes that inherit it.
        method = _copy(method)
        setattr(interface, name, method)
    if BINDINGS not in vars(method):
        entry(no_auth=no_auth)(method)
    elif no_auth:
        vars(method)[BINDINGS] = [_opened(binding) for binding in vars(method)[BINDINGS]]


def _opened(binding: Binding) -> Binding:
    if binding.says_auth or not isinstance(binding.trigger, Http):
        return binding
    return replace(binding, options=replace(binding.options, no_auth=True))


def _copy(method: FunctionType) -> FunctionType:
    copied = FunctionType(
        method.__code__, method.__globals__, method.__name__, method.__defaults__, method.__closure__
    )
    copied.__kwdefaults__ = method.__kwdefaults__
    update_wrapper(copied, method)
    del copied.__wrapped__  # type: ignore[attr-defined]  # it wraps nothing
    return copied


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
