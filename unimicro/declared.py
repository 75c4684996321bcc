"""What a declared error holds beside its text: its arguments and its attributes, as plain data and back.

Its form in ``Failure.details``, beside details of its own::

    {"args": ["tea", 2], "attributes": {"sku": "tea", "left": 2}}

``args`` are those of the exception, all or none. ``attributes`` are the instance's own, in ``__dict__`` or in
slots, whose names do not begin with ``_``, in the form that JSON has for their values; the annotations of the
class make them typed again. Both are left out where there is nothing to say.

Nothing of the class runs while one is built from a wire, neither ``__init__`` nor ``__new__`` nor a property,
and nothing but such attributes is set.
"""

from __future__ import annotations

import logging
import typing
from collections.abc import Mapping
from math import isfinite
from types import MemberDescriptorType
from typing import Any, ClassVar, get_origin

from unimicro.wire import from_json, to_json, too_deep

__all__ = ["MAX_BYTES", "build", "carried", "details_of"]

log = logging.getLogger("unimicro")

MAX_BYTES = 65_536
"""Of the arguments and the attributes of one error, in JSON; what goes beyond is left out."""
MAX_ATTRIBUTES = 100
MAX_DEPTH = 32
"""Deepest nesting of a value: a reader of the whole answer has its own limit."""

_MEMBERS = ("args", "attributes")
_NEVER = frozenset(("args", "add_note", "with_traceback", "failure"))
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that a program has made
_LONGEST_NAME = 256
_SCALARS = (str, int, float, bool, type(None))


# -- to plain data -----------------------------------------------------------------------------


def details_of(error: Exception, own: object, known: frozenset[str], implied: tuple[Any, ...] | None) -> Any:
    """The details of a declared error's failure.

    Args:
        error: The exception.
        own: What its attribute ``details`` holds; public details only where it is a mapping.
        known: Attributes that the failure holds already.
        implied: Arguments that go without saying; ``None`` to name them whenever there are any.
    """
    details = dict(own) if isinstance(own, Mapping) else {}
    if details:
        known |= {"details"}
    left = [MAX_BYTES]
    found: dict[str, Any] = {}
    arguments = _plain_arguments(error, left)
    if arguments is not None and (tuple(arguments) != implied):
        found["args"] = arguments
    attributes = _plain_attributes(error, known, left)
    if any(member in details for member in _MEMBERS):
        # They would be taken for ours.
        attributes["details"], details = details, {}
    if attributes:
        found["attributes"] = attributes
    return {**details, **found} or None


def _plain_arguments(error: Exception, left: list[int]) -> list[Any] | None:
    try:
        return [_plain(value, left) for value in error.args]
    except (TypeError, ValueError):
        log.debug("the arguments of a %s have no wire form: they stay here", type(error).__name__)
        return None


def _plain_attributes(error: Exception, known: frozenset[str], left: list[int]) -> dict[str, Any]:
    kind, kept = type(error), []
    attributes: dict[str, Any] = {}
    for name, value in _attributes(error):
        if name in known or not _is_public(name) or not _is_attribute(kind, name):
            continue
        try:
            if len(attributes) >= MAX_ATTRIBUTES:
                raise ValueError("too many of them")
            attributes[name] = _plain(value, left)
        except (TypeError, ValueError):
            kept.append(name)
    if kept:
        log.debug("attributes of a %s that stay here: %s", kind.__name__, ", ".join(kept))
    return attributes


def _attributes(error: Exception) -> typing.Iterator[tuple[Any, Any]]:
    """Name and value of what the instance holds itself."""
    yield from vars(error).items()
    for base in type(error).__mro__:
        if "__slots__" in vars(base):
            for name, slot in vars(base).items():
                if isinstance(slot, MemberDescriptorType):
                    try:
                        yield name, slot.__get__(error)
                    except AttributeError:
                        continue  # nothing is in it


def _plain(value: Any, left: list[int]) -> Any:
    """The value as JSON has it; its length is taken from ``left``.

    Raises:
        TypeError, ValueError: It has no such form, or is too large.
    """
    if isinstance(value, str) and len(value) > left[0]:
        raise ValueError("too large")
    plain, length = _scalar(value) if type(value) in _SCALARS else _structure(value)
    if length > left[0]:
        raise ValueError("too large")
    left[0] -= length
    return plain


def _scalar(value: Any) -> tuple[Any, int]:
    """Without msgspec: most errors hold nothing else."""
    if type(value) is str:
        return value, len(value.encode())
    if type(value) is float and not isfinite(value):
        raise ValueError("JSON has no such number")
    if type(value) is int and not -(2**63) <= value < 2**64:
        raise ValueError("msgpack has no such integer")
    return value, 8


def _structure(value: Any) -> tuple[Any, int]:
    octets = to_json(value)
    plain = from_json(octets)
    if too_deep(plain, MAX_DEPTH):
        raise ValueError("nested too deeply")
    import msgspec

    try:
        msgspec.msgpack.encode(plain)
    except OverflowError as error:
        raise ValueError("msgpack has no such integer") from error
    return plain, len(octets)


# -- and back ----------------------------------------------------------------------------------


def carried(details: Mapping[str, Any] | None) -> tuple[list[Any] | None, dict[str, Any]]:
    """Arguments, ``None`` where none came, and attributes; one of them is what else is in ``details``."""
    own = dict(details or ())
    arguments, attributes = (own.pop(member, None) for member in _MEMBERS)
    return (
        arguments if isinstance(arguments, list) else None,
        {**({"details": own} if own else {}), **(attributes if isinstance(attributes, dict) else {})},
    )


def build(kind: type[Exception], arguments: list[Any], attributes: Mapping[str, Any]) -> Exception:
    """An instance of ``kind`` made of wire data.

    An attribute is left out where its class has a method or a property of the name, or annotates it with a
    type that the value does not fit.

    Raises:
        TypeError, ValueError: No such class can be made of these arguments.
    """
    error = _bare(kind, arguments)
    types = _annotations(kind) if attributes else {}
    for name, value in list(attributes.items())[:MAX_ATTRIBUTES]:
        if _is_public(name) and _is_attribute(kind, name):
            try:
                typed = _typed(value, types[name]) if name in types else value
            except (TypeError, ValueError, RecursionError):
                continue
            _set(error, name, typed)
    return error


def _bare(kind: type[Exception], arguments: list[Any]) -> Exception:
    """Without code of a program: the ``__new__`` of the built-in class that it derives from."""
    refused: Exception | None = None
    for base in kind.__mro__:
        if not base.__flags__ & _HEAP_TYPE:
            try:
                # As the interpreter does; the first base that knows the layout makes it.
                return base.__new__(kind, *arguments)
            except (TypeError, ValueError) as error:
                refused = refused or error
    raise refused or TypeError(f"{kind.__name__} cannot be made")


def _set(error: Exception, name: str, value: Any) -> None:
    slot = _class_attribute(type(error), name)
    if isinstance(slot, MemberDescriptorType):
        slot.__set__(error, value)
    else:
        # Not setattr: the class may have one of its own.
        vars(error)[name] = value


def _typed(value: Any, annotation: Any) -> Any:
    if annotation is Any:
        return value
    import msgspec

    return msgspec.convert(value, annotation, strict=True, str_keys=True)


def _annotations(kind: type[Exception]) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(kind)
    except Exception:
        return {}  # they name what only type checkers see
    return {name: hint for name, hint in hints.items() if ClassVar not in (hint, get_origin(hint))}


# -- which attributes --------------------------------------------------------------------------


def _is_public(name: object) -> bool:
    return (
        type(name) is str
        and len(name) <= _LONGEST_NAME
        and name.isidentifier()
        and not name.startswith("_")
        and name not in _NEVER
    )


def _is_attribute(kind: type, name: str) -> bool:
    """Whether an instance holds it as plain data: the class has no method, property or the like there."""
    found = _class_attribute(kind, name)
    if isinstance(found, MemberDescriptorType):
        return _is_slot(kind, name)
    return not callable(found) and not hasattr(type(found), "__get__")


def _is_slot(kind: type, name: str) -> bool:
    return any(name in vars(base) and "__slots__" in vars(base) for base in kind.__mro__)


def _class_attribute(kind: type, name: str) -> Any:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
