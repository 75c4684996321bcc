"""From JSON Schema, as OpenAPI 3.0 and 3.1 have it, to types and classes.

What a schema says beyond types (ranges, patterns, discriminators) is left to the server. Where no type fits
that a client could read, it is ``Any``.
"""

from __future__ import annotations

from typing import Any

from unimicro_cli.pull import type_text
from unimicro_cli.pull.model import ANY, NONE, ClassModel, Default, Field, Type
from unimicro_cli.pull.reading import Node, is_wire_name, made_identifier
from unimicro_cli.pull.unions import union_of

DEEPEST = 40
PREFIX = "#/components/schemas/"
TEXT_FORMATS = {"date-time": "datetime", "date": "date", "time": "time", "uuid": "UUID", "binary": "bytes"}
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Schemas:
    """The schemas of one document.

    Attributes:
        classes: Name to class of what was asked for so far.
    """

    def __init__(self, document: Node) -> None:
        self._components = document.node("components").node("schemas")
        self._of_reference: dict[str, Type] = {}
        self._depth = 0
        self.classes: dict[str, ClassModel] = {}

    def type(self, schema: Any, name: str, *, top: bool = False) -> Type:
        """The type of a schema.

        Args:
            schema: Any JSON value.
            name: For an object that has none.
            top: It is a whole parameter or result, where a union of classes can be read.
        """
        if not isinstance(schema, dict) or self._depth >= DEEPEST:
            return ANY
        self._depth += 1
        try:
            found = self._type(Node(schema, name), name, top)
        finally:
            self._depth -= 1
        return self._union([found, NONE], top) if schema.get("nullable") is True else found

    def _type(self, schema: Node, name: str, top: bool) -> Type:
        if "$ref" in schema:
            return self._reference(schema.text("$ref"))
        if "const" in schema or "enum" in schema:
            values = schema.get("enum", list, [schema.value.get("const")])
            return self._union([_literal(values)], top)
        several = schema.get("anyOf", list, schema.get("oneOf", list, []))
        if several:
            return self._union([self.type(each, name) for each in several], top)
        if "allOf" in schema:
            return self._all_of(schema.get("allOf", list, []), name, top)
        kinds = schema.value.get("type")
        if isinstance(kinds, list):
            return self._union([self._plain(schema, kind, name) for kind in kinds], top)
        return self._plain(schema, "object" if kinds is None and "properties" in schema else kinds, name)

    def _plain(self, schema: Node, kind: Any, name: str) -> Type:
        if kind == "array":
            return self._array(schema, name)
        if kind == "object":
            return self._object(schema, name)
        if kind == "string" and "contentMediaType" in schema:
            return Type("bytes")
        if kind == "string":
            return Type(TEXT_FORMATS.get(str(schema.value.get("format")), "str"))
        return Type(SCALARS[kind]) if isinstance(kind, str) and kind in SCALARS else ANY

    def _array(self, schema: Node, name: str) -> Type:
        first = schema.get("prefixItems", list, [])
        if first and schema.value.get("maxItems") == len(first):
            return Type("tuple", tuple(self.type(member, name) for member in first))
        items = self.type(schema.value.get("items"), name)
        hashable = items.name in ("str", "int", "UUID", "Decimal", "date", "datetime", "Literal")
        return Type("set" if hashable and schema.value.get("uniqueItems") is True else "list", (items,))

    def _object(self, schema: Node, name: str) -> Type:
        if schema.get("properties", dict, {}):
            return self._class(schema, name) if _has_names(schema) else Type("dict", (Type("str"), ANY))
        return Type(
            "dict", (Type("str"), self.type(schema.value.get("additionalProperties"), f"{name}Value"))
        )

    def _union(self, members: list[Type], top: bool) -> Type:
        return union_of(members, self.classes, top=top)

    # -- what has a name -----------------------------------------------------------------------

    def _reference(self, reference: str) -> Type:
        key = reference.removeprefix(PREFIX).replace("~1", "/").replace("~0", "~")
        schema = self._components.value.get(key)
        if not reference.startswith(PREFIX) or not isinstance(schema, dict):
            return ANY
        if key not in self._of_reference:
            self._of_reference[key] = ANY  # of what contains itself and is no class
            node = Node(schema, self._components.place(key))
            if _is_enumeration(schema):
                self._of_reference[key] = self._enumeration(node, key)
            elif schema.get("properties") and "allOf" not in schema and _has_names(node):
                self._class(node, key, key)
            else:
                self._of_reference[key] = self.type(schema, made_identifier(key, "Schema"))
        return self._of_reference[key]

    def _free(self, wanted: str) -> str:
        name, number = made_identifier(wanted, "Schema").lstrip("_"), 1
        found = name
        while found in self.classes or found in RESERVED:
            number += 1
            found = f"{name}{number}"
        return found

    def _class(self, schema: Node, wanted: str, key: str = "") -> Type:
        name = self._free(wanted)
        if key:
            self._of_reference[key] = Type(name)
        self.classes[name] = ClassModel(name, "dataclass")  # it may contain itself
        required = schema.get("required", list, [])
        fields: dict[str, Field] = {}
        for prop, value in schema.get("properties", dict, {}).items():
            field = self._field(prop, value, prop in required, name, set(fields))
            fields[field.name] = field
        self.classes[name] = ClassModel(
            name, "dataclass", schema.get("description", str, ""), tuple(fields.values())
        )
        return Type(name)

    def _field(self, prop: str, schema: Any, required: bool, owner: str, taken: set[str]) -> Field:
        name = wanted = made_identifier(prop, "field")
        number = 1
        while name in taken or name.startswith("__"):
            number += 1
            name = f"{wanted.lstrip('_')}{number}"
        kind = self.type(schema, f"{owner}{wanted[:1].upper()}{wanted[1:]}")
        default = None
        if isinstance(schema, dict) and "default" in schema:
            default = Default(known=True, value=schema["default"])
        elif not required and kind.name in ("list", "dict", "set"):
            default = Default(known=True, factory=kind.name)
        elif not required:
            kind, default = self._union([kind, NONE], top=False), Default(known=True)
        return Field(name, kind, default, keyword=True, wire_name="" if prop == name else prop)

    def _enumeration(self, schema: Node, wanted: str) -> Type:
        name = self._free(wanted)
        members: dict[str, str | int] = {}
        for value in schema.get("enum", list, []):
            member = wanted_member = made_identifier(str(value), "value").strip("_").upper() or "VALUE"
            number = 1
            while member in members or member in ("MRO", "NAME", "VALUE"):
                number += 1
                member = f"{wanted_member}_{number}"
            members[member] = value
        described = schema.get("description", str, "")
        self.classes[name] = ClassModel(name, "enum", described, base="Enum", members=tuple(members.items()))
        return Type(name)

    def _all_of(self, schemas: list[Any], name: str, top: bool) -> Type:
        """One schema with a description beside it; or objects, whose properties are put together."""
        if len(schemas) == 1:
            return self.type(schemas[0], name, top=top)
        merged: dict[str, Any] = {"properties": {}, "required": []}
        for schema in schemas:
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if isinstance(reference, str):
                schema = self._components.value.get(reference.removeprefix(PREFIX))  # noqa: PLW2901 - the same
            if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
                return ANY
            merged["properties"] |= schema["properties"]
            merged["required"] += (
                schema.get("required", []) if isinstance(schema.get("required"), list) else []
            )
        return self._object(Node(merged, name), name)


RESERVED = frozenset((*type_text.SCALARS, *type_text.ARGUMENTS, "tuple", "Literal"))


def _has_names(schema: Node) -> bool:
    return all(map(is_wire_name, schema.get("properties", dict, {})))


def _is_enumeration(schema: dict[str, Any]) -> bool:
    values = schema.get("enum")
    if not isinstance(values, list) or not values:
        return False
    kinds = {type(value) for value in values}
    return kinds in ({str}, {int}) and len(set(values)) == len(values)


def _literal(values: list[Any]) -> Type:
    if not values or any(type(value) not in (str, int, bool, type(None)) for value in values):
        return ANY
    distinct = dict.fromkeys((type(value), value) for value in values)  # True is no 1
    return Type("Literal", values=tuple(value for _, value in distinct))
