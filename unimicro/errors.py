"""The error tree.

::

    UnimicroError
    ├── ConfigurationError            refused while an app is defined or assembled
    │   ├── DefinitionError           a service, entry or policy that cannot work as written
    │   ├── PluginError               a plugin that is missing, broken or misspelt; names it
    │   └── MissingExtra              an optional dependency is not installed; names the extra
    └── ServiceError                  raised by service code, one class per failure code
        ├── Canceled                  ├── FailedPrecondition   ├── Unavailable
        ├── InvalidArgument           ├── Aborted              │   └── CommunicationError
        ├── NotFound                  ├── OutOfRange           ├── Internal
        ├── AlreadyExists             ├── ResourceExhausted    ├── DataLoss
        ├── Unauthenticated           ├── DeadlineExceeded     ├── Unknown
        │   └── TokenMissing          ├── Unimplemented        │   └── RemoteError
        └── PermissionDenied
            ├── TokenExpired
            └── TokenInvalid

The text of a ``ServiceError`` and of an error declared with ``@entry(errors=[...])`` is public. Any
other exception becomes ``internal`` at the bottom of the pipeline and keeps its text to the log.

``unwrap`` raises the five indented ones. ``except`` with the class of a code catches every failure of that
code: where a foreign service says ``unauthenticated`` of a token that is expired or invalid, what is raised
is an ``Unauthenticated`` beside its ``TokenExpired`` or ``TokenInvalid``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from unimicro.declared import build, carried, details_of
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
    failure: Failure | None = None
    """What the call came back with, where a proxy or ``unwrap`` raised this."""

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


class CommunicationError(Unavailable):
    """The channel itself failed: the call was never sent, or nothing is known of it."""


class RemoteError(Unknown):
    """A service of another make failed, and said so in text only."""


class TokenMissing(Unauthenticated):
    """The call had no credentials."""


class TokenExpired(PermissionDenied):
    """The token was good once: get a new one and call again."""


class TokenInvalid(PermissionDenied):
    """The token is none that the service accepts."""


class _Expired401(TokenExpired, Unauthenticated):
    code = "unauthenticated"  # type: ignore[assignment] # on purpose the code of the second base


class _Invalid401(TokenInvalid, Unauthenticated):
    code = "unauthenticated"  # type: ignore[assignment] # as above


# Only the classes of this module: a service may derive its own, with the same codes.
_BY_CODE: dict[str, type[ServiceError]] = {kind.code: kind for kind in ServiceError.__subclasses__()}

_OF_TOKENS: dict[tuple[str, object], type[ServiceError]] = {
    ("unauthenticated", "missing"): TokenMissing,
    ("unauthenticated", "expired"): _Expired401,
    ("unauthenticated", "invalid"): _Invalid401,
    ("permission_denied", "expired"): TokenExpired,
    ("permission_denied", "invalid"): TokenInvalid,
}


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


def declared_codes(errors: Iterable[type[Exception]], where: str) -> dict[type[Exception], str]:
    """Class to code of what an operation declares.

    Raises:
        DefinitionError: As ``declared_code``, or two of them have one name, by which callers tell them apart.
    """
    codes = {error: declared_code(error) for error in errors}
    names = [error.__name__ for error in codes]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(
                f"{where}: errors= has two classes named {name!r}, by which callers tell them apart"
            )
    return codes


def expected_failure(error: Exception, declared: Mapping[type[Exception], str]) -> Failure | None:
    """The public failure of a declared error or a ``ServiceError``; ``None`` for any other.

    Args:
        error: What the method raised.
        declared: Declared class to code; a subclass of a declared one counts as that one.
    """
    for kind in type(error).__mro__:
        if kind in declared:
            return _declared_failure(error, kind.__name__, declared[kind])
    if isinstance(error, ServiceError):
        # getattr: a subclass may have its own __init__ and not call this one's.
        details, wait = getattr(error, "details", None), getattr(error, "retry_after", None)
        return Failure(error.code, str(error), details=details, retry_after=wait, cause=error)
    return None


# What the failure of a ServiceError holds already.
_KNOWN = frozenset(("details", "retry_after", "code"))


def _declared_failure(error: Exception, name: str, code: str) -> Failure:
    message, ours = str(error), isinstance(error, ServiceError)
    # Arguments that the reader supplies: others are told of whenever there are any.
    implied = (message,) if ours else None if message else ()
    return Failure(
        code,
        message,
        details=details_of(error, getattr(error, "details", None), _KNOWN if ours else frozenset(), implied),
        error_type=name,
        retry_after=getattr(error, "retry_after", None),
        cause=error,
    )


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
    """The value of a ``Right``; a ``Left`` raises the declared class it names, or its code's class.

    Whatever is raised has the failure as its attribute ``failure``; ``Try`` gives that back.

    Args:
        outcome: Of a call.
        declared: Error classes that the operation declares; told apart by their names.
    """
    failure, is_right = outcome.monoid
    if is_right:
        return outcome.value
    raise exception_of(failure, declared) from failure.cause


def exception_of(failure: Failure, declared: Sequence[type[Exception]] = ()) -> Exception:
    """What ``unwrap`` raises for a failure."""
    error = _rebuilt(failure, declared)
    if error is None:
        error = _class_of(failure)(failure.message, details=failure.details, retry_after=failure.retry_after)
    # Not setattr: a declared class may refuse that, such as a frozen dataclass.
    vars(error)["failure"] = failure
    return error


def _class_of(failure: Failure) -> type[ServiceError]:
    """The class of the code; a more exact one for what was refused before the service was called."""
    code, layer = failure.code, failure.layer
    if layer == "channel" and code in ("unavailable", "unknown"):
        return CommunicationError if code == "unavailable" else RemoteError
    if layer in ("channel", "auth"):
        reason = (failure.details or {}).get("reason", "missing" if code == "unauthenticated" else None)
        if isinstance(reason, str) and (code, reason) in _OF_TOKENS:
            return _OF_TOKENS[code, reason]
    return _BY_CODE[code]


def _rebuilt(failure: Failure, declared: Sequence[type[Exception]]) -> Exception | None:
    """The declared error that the failure names; ``None`` where it names none, or cannot be made."""
    kind = next((kind for kind in declared if kind.__name__ == failure.error_type), None)
    if kind is None:
        return None
    arguments, attributes = carried(failure.details)
    ours = issubclass(kind, ServiceError)
    if arguments is None:
        arguments = [failure.message] if failure.message or ours else []
    if ours:
        attributes.pop("code", None)
    try:
        error = build(kind, arguments, attributes)
    except (TypeError, ValueError):
        return None
    if ours:
        vars(error).setdefault("details", None)
        vars(error)["retry_after"] = failure.retry_after
    return error
