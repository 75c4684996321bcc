"""From a document with the extension ``x-unimicro`` to the model; see ``unimicro.channels.description``."""

from __future__ import annotations

import builtins
import re
from typing import Any

from unimicro import errors
from unimicro.errors import DefinitionError
from unimicro.outcome import CODES
from unimicro.service import Service
from unimicro.signature import template_names
from unimicro_cli.pull.model import (
    ClassModel,
    Default,
    ErrorModel,
    Field,
    Model,
    OperationModel,
    ParameterModel,
    ServiceModel,
)
from unimicro_cli.pull.reading import BadDescription, Node, identifier, is_wire_name
from unimicro_cli.pull.type_text import ARGUMENTS, SCALARS, TypeReader

EXTENSION = "x-unimicro"
FORMAT = 1
VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
KINDS = ("positional only", "positional", "keyword")
SOURCES = ("path", "query", "header", "body", "whole body")
CLASS_KINDS = ("dataclass", "typed_dict", "named_tuple", "enum")
ENUM_BASES = ("IntFlag", "IntEnum", "StrEnum", "Flag", "str", "int", "Enum")
FACTORIES = ("list", "dict", "set", "frozenset", "tuple")


def read_described(document: Node) -> Model:
    """The model of a document that has the extension.

    Raises:
        BadDescription: A member is not what it must be.
    """
    top = document.node(EXTENSION)
    if top.value.get("format") != FORMAT:
        raise BadDescription(top.place("format"), f"this version of unimicro reads format {FORMAT} only")
    described = top.node("classes").items()
    kinds = {_class_name(name, node): node.get("kind", str, "") for name, node in described}
    types = TypeReader(kinds)
    classes = {_class_name(name, node): _class(name, node, types) for name, node in described}
    operations: dict[str, list[OperationModel]] = {}
    for path, item in document.node("paths").items():
        for verb in VERBS:
            if isinstance(item.value.get(verb), dict) and EXTENSION in item.value[verb]:
                service, operation = _operation(verb, path, item.node(verb).node(EXTENSION), types)
                operations.setdefault(service, []).append(operation)
    told = top.node("services")
    return Model(tuple(_service(name, told.node(name), found) for name, found in operations.items()), classes)


def _service(name: str, node: Node, operations: list[OperationModel]) -> ServiceModel:
    component = node.get("component", str, name)
    for given, what in ((name, "service"), (component, "component")):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", given):
            raise BadDescription(node.where, f"{given[:100]!r} is no name of a {what}")
    names = [operation.name for operation in operations]
    if len(set(names)) < len(names):
        raise BadDescription(node.where, "two operations have the same name")
    return ServiceModel(
        name,
        node.name("class"),
        tuple(operations),
        component if component != name else "",
        node.get("documentation", str, ""),
    )


def _class_name(name: str, node: Node) -> str:
    name = identifier(name, node.where)
    if name in SCALARS or name in ARGUMENTS or name in ("tuple", "Literal"):
        raise BadDescription(node.where, f"{name!r} is another type already")
    return name


def _class(name: str, node: Node, types: TypeReader) -> ClassModel:
    kind: Any = _one_of(node, "kind", CLASS_KINDS)
    fields = tuple(_field(field, types) for field in node.nodes("fields"))
    _refuse_twice(node, [field.name for field in fields])
    _refuse_twice(node, [field.wire_name or field.name for field in fields])
    if kind == "named_tuple":
        _check_members(node, fields)
    base = _one_of(node, "base", ENUM_BASES) if kind == "enum" else ""
    members = _members(node, base) if kind == "enum" else ()
    return ClassModel(
        _class_name(name, node),
        kind,
        node.get("documentation", str, ""),
        fields,
        node.get("frozen", bool, False),
        base,
        members,
    )


def _check_members(node: Node, fields: tuple[Field, ...]) -> None:
    required = [field.default is None for field in fields]
    if required != sorted(required, reverse=True) or any(field.name.startswith("_") for field in fields):
        raise BadDescription(node.place("fields"), "no named tuple of Python can have them")


def _members(node: Node, base: str) -> tuple[tuple[str, str | int], ...]:
    kinds = {"Enum": (str, int), "str": (str,), "StrEnum": (str,)}.get(base, (int,))
    members = []
    for pair in node.get("members", list, []):
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[1]) not in kinds:
            raise BadDescription(node.place("members"), f"a member of {base} is a name and a value that fits")
        name = identifier(str(pair[0]), node.place("members"))
        if name.startswith("_") or name == "mro":
            raise BadDescription(node.place("members"), f"{name!r} cannot be a member of an enumeration")
        members.append((name, pair[1]))
    _refuse_twice(node, [name for name, _ in members])
    if not members:
        raise BadDescription(node.place("members"), "there are none")
    return tuple(members)


def _field(node: Node, types: TypeReader) -> Field:
    wire_name = node.get("wire_name", str, "")
    if wire_name and not is_wire_name(wire_name):
        raise BadDescription(node.place("wire_name"), "a name in JSON with characters that need an escape")
    return Field(
        node.name("name"),
        types.read(node.text("type"), node.place("type")),
        _default(node),
        node.get("keyword", bool, False),
        wire_name,
    )


def _default(node: Node) -> Default | None:
    if "default" in node:
        return Default(known=True, value=node.value["default"])
    if "factory" in node:
        return Default(known=True, factory=_one_of(node, "factory", FACTORIES))
    return Default() if node.get("optional", bool, False) else None


def _operation(verb: str, path: str, node: Node, types: TypeReader) -> tuple[str, OperationModel]:
    service, _, method = node.text("operation").rpartition(".")
    method = identifier(method, node.place("operation"))
    if hasattr(Service, method):
        raise BadDescription(node.place("operation"), f"{method!r} is a method of every service")
    parameters = tuple(_parameter(parameter, types) for parameter in node.nodes("parameters"))
    names = [parameter.name for parameter in parameters]
    _refuse_twice(node, [*names, "self"])
    _check_order(node, parameters)
    in_path = sorted(parameter.name for parameter in parameters if parameter.source == "path")
    if not path.startswith("/") or set(path) & set("%?#") or _template_names(path, node) != in_path:
        raise BadDescription(node.where, f"the path {path[:200]!r} and its parameters disagree")
    return service, OperationModel(
        method,
        verb.upper(),
        path,
        node.get("async", bool, False),
        parameters,
        node.get("takes_rest", bool, False),
        types.read(node.text("returns"), node.place("returns")),
        _options(node, names),
        tuple(_error(error, types) for error in node.nodes("errors")),
        node.get("documentation", str, ""),
    )


def _template_names(path: str, node: Node) -> list[str]:
    try:
        return sorted(template_names(path, "the path"))
    except DefinitionError as error:
        raise BadDescription(node.where, f"{error}"[:300]) from None


def _check_order(node: Node, parameters: tuple[ParameterModel, ...]) -> None:
    kinds = [KINDS.index(parameter.kind) for parameter in parameters]
    positional = [parameter.default is None for parameter in parameters if parameter.kind != "keyword"]
    if kinds != sorted(kinds) or positional != sorted(positional, reverse=True):
        raise BadDescription(node.place("parameters"), "no function of Python can have them in this order")


def _options(node: Node, parameters: list[str]) -> dict[str, Any]:
    """The options that a client heeds, in the order in which they are written."""
    options: dict[str, Any] = {name: node.get(name, bool, False) for name in ("safe", "idempotent", "binary")}
    options |= {name: node.get(name, str, "") for name in ("key", "content_type")}
    options["sensitive"] = node.get("sensitive", list, [])
    for name in (*options["sensitive"], *([options["key"]] if options["key"] else [])):
        if name not in parameters:
            raise BadDescription(node.where, f"{str(name)[:100]!r} is no parameter of the operation")
    return {name: value for name, value in options.items() if value}


def _parameter(node: Node, types: TypeReader) -> ParameterModel:
    parameter = ParameterModel(
        node.name("name"),
        types.read(node.text("type"), node.place("type")),
        _one_of(node, "kind", KINDS),
        _one_of(node, "in", SOURCES),
        node.get("wire_name", str, ""),
        _default(node),
    )
    if parameter.source == "header" and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", parameter.wire_name):
        raise BadDescription(node.place("wire_name"), "that is no name of a header field (RFC 9110 §5.1)")
    if parameter.source == "body" and parameter.wire_name not in ("", parameter.name):
        raise BadDescription(node.place("wire_name"), "a member of a body has the name of its parameter")
    return parameter


def _error(node: Node, types: TypeReader) -> ErrorModel:
    error = ErrorModel(
        node.name("name"),
        _one_of(node, "code", tuple(CODES)),
        node.get("of", str, ""),
        node.get("service_error", bool, False),
        node.get("documentation", str, ""),
        tuple(
            Field(attribute.name("name"), types.read(attribute.text("type"), attribute.place("type")))
            for attribute in node.nodes("attributes")
        ),
    )
    if error.of:
        known: Any = {"builtins": builtins, "unimicro.errors": errors}.get(error.of)
        kind = getattr(known, error.name, None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise BadDescription(node.where, f"{error.of[:100]} has no error {error.name!r}")
    _refuse_twice(node, [attribute.name for attribute in error.attributes])
    return error


def _one_of(node: Node, member: str, known: tuple[str, ...]) -> str:
    text = node.text(member)
    if text not in known:
        raise BadDescription(node.place(member), f"{text[:100]!r} is none of {', '.join(known)}")
    return text


def _refuse_twice(node: Node, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise BadDescription(node.where, "a name stands twice in it")
