"""Unions that a reader of plain data can tell apart, as msgspec demands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from unimicro_cli.pull.model import ANY, UNION, Type
from unimicro_cli.pull.type_text import ARRAYS, OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unimicro_cli.pull.model import ClassModel, Model


def union_of(members: Sequence[Type], classes: Mapping[str, ClassModel], *, top: bool) -> Type:
    """The union of types; several that look the same on the wire become one that covers them.

    Args:
        members: Any types.
        classes: Of the description.
        top: Several classes may stand side by side.
    """
    given = [inner for member in members for inner in _members(member)]
    if ANY in given or not given:
        return ANY
    kinds = {member: _kind(member, classes) for member in given}
    found: dict[Type, None] = {}
    for member, kind in kinds.items():
        alike = [each for each in kinds if kinds[each] == kind]
        if len(alike) == 1 or (kind == "object" and top and "dict" not in [each.name for each in alike]):
            found[member] = None
        elif kind == "object":
            return ANY
        else:
            found[_covering(kind)] = None
    return next(iter(found)) if len(found) == 1 else Type(UNION, tuple(found))


def _members(kind: Type) -> tuple[Type, ...]:
    """Of a union; a ``Literal`` of several kinds is one too."""
    if kind.name == UNION:
        return kind.arguments
    if kind.name == "Literal":
        by_kind: dict[type, list[object]] = {}
        for value in kind.values:
            by_kind.setdefault(type(value), []).append(value)
        return tuple(
            Type("None")
            if key is type(None)
            else Type("bool")
            if key is bool
            else Type("Literal", values=tuple(values))
            for key, values in by_kind.items()
        )
    return (kind,)


def without_unreadable_unions(model: Model) -> Model:
    """With ``Any`` for unions of classes of which one has other names on the wire: no reader takes those."""

    def readable(kind: Type) -> Type:
        classes = [model.classes[member.name] for member in kind.arguments if member.name in model.classes]
        objects = [each for each in classes if each.kind != "enum"]
        renamed = any(field.wire_name not in ("", field.name) for each in objects for field in each.fields)
        return ANY if kind.name == UNION and len(objects) > 1 and renamed else kind

    services = [
        replace(
            service,
            operations=tuple(
                replace(
                    operation,
                    returns=readable(operation.returns),
                    parameters=tuple(p._replace(type=readable(p.type)) for p in operation.parameters),
                )
                for operation in service.operations
            ),
        )
        for service in model.services
    ]
    return replace(model, services=tuple(services))


def _kind(member: Type, classes: Mapping[str, ClassModel]) -> str:
    if member.name == "Literal":
        return "text" if isinstance(member.values[0], str) else "whole number"
    if member.name in classes:
        model = classes[member.name]
        if model.kind != "enum":
            return "object"
        return "text" if isinstance(model.members[0][1], str) else "whole number"
    if member.name in OF_TEXT:
        return "text"
    if member.name == "tuple" or member.name in ARRAYS:
        return "array"
    return {"dict": "object", "int": "whole number"}.get(member.name, member.name)


def _covering(kind: str) -> Type:
    return {"text": Type("str"), "whole number": Type("int"), "array": Type("list", (ANY,))}[kind]
