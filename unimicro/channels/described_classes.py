"""Classes of parameters and results as JSON-able data, from which another program can write them again."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from unimicro.conversion import strip_annotated
from unimicro.wire import to_plain

__all__ = ["describe_class", "documentation", "plain_default"]

Text = Callable[[Any], str]
"""From an annotation to its text."""

ENUM_BASES = (enum.IntFlag, enum.IntEnum, enum.StrEnum, enum.Flag, str, int, enum.Enum)
FACTORIES = (list, dict, set, frozenset, tuple)


def describe_class(annotation: Any, text: Text) -> dict[str, Any]:
    """Kind and members of a class, also of a generic one with its arguments.

    Raises:
        TypeError: It has no wire form, or a hint of it cannot be resolved.
    """
    kind = get_origin(annotation) or annotation
    parameters = getattr(kind, "__parameters__", ())
    given = dict(zip(parameters, get_args(annotation), strict=False))
    try:
        described = _describer(kind)(kind, lambda hint: text(_filled(hint, given)))
    except (NameError, AttributeError) as error:
        raise TypeError(f"{kind} cannot be described: {error}") from error
    return described | documentation(kind)


def _describer(kind: Any) -> Callable[[Any, Text], dict[str, Any]]:
    if dataclasses.is_dataclass(kind):
        return _dataclass
    if issubclass(kind, enum.Enum):
        return _enumeration
    if hasattr(kind, "model_fields"):
        return _model
    if hasattr(kind, "__struct_config__"):
        return _struct
    if typing.is_typeddict(kind):
        return _typed_dict
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple
    raise TypeError(f"{kind} has no wire form")


def _filled(hint: Any, given: dict[Any, Any]) -> Any:
    """A hint with the arguments of a generic class in the place of its parameters."""
    hint = strip_annotated(hint)
    if isinstance(hint, TypeVar):
        return given.get(hint, Any)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    return hint[tuple(given.get(parameter, Any) for parameter in parameters)] if parameters else hint


def documentation(kind: type) -> dict[str, str]:
    """The class's own docstring; not the one that ``@dataclass`` and ``NamedTuple`` make up."""
    written = vars(kind).get("__doc__")
    if not isinstance(written, str) or not written.strip() or written.startswith(f"{kind.__name__}("):
        return {}
    return {"documentation": inspect.cleandoc(written)}


def _dataclass(kind: Any, text: Text) -> dict[str, Any]:
    """All fields, those of its bases too."""
    hints = get_type_hints(kind, include_extras=True)
    fields = [
        {"name": field.name, "type": text(hints[field.name])}
        | ({"keyword": True} if field.kw_only else {})
        | _default(field.default, field.default_factory, dataclasses.MISSING)
        for field in dataclasses.fields(kind)
    ]
    frozen = {"frozen": True} if kind.__dataclass_params__.frozen else {}
    return {"kind": "dataclass", **frozen, "fields": fields}


def _model(kind: Any, text: Text) -> dict[str, Any]:
    """Fields of a pydantic model, which are given by keyword; their aliases are their names on the wire."""
    fields = []
    for name, field in kind.model_fields.items():
        described = {"name": name, "type": text(field.annotation), "keyword": True}
        if field.alias not in (None, name):
            described["wire_name"] = field.alias
        if field.default_factory is not None:
            described |= _factory(field.default_factory)
        elif not field.is_required():
            described |= plain_default(field.default)
        fields.append(described)
    return {"kind": "dataclass", "fields": fields}


def _struct(kind: Any, text: Text) -> dict[str, Any]:
    """Fields of a ``msgspec.Struct`` that is a plain object on the wire."""
    import msgspec

    config = kind.__struct_config__
    if config.array_like or config.tag is not None:
        raise TypeError(f"{kind} is no plain object on the wire")
    hints = get_type_hints(kind, include_extras=True)
    fields = []
    for field in msgspec.structs.fields(kind):
        described = {"name": field.name, "type": text(hints[field.name])}
        if field.encode_name != field.name:
            described["wire_name"] = field.encode_name
        fields.append(described | _default(field.default, field.default_factory, msgspec.NODEFAULT))
    return {"kind": "dataclass", "fields": fields}


def _typed_dict(kind: Any, text: Text) -> dict[str, Any]:
    fields = []
    if not all(name.isidentifier() for name in kind.__annotations__):
        raise TypeError(f"{kind} has keys that are no names")
    for name, hint in get_type_hints(kind).items():
        required = {} if name in kind.__required_keys__ else {"optional": True}
        fields.append({"name": name, "type": text(hint), **required})
    return {"kind": "typed_dict", "fields": fields}


def _named_tuple(kind: Any, text: Text) -> dict[str, Any]:
    """An array on the wire."""
    hints, defaults = get_type_hints(kind, include_extras=True), kind._field_defaults
    fields = [
        {"name": name, "type": text(hints.get(name, Any))}
        | (plain_default(defaults[name]) if name in defaults else {})
        for name in kind._fields
    ]
    return {"kind": "named_tuple", "fields": fields}


def _enumeration(kind: Any, text: Text) -> dict[str, Any]:  # noqa: ARG001 - as the others
    members = [[name, member.value] for name, member in kind.__members__.items()]
    if not all(type(value) in (str, int) for _, value in members):
        raise TypeError(f"{kind} has values that are neither text nor whole numbers")
    base = next(base for base in ENUM_BASES if issubclass(kind, base))
    return {"kind": "enum", "base": base.__name__, "members": members}


def _default(value: Any, factory: Any, missing: Any) -> dict[str, Any]:
    if value is not missing:
        return plain_default(value)
    return {} if factory is missing else _factory(factory)


def _factory(factory: Any) -> dict[str, Any]:
    """Only the collections: what a function makes is not known without calling it."""
    return {"factory": factory.__name__} if factory in FACTORIES else {"optional": True}


def plain_default(value: Any) -> dict[str, Any]:
    """``{"default": ...}`` in its JSON form; ``{"optional": True}`` for one that text cannot give."""
    if not _is_plain(value):
        return {"optional": True}
    if isinstance(value, set | frozenset):
        return {"default": sorted(to_plain(value), key=repr)}  # so that the text is always the same
    return {"default": to_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, enum.Enum):
        return type(value.value) in (str, int)
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(type(key) is str and _is_plain(member) for key, member in value.items())
    if type(value) is int:
        return abs(value) < 2**63
    if type(value) is float:
        return value - value == 0  # neither infinite nor NaN
    return value is None or type(value) in (bool, str, Decimal, UUID)
