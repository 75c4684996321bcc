"""Makes components, services and checks, and gives their constructors what the type hints name."""

from __future__ import annotations

import inspect
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from unimicro.component import IMPLEMENTATION, abstract_methods
from unimicro.conversion import strip_annotated, type_name
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["Container", "implementation_of", "required_implementation"]

_NOTHING = object()


class Container:
    """One object of each type, made when it is first wanted.

    A type is looked for among what was given, among what was made so far, and then as an implementation;
    an interface of a service that this app does not have becomes a proxy.

    Args:
        given: Type to an object of it, or to what makes one: a class or a function, whose own parameters are
            filled likewise.
        served: Interfaces that this app has; other services are not made.
        remote: Makes a proxy of an interface, or ``None`` where nothing says where it is served.

    Raises:
        DefinitionError: A key is no type, or its value neither of the type nor what makes one.
    """

    def __init__(
        self,
        given: Mapping[Any, Any],
        served: Sequence[type] = (),
        remote: Callable[[type[Service]], Any] = lambda _: None,
    ) -> None:
        for kind, value in given.items():
            if not isinstance(kind, type):
                raise DefinitionError(f"provide: {kind!r} is no type")
            if not (_is_instance(value, kind) or _is_maker(value)):
                raise DefinitionError(f"provide: {value!r} is no {kind.__name__}, nor does it make one")
        self._given = given
        self._served = served
        self._remote = remote
        self._made: dict[type, Any] = {}
        self._kept: list[object] = []
        self._making: list[tuple[Any, str]] = []

    def keep(self, thing: object) -> None:
        """Have an object that was made elsewhere."""
        self._kept.append(thing)

    def make(self, kind: type) -> Any:
        """The object of a class, its constructor's parameters filled.

        Raises:
            ConfigurationError: A parameter cannot be filled, or to make the object it takes itself; the text
                names class and parameter.
        """
        if kind not in self._made:
            self._made[kind] = self._called(kind, f"{kind.__name__}.__init__")
        return self._made[kind]

    def _called(self, maker: Callable[..., Any], where: str) -> Any:
        under_way = [known is maker for known, _ in self._making]
        if any(under_way):
            circle = [name for _, name in self._making[under_way.index(True) :]]
            raise DefinitionError(f"{where} needs itself: {' → '.join([*circle, where])}")
        self._making.append((maker, where))
        try:
            positional, named = self._arguments(maker, where)
        finally:
            self._making.pop()
        return maker(*positional, **named)

    def _arguments(self, maker: Callable[..., Any], where: str) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter, hint in _parameters(maker, where):
            value = self._argument(parameter, hint, f"{where}: parameter {parameter.name!r}")
            if value is not _NOTHING:
                if parameter.kind is parameter.POSITIONAL_ONLY:
                    positional.append(value)
                else:
                    named[parameter.name] = value
        return positional, named

    def _argument(self, parameter: inspect.Parameter, hint: Any, what: str) -> Any:
        has_default = parameter.default is not parameter.empty
        if hint is parameter.empty:
            if has_default:
                return _NOTHING
            raise DefinitionError(f"{what} has no type hint, so nothing can be given for it")
        kind, may_be_none = _wanted(hint)
        found = self._find(kind, what) if isinstance(kind, type) else _NOTHING
        if found is not _NOTHING or has_default:
            return found
        if may_be_none:
            return None
        raise ConfigurationError(f"{what}: {self._lack(kind)}")

    def _find(self, kind: type, what: str) -> Any:
        if kind in self._given:
            return self._from_given(kind)
        if kind.__module__ == "builtins":
            return _NOTHING  # text and numbers: no one object of theirs is meant
        present = [thing for thing in (*self._kept, *self._made.values()) if _derives(type(thing), kind)]
        if len(present) > 1:
            raise DefinitionError(f"{what}: the app has {len(present)} objects that are a {kind.__name__}")
        if present:
            return present[0]
        if issubclass(kind, Service) and not self._serves(kind):
            proxy = self._remote(kind)
            return _NOTHING if proxy is None else proxy
        found = implementation_of(kind, what)
        return _NOTHING if found is None else self.make(found)

    def _serves(self, kind: type) -> bool:
        return any(_derives(interface, kind) or _derives(kind, interface) for interface in self._served)

    def _from_given(self, kind: type) -> Any:
        value = self._given[kind]
        if _is_instance(value, kind):
            return value
        if kind not in self._made:
            name = getattr(value, "__name__", repr(value))
            made = self._called(value, f"{name}.__init__" if isinstance(value, type) else f"{name}()")
            if not _is_instance(made, kind):
                raise ConfigurationError(f"provide: {name} made {made!r}, which is no {kind.__name__}")
            self._made[kind] = made
        return self._made[kind]

    def _lack(self, kind: Any) -> str:
        if kind is Any or not isinstance(kind, type):
            return f"{type_name(kind)} names no one class, so nothing can be given for it"
        name = kind.__name__
        if issubclass(kind, Service):
            return (
                f"no component of this app has {name}, and nothing says where it is: add its component,"
                " give a registry, or say [clients.<service>] address"
            )
        return f"nothing provides {name}; give it with App(provide={{{name}: ...}})"


def implementation_of(kind: type, what: str = "") -> type | None:
    """The class to make where ``kind`` is wanted: the only one marked ``@implementation`` that was imported.

    A service or a component without one, and without abstract methods, is its own. A class that was defined
    again under its name takes the place of the former one.

    Raises:
        DefinitionError: There are several.
    """
    marked = {(found.__module__, found.__qualname__): found for found in _marked(kind)}
    if len(marked) > 1:
        names = " and ".join(f"{found.__module__}.{found.__qualname__}" for found in marked.values())
        prefix = f"{what}: " if what else ""
        raise DefinitionError(f"{prefix}{kind.__name__} has several implementations: {names}; import one")
    return next(iter(marked.values()), None)


def _marked(kind: type) -> Iterator[type]:
    if IMPLEMENTATION in vars(kind):
        yield kind
    derived: type
    for derived in type.__subclasses__(kind):
        yield from _marked(derived)


def required_implementation(kind: type) -> type:
    """``implementation_of`` a service or a component that is booted; one that is not abstract is its own.

    Raises:
        DefinitionError: There is none, or there are several.
    """
    found = implementation_of(kind)
    if found is not None:
        return found
    missing = abstract_methods(kind)
    if missing:
        raise DefinitionError(
            f"{kind.__name__} has no implementation (it lacks {', '.join(missing)}): decorate one with"
            " @implementation() and import its module"
        )
    return kind


def _parameters(maker: Callable[..., Any], where: str) -> Iterator[tuple[inspect.Parameter, Any]]:
    """Parameters to fill, with their hints; those of ``Service`` itself have their defaults."""
    if inspect.iscoroutinefunction(maker):
        raise DefinitionError(f"{where}: what makes an object cannot be async")
    function = _hinted(maker)
    if function is Service.__init__:
        return
    try:
        signature = inspect.signature(maker)
        hints = get_type_hints(function, include_extras=True) if signature.parameters else {}
    except (ValueError, TypeError) as error:
        raise DefinitionError(f"{where}: its parameters cannot be read: {error}") from error
    except NameError as error:
        raise DefinitionError(
            f"{where}: its type hints name {error.name!r}, which its module does not know at run time: import"
            " it outside of TYPE_CHECKING and of functions"
        ) from error
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield parameter, hints.get(parameter.name, parameter.empty)


def _hinted(maker: Callable[..., Any]) -> Callable[..., Any]:
    """The function that has the hints of ``maker``."""
    if isinstance(maker, partial):
        return maker.func
    if isinstance(maker, type):
        constructors = (vars(base).get(name) for base in maker.__mro__ for name in ("__init__", "__new__"))
        functions = (getattr(found, "__func__", found) for found in constructors)  # __new__ is a staticmethod
        return next(filter(inspect.isfunction, functions), maker)
    return maker


def _wanted(hint: Any) -> tuple[Any, bool]:
    """The type that a hint names, and whether ``None`` would do; ``Any`` and unions of several name none."""
    hint = strip_annotated(hint)
    members = get_args(hint)
    if NoneType in members:
        others = [member for member in members if member is not NoneType]
        return (strip_annotated(others[0]) if len(others) == 1 else hint), True
    return hint, False


def _is_maker(value: Any) -> bool:
    return isinstance(value, type | partial) or inspect.isroutine(value)


def _is_instance(value: Any, kind: type) -> bool:
    if isinstance(value, type) and not issubclass(kind, type):
        return False  # to a protocol that is tested at run time a class has its methods, too
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that cannot be tested at run time
        return not _is_maker(value)


def _derives(kind: type, base: type) -> bool:
    try:
        return issubclass(kind, base)
    except TypeError:
        return base in kind.__mro__  # as above
