"""Reading JSON that anyone may have written: each member is of the kind it must be, or an error names it."""

from __future__ import annotations

import keyword
import re
import unicodedata
from typing import Any, TypeVar

import click

T = TypeVar("T")

LONGEST_NAME = 100


class BadDescription(click.ClickException):
    """The description cannot be trusted or understood."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"the description is wrong at {where[:300]!r}: {why}")


class Node:
    """A JSON object at a place of the document.

    Args:
        value: Any JSON value.
        where: Of the document; for errors.

    Raises:
        BadDescription: ``value`` is no object.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise BadDescription(where or "the top", f"expected an object, got {json_name(value)}")
        self.value: dict[str, Any] = value
        self.where = where

    def __contains__(self, name: str) -> bool:
        return name in self.value

    def place(self, name: str) -> str:
        """Where the member ``name`` is."""
        return f"{self.where}.{name}" if self.where else name

    def get(self, name: str, kind: type[T], default: T) -> T:
        """A member of the given kind; ``default`` where it is left out or null.

        Raises:
            BadDescription: It is of another kind.
        """
        found = self.value.get(name)
        if found is None:
            return default
        if type(found) is not kind:
            expected = {dict: "an object", list: "an array", str: "text", bool: "true or false"}[kind]
            raise BadDescription(self.place(name), f"expected {expected}, got {json_name(found)}")
        return found

    def text(self, name: str) -> str:
        """A text that must be there.

        Raises:
            BadDescription: It is not.
        """
        if name not in self.value:
            raise BadDescription(self.place(name), "it is missing")
        return self.get(name, str, "")

    def node(self, name: str) -> Node:
        """An object; empty where it is left out."""
        return Node(self.get(name, dict, {}), self.place(name))

    def nodes(self, name: str) -> list[Node]:
        """An array of objects; empty where it is left out."""
        found = self.get(name, list, [])
        return [Node(value, f"{self.place(name)}[{index}]") for index, value in enumerate(found)]

    def items(self) -> list[tuple[str, Node]]:
        """The members, all of them objects."""
        return [(name, Node(value, self.place(name))) for name, value in self.value.items()]

    def name(self, member: str) -> str:
        """A text that is a name in Python."""
        return identifier(self.text(member), self.place(member))


def json_name(value: Any) -> str:
    """The kind of a JSON value as JSON calls it."""
    kinds = {"NoneType": "null", "dict": "an object", "list": "an array", "str": "text", "bool": "a boolean"}
    return kinds.get(type(value).__name__, "a number")


def identifier(text: str, where: str) -> str:
    """``text`` as Python reads it as a name (PEP 3131: NFKC).

    Raises:
        BadDescription: It is no name, a keyword, or one with a meaning to Python itself.
    """
    name = unicodedata.normalize("NFKC", text)
    if len(name) > LONGEST_NAME or not name.isidentifier() or keyword.iskeyword(name):
        raise BadDescription(where, f"{text[:LONGEST_NAME]!r} is no name in Python")
    if name.startswith("__"):
        raise BadDescription(where, f"{name!r}: names that begin with two underscores are Python's own")
    return name


def is_wire_name(text: str) -> bool:
    """Whether a field of a class can have the name in JSON; msgspec writes it without escapes."""
    return bool(text) and text.isprintable() and not set(text) & set('"\\')


def made_identifier(text: str, otherwise: str) -> str:
    """A name made of any text: ``item-id`` → ``item_id``, ``class`` → ``class_``."""
    words = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", text))[:LONGEST_NAME].strip("_") or otherwise
    name = words if not words[0].isdigit() else f"{otherwise}_{words}"
    if not name.isidentifier():
        return otherwise
    return f"{name}_" if keyword.iskeyword(name) else name
