"""What a description says, read and checked: from here on nothing in it is a stranger's text unchecked.

All names are identifiers of Python and no keywords. Documentation, paths, wire names and default values are
any text: they are written as literals only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

UNION = "|"


class Type(NamedTuple):
    """A type of a parameter, a result or a field.

    Attributes:
        name: ``UNION``, ``Literal``, a name that ``unimicro_cli.pull.type_text`` knows, or a class of the
            description.
        arguments: Types in brackets, or members of the union.
        values: Of a ``Literal``.
    """

    name: str
    arguments: tuple[Type, ...] = ()
    values: tuple[Any, ...] = ()


ANY = Type("Any")
NONE = Type("None")


class Default(NamedTuple):
    """What stands for an argument that is left out.

    Attributes:
        known: Whether the description says it.
        value: In its JSON form.
        factory: Name of a collection that is made anew, instead of a value.
    """

    known: bool = False
    value: Any = None
    factory: str = ""


class Field(NamedTuple):
    """A field of a class."""

    name: str
    type: Type
    default: Default | None = None
    keyword: bool = False
    wire_name: str = ""


@dataclass(frozen=True)
class ClassModel:
    """A class of parameters and results."""

    name: str
    kind: Literal["dataclass", "typed_dict", "named_tuple", "enum"]
    documentation: str = ""
    fields: tuple[Field, ...] = ()
    frozen: bool = False
    base: str = "Enum"
    members: tuple[tuple[str, str | int], ...] = ()


class ErrorModel(NamedTuple):
    """A declared error.

    Attributes:
        name: Under which it travels.
        code: Of its failures.
        of: ``builtins`` or ``unimicro.errors`` where the class is there already.
        service_error: It is derived from ``unimicro.errors.ServiceError``.
        documentation: Its docstring.
        attributes: Typed attributes that travel with it.
    """

    name: str
    code: str
    of: str = ""
    service_error: bool = False
    documentation: str = ""
    attributes: tuple[Field, ...] = ()


class ParameterModel(NamedTuple):
    """A parameter of an operation; ``source`` is one of ``unimicro.signature``."""

    name: str
    type: Type
    kind: str = "keyword"
    source: str = "body"
    wire_name: str = ""
    default: Default | None = None


@dataclass(frozen=True)
class OperationModel:
    """An entry; ``options`` are keywords of ``@entry`` with plain values."""

    name: str
    verb: str
    path: str
    is_async: bool = False
    parameters: tuple[ParameterModel, ...] = ()
    takes_rest: bool = False
    returns: Type = ANY
    options: dict[str, Any] = field(default_factory=dict)
    errors: tuple[ErrorModel, ...] = ()
    documentation: str = ""


@dataclass(frozen=True)
class ServiceModel:
    """A service; ``class_name`` is the wish for the class."""

    name: str
    class_name: str
    operations: tuple[OperationModel, ...]
    component: str = ""
    documentation: str = ""


@dataclass(frozen=True)
class Model:
    """A whole description; ``left_out`` says which operations cannot be written, and why."""

    services: tuple[ServiceModel, ...]
    classes: dict[str, ClassModel]
    left_out: tuple[str, ...] = ()
