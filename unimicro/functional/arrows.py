"""Functions that answer with an ``Outcome``, and how to make them of others."""

# The narrower overload comes first and wins.
# mypy: disable-error-code="overload-overlap"

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar, overload

from unimicro.errors import DefinitionError
from unimicro.outcome import Either, Failure, Outcome, Right

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Lifting", "as_outcome", "is_async", "name_of", "require_function"]

P = ParamSpec("P")
T = TypeVar("T")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call must be awaited. Of an object that is called, its method tells."""
    if inspect.iscoroutinefunction(function):
        return True
    is_object = not hasattr(function, "__name__") and not isinstance(function, partial)
    return is_object and inspect.iscoroutinefunction(type(function).__call__)


def name_of(function: Callable[..., Any]) -> str:
    """What failures and the log call it."""
    if isinstance(function, partial):
        return name_of(function.func)
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def require_function(given: object, wanted_by: str) -> None:
    """Check that it can be called and is no generator, of which a call does nothing.

    Raises:
        DefinitionError: Naming who wanted it.
    """
    if not callable(given):
        raise DefinitionError(f"{wanted_by} takes a function, not {given!r}")
    if inspect.isgeneratorfunction(given) or inspect.isasyncgenfunction(given):
        raise DefinitionError(
            f"{wanted_by}: {name_of(given)} is a generator; only a pipeline of an app runs one"
        )


def as_outcome(value: Any) -> Outcome[Any]:
    """``Right(value)``, or ``value`` itself if it is an ``Outcome`` already.

    Raises:
        TypeError: It is a ``Left`` of something else than a failure, or a coroutine.
    """
    if isinstance(value, Either):
        if not value.monoid[1] and not isinstance(value.monoid[0], Failure):
            raise TypeError(f"a Left holds a Failure, not a {type(value.monoid[0]).__name__}")
        return value
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("a function that is not async returned a coroutine")
    return Right(value)


class Lifting(ABC):
    """Makes of a function one of the same colour, sync or async, that answers with an ``Outcome``.

    An ``Outcome`` that it answers with already stays as it is.
    """

    called: ClassVar[str]
    """What an error calls it."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, Outcome[T]]], /
    ) -> Callable[P, Coroutine[Any, Any, Outcome[T]]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Callable[P, Coroutine[Any, Any, Outcome[T]]]: ...
    @overload
    def __call__(self, function: Callable[P, Outcome[T]], /) -> Callable[P, Outcome[T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Callable[P, Outcome[T]]: ...
    def __call__(self, function: Callable[..., Any], /) -> Callable[..., Any]:
        require_function(function, self.called)
        lifted = self._lift_async(function) if is_async(function) else self._lift(function)
        update_wrapper(lifted, function)
        _annotate(lifted)
        return lifted

    @abstractmethod
    def _lift(self, function: Callable[..., Any]) -> Callable[..., Outcome[Any]]: ...

    @abstractmethod
    def _lift_async(
        self, function: Callable[..., Any]
    ) -> Callable[..., Coroutine[Any, Any, Outcome[Any]]]: ...


def _annotate(lifted: Callable[..., Any]) -> None:
    """Say in the hints too that it returns an ``Outcome``: they are what an entry goes by."""
    try:
        hints = dict(lifted.__annotations__)
    except NameError:
        return  # of a class that is not defined yet; read when it is needed (Python 3.14)
    generic: Any = Outcome
    if "return" in hints:
        lifted.__annotations__ = hints | {"return": generic[hints["return"]]}
