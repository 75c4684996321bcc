"""``Try``: an exception becomes the ``Left`` that it would become in an entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from unimicro.errors import DefinitionError, declared_code, expected_failure
from unimicro.functional.arrows import Lifting, as_outcome, name_of
from unimicro.invocation import Invocation, current_invocation
from unimicro.operation import unexpected_failure
from unimicro.options import listed
from unimicro.outcome import Failure, Left, Outcome

__all__ = ["Attempts", "Try", "atry", "tried"]

P = ParamSpec("P")
T = TypeVar("T")
Accept = Callable[[Any], bool | Failure]
_NOWHERE = Invocation("", id="none")


class Attempts:
    """How the calls of one function end.

    Args:
        name: Of the function.
        errors: Exception classes whose text is public; their attribute ``code`` decides, as on an entry.
        accept: Told a result, says whether it is wanted; a failure says why not.

    Raises:
        DefinitionError: One of ``errors`` cannot be declared, or ``accept`` cannot be called.
    """

    __slots__ = ("_accept", "_declared", "_name")

    def __init__(
        self, name: str, errors: Iterable[type[Exception]] = (), accept: Accept | None = None
    ) -> None:
        self._name = name
        self._declared = {error: declared_code(error) for error in listed("errors", errors)}
        if accept is not None and not callable(accept):
            raise DefinitionError(f"accept takes a function of the result, not {accept!r}")
        self._accept = accept

    def succeeded(self, value: Any) -> Outcome[Any]:
        """The outcome of a call that returned ``value``."""
        outcome = as_outcome(value)
        if self._accept is None or not outcome.monoid[1]:
            return outcome
        verdict = self._accept(outcome.value)
        if isinstance(verdict, Failure):
            return Left(verdict)
        if verdict:
            return outcome
        return Left(Failure("failed_precondition", f"the result of {self._name} is not accepted"))

    def raised(self, error: Exception) -> Failure:
        """The failure of a call that raised ``error``; one that was not declared is logged here."""
        try:
            # What a proxy raised is given back as it came, with the stage that refused and all.
            came = getattr(error, "failure", None)
            expected = came if isinstance(came, Failure) else expected_failure(error, self._declared)
        except Exception as broken:
            # Its own text or code cannot be read.
            error, expected = broken, None
        if expected is not None:
            return expected
        served = current_invocation() or _NOWHERE
        return unexpected_failure(error, served._replace(operation=self._name))


class Tried(Lifting):
    """See ``tried``."""

    called = "tried"

    def __init__(self, errors: Iterable[type[Exception]], accept: Accept | None) -> None:
        Attempts("", errors, accept)
        self._settings = (tuple(errors), accept)

    def _lift(self, function: Callable[..., Any]) -> Callable[..., Outcome[Any]]:
        attempts = Attempts(name_of(function), *self._settings)

        def attempt(*args: Any, **kwargs: Any) -> Outcome[Any]:
            try:
                return attempts.succeeded(function(*args, **kwargs))
            except Exception as error:
                return Left(attempts.raised(error))

        return attempt

    def _lift_async(self, function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Outcome[Any]]]:
        attempts = Attempts(name_of(function), *self._settings)

        async def attempt(*args: Any, **kwargs: Any) -> Outcome[Any]:
            try:
                return attempts.succeeded(await function(*args, **kwargs))
            except Exception as error:
                return Left(attempts.raised(error))

        return attempt


def tried(*, errors: Sequence[type[Exception]] = (), accept: Accept | None = None) -> Tried:
    """A decorator, for sync and async functions: ``Try`` at each call.

    Args:
        errors: Exception classes that are public, as on an entry.
        accept: From a result to whether it is wanted, or to the failure that says why not.

    Raises:
        DefinitionError: One of ``errors`` cannot be declared, or ``accept`` cannot be called.
    """
    return Tried(listed("errors", errors), accept)


@overload
def Try(
    function: Callable[..., T],
    /,
    *args: Any,
    errors: Sequence[type[Exception]],
    accept: Callable[[T], bool | Failure] | None = None,
    **kwargs: Any,
) -> Outcome[T]: ...
@overload
def Try(
    function: Callable[..., T], /, *args: Any, accept: Callable[[T], bool | Failure], **kwargs: Any
) -> Outcome[T]: ...
@overload
def Try(function: Callable[P, Outcome[T]], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[T]: ...
@overload
def Try(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[T]: ...
def Try(  # noqa: N802 - as the field names it
    function: Callable[..., Any],
    /,
    *args: Any,
    errors: Any = (),
    accept: Any = None,
    **kwargs: Any,
) -> Outcome[Any]:
    """Call ``function``: ``Right`` of what it returns, ``Left`` of what it raises.

    A ``ServiceError`` and a class of ``errors`` keep their code and text. Any other exception is
    ``internal``: its text goes to the log only, and it is the failure's ``cause``. ``BaseException``
    propagates.

    Args:
        function: A sync one; see ``atry``.
        args: For ``function``.
        kwargs: For ``function`` too.
        errors: Exception classes that are public, as on an entry.
        accept: From the result to whether it is wanted (else ``failed_precondition``), or to a failure.

    Raises:
        DefinitionError: One of ``errors`` cannot be declared, or ``accept`` cannot be called.
    """
    attempts = Attempts(name_of(function), errors, accept)
    try:
        return attempts.succeeded(function(*args, **kwargs))
    except Exception as error:
        return Left(attempts.raised(error))


@overload
async def atry(
    function: Callable[..., Awaitable[T]],
    /,
    *args: Any,
    errors: Sequence[type[Exception]],
    accept: Callable[[T], bool | Failure] | None = None,
    **kwargs: Any,
) -> Outcome[T]: ...
@overload
async def atry(
    function: Callable[..., Awaitable[T]], /, *args: Any, accept: Callable[[T], bool | Failure], **kwargs: Any
) -> Outcome[T]: ...
@overload
async def atry(
    function: Callable[P, Awaitable[Outcome[T]]], /, *args: P.args, **kwargs: P.kwargs
) -> Outcome[T]: ...
@overload
async def atry(function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[T]: ...
async def atry(
    function: Callable[..., Awaitable[Any]],
    /,
    *args: Any,
    errors: Any = (),
    accept: Any = None,
    **kwargs: Any,
) -> Outcome[Any]:
    """``Try`` of an async function; cancellation propagates.

    Raises:
        DefinitionError: As ``Try``.
    """
    attempts = Attempts(name_of(function), errors, accept)
    try:
        return attempts.succeeded(await function(*args, **kwargs))
    except Exception as error:
        return Left(attempts.raised(error))
