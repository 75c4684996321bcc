"""The error tree.

::

    UnimicroError
    ├── ConfigurationError            refused while an app is defined or assembled
    │   ├── DefinitionError           a service, entry or policy that cannot work as written
    │   ├── PluginError               a plugin that is missing, broken or misspelt; names it
    │   └── MissingExtra              an optional dependency is not installed; names the extra
    └── ServiceError                  raised by service code, one class per failure code
        ├── Canceled                  ├── FailedPrecondition   ├── Unavailable
        ├── InvalidArgument           ├── Aborted              ├── Internal
        ├── NotFound                  ├── OutOfRange           ├── DataLoss
        ├── AlreadyExists             ├── ResourceExhausted    ├── Unknown
        ├── Unauthenticated           ├── DeadlineExceeded     └── Unimplemented
        └── PermissionDenied

The text of a ``ServiceError`` and of an error declared with ``@entry(errors=[...])`` is public. Any
other exception becomes ``internal`` at the bottom of the pipeline and keeps its text to the log.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from unimicro.outcome import CODES, Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType

    from unimicro.outcome import Outcome


class UnimicroError(Exception):
    """Root of everything unimicro raises on purpose."""


class ConfigurationError(UnimicroError):
    """The app cannot be assembled as configured."""


class DefinitionError(ConfigurationError):
    """A service, an entry or a policy cannot work as written."""


class PluginError(ConfigurationError):
    """A plugin is missing, broken or misspelt."""


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str, wanted_by: str) -> None:
        super().__init__(
            f"{wanted_by} needs the package {module!r}: install it with pip install 'unimicro[{extra}]'"
        )


class ServiceError(UnimicroError):
    """Raise one of its subclasses in a service to answer with that code; the text is public.

    Args:
        message: Public text.
        details: JSON-able extras, public.
        retry_after: Seconds after which the caller may come back.
    """

    code: ClassVar[Code] = "unknown"

    def __init__(
        self,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.details = details
        self.retry_after = retry_after


class Canceled(ServiceError):
    code = "canceled"


class Unknown(ServiceError):
    code = "unknown"


class InvalidArgument(ServiceError):
    code = "invalid_argument"


class DeadlineExceeded(ServiceError):
    code = "deadline_exceeded"


class NotFound(ServiceError):
    code = "not_found"


class AlreadyExists(ServiceError):
    code = "already_exists"


class PermissionDenied(ServiceError):
    code = "permission_denied"


class ResourceExhausted(ServiceError):
    code = "resource_exhausted"


class FailedPrecondition(ServiceError):
    code = "failed_precondition"


class Aborted(ServiceError):
    code = "aborted"


class OutOfRange(ServiceError):
    code = "out_of_range"


class Unimplemented(ServiceError):
    code = "unimplemented"


class Internal(ServiceError):
    code = "internal"


class Unavailable(ServiceError):
    code = "unavailable"


class DataLoss(ServiceError):
    code = "data_loss"


class Unauthenticated(ServiceError):
    code = "unauthenticated"


def declared_code(error: type[Exception]) -> str:
    """The code of a declared error class: its attribute ``code``, else ``failed_precondition``.

    Raises:
        DefinitionError: ``error`` is no exception class, or its code is none of the sixteen.
    """
    if not (isinstance(error, type) and issubclass(error, Exception)):
        raise DefinitionError(f"errors= takes exception classes, not {error!r}")
    code = getattr(error, "code", "failed_precondition")
    if not isinstance(code, str) or code not in CODES:
        raise DefinitionError(f"{error.__name__}.code is {code!r}; it must be one of {', '.join(CODES)}")
    return str(code)


def expected_failure(error: Exception, declared: Mapping[type[Exception], str]) -> Failure | None:
    """The public failure of a declared error or a ``ServiceError``; ``None`` for any other.

    Args:
        error: What the method raised.
        declared: Declared class to code; a subclass of a declared one counts as that one.
    """
    for kind in type(error).__mro__:
        if kind in declared:
            return Failure(
                declared[kind],
                str(error),
                details=getattr(error, "details", None) or _public_args(error),
                error_type=kind.__name__,
                retry_after=getattr(error, "retry_after", None),
                cause=error,
            )
    if isinstance(error, ServiceError):
        # getattr: a subclass may have its own __init__ and not call this one's.
        details, wait = getattr(error, "details", None), getattr(error, "retry_after", None)
        return Failure(error.code, str(error), details=details, retry_after=wait, cause=error)
    return None


def _public_args(error: Exception) -> dict[str, Any] | None:
    """What a typed client needs to build the declared error again, if it can travel."""
    plain = all(arg is None or isinstance(arg, str | int | float | bool) for arg in error.args)
    return {"args": list(error.args)} if error.args and plain else None


def require(module: str, extra: str, wanted_by: str) -> ModuleType:
    """Import ``module``, or say which extra brings it.

    Raises:
        MissingExtra: ``module`` is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(module, extra, wanted_by) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for a likely misspelling, else the known words."""
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def unwrap(outcome: Outcome[Any], declared: Sequence[type[Exception]] = ()) -> Any:
    """The value of a ``Right``; a ``Left`` raises the declared class it names, or its code's class."""
    failure, is_right = outcome.monoid
    if is_right:
        return outcome.value
    for kind in declared:
        if kind.__name__ == failure.error_type:
            raise _rebuild(kind, failure)
    # Only the classes of this module: a service may derive its own, with the same codes.
    by_code = {kind.code: kind for kind in ServiceError.__subclasses__() if kind.__module__ == __name__}
    raise by_code[failure.code](failure.message, details=failure.details, retry_after=failure.retry_after)


def _rebuild(kind: type[Exception], failure: Failure) -> Exception:
    arguments = (failure.details or {}).get("args")
    if not isinstance(arguments, list):
        arguments = [failure.message]
    # Not kind(*arguments): its own __init__ may take other arguments than those it handed up.
    error = kind.__new__(kind, *arguments)
    if isinstance(error, ServiceError):
        ServiceError.__init__(
            error, failure.message, details=failure.details, retry_after=failure.retry_after
        )
    return error
