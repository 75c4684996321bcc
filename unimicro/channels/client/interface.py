"""From an interface class to its operations and to the class of its proxies."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from unimicro.component import COMPONENT
from unimicro.errors import DefinitionError
from unimicro.operation import operations_of
from unimicro.service import Service, service_name

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from unimicro.operation import Operation

__all__ = ["Interface"]


class Interface:
    """What a program knows of a service that runs elsewhere. A service class is its own interface.

    Args:
        declared: The class; it is never instantiated with its own ``__init__``.
        name: Of the service, where ``__init__`` gives it another than the class has.
        stage: Deployment stage; entries of other stages do not exist.
        max_fields: See ``Settings``.

    Attributes:
        name: Of the service.
        component: Name under which registries know it: of the component that ``@component(services=[...])``
            put it in, else of the service.
        operations: Method name to operation.

    Raises:
        DefinitionError: It is no interface, or has an entry with a type that no wire can carry.
    """

    def __init__(self, declared: Any, name: str = "", stage: str = "dev", max_fields: int = 1000) -> None:
        if not (isinstance(declared, type) and issubclass(declared, Service)):
            raise DefinitionError(f"an interface is a class derived from Service, not {declared!r}")
        if declared is Service:
            raise DefinitionError("Service itself is no interface: give the class that has the entries")
        self.declared: Any = declared
        self._proxy = _proxy_class(declared)
        self._bare = self._new(service_name(declared, name))
        self.name = self._bare.name
        component = getattr(declared, COMPONENT, None)
        self.component: str = self.name if component is None else component
        self.operations: dict[str, Operation] = {
            operation.name.rpartition(".")[2]: operation
            for operation in operations_of(self._bare, stage, max_fields)
            if operation.http is not None
        }
        if not self.operations:
            raise DefinitionError(
                f"{declared.__name__} has no entries: nothing of it can be called from afar"
            )
        _refuse_the_rest(declared, self._proxy, self.operations)

    def _new(self, name: str) -> Any:
        made: Any = object.__new__(self._proxy)
        Service.__init__(made, name=name)
        return made

    def proxy(self, methods: dict[str, Callable[..., Any]], owner: object) -> Any:
        """An object of the interface whose entries are ``methods``.

        Args:
            methods: Entry to function of the entry's arguments; async where the entry is.
            owner: Found again with ``owner_of``.
        """
        made: Any = self._new(self.name)
        for name, method in methods.items():
            operation = self.operations[name]
            functools.update_wrapper(method, getattr(self._bare, name), updated=())
            method.__qualname__ = f"{self.declared.__name__} proxy, {operation.name}"
            vars(made)[name] = method
        vars(made)[_OWNER] = owner
        return made


_OWNER = "__unimicro_owner__"


def owner_of(proxy: object) -> Any:
    """What ``proxy`` was made by.

    Raises:
        TypeError: It is no proxy.
    """
    owner = getattr(proxy, "__dict__", {}).get(_OWNER)
    if owner is None:
        raise TypeError(f"{proxy!r} is no proxy: get_service and connect make them")
    return owner


def _proxy_class(declared: Any) -> type:
    """A subclass; its objects have no state of the service."""
    try:
        proxy = type(f"{declared.__name__}Proxy", (declared,), {"__module__": declared.__module__})
    except Exception as error:
        raise DefinitionError(
            f"no proxy of {declared.__name__} can be made: a class cannot be derived from it: {error}"
        ) from error
    proxy.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    if hasattr(declared, "__del__"):
        proxy.__del__ = _nothing  # type: ignore[attr-defined]  # there is nothing to release
    return proxy


def _nothing(_: object) -> None:
    pass


def _refuse_the_rest(declared: Any, proxy: type, operations: Container[str]) -> None:
    """Let no method run here that cannot be called there."""
    for kind in declared.__mro__:
        if kind in Service.__mro__:
            continue
        for name, value in vars(kind).items():
            if inspect.isfunction(value) and name not in operations and not name.startswith("__"):
                setattr(proxy, name, _only_there(declared.__name__, name))


def _only_there(interface: str, name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise DefinitionError(f"{interface}.{name} is no entry: it cannot be called from another program")

    return refuse
