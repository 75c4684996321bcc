"""Types of entries as text that another program can read: what JSON Schema loses is kept.

The text is Python's own notation, such as ``dict[int, list[Line]] | None``. Its names are those of ``PLAIN``
and ``COLLECTIONS``, ``Literal``, ``Outcome``, and those of the classes described beside it.
"""

from __future__ import annotations

import re
from collections import abc
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from unimicro.channels.described_classes import describe_class
from unimicro.conversion import is_union, strip_annotated
from unimicro.forms import Upload
from unimicro.outcome import Either, Response

__all__ = ["DescribedTypes"]

PLAIN: dict[Any, str] = {
    kind: kind.__name__
    for kind in (
        *(bool, int, float, str, bytes, bytearray),
        *(datetime, date, time, timedelta, Decimal, UUID, Response, Upload),
    )
} | {None: "None", type(None): "None", Any: "Any", ...: "..."}

COLLECTIONS: dict[Any, tuple[str, int]] = {
    list: ("list", 1),
    set: ("set", 1),
    frozenset: ("frozenset", 1),
    dict: ("dict", 2),
    abc.Collection: ("Collection", 1),
    abc.Sequence: ("Sequence", 1),
    abc.MutableSequence: ("MutableSequence", 1),
    abc.Set: ("Set", 1),
    abc.MutableSet: ("MutableSet", 1),
    abc.Mapping: ("Mapping", 2),
    abc.MutableMapping: ("MutableMapping", 2),
}
"""Name, and how many arguments it takes."""

TAKEN = {*PLAIN.values(), *(name for name, _ in COLLECTIONS.values()), "tuple", "Literal", "Outcome"}


class DescribedTypes:
    """The types of one document.

    Attributes:
        classes: Name to description of the classes that the texts name; two of one name get different ones.
    """

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._open: list[Any] = []
        self.classes: dict[str, dict[str, Any]] = {}

    def text(self, annotation: Any) -> str:
        """The type as text; ``Any`` for what has no wire form."""
        annotation = strip_annotated(annotation)
        if not isinstance(annotation, abc.Hashable):
            return "Any"
        if is_union(annotation):
            return " | ".join(dict.fromkeys(map(self.text, get_args(annotation))))
        if annotation in PLAIN:
            return PLAIN[annotation]
        if hasattr(annotation, "__value__"):
            return self._alias(annotation)
        return self._generic(annotation) or self._class(annotation)

    def _generic(self, annotation: Any) -> str | None:
        """What has brackets; ``None`` for another class."""
        origin, members = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            plain = all(type(value) in (str, int, bool, type(None)) for value in members)
            return f"Literal[{', '.join(map(repr, members))}]" if plain else "Any"
        if origin is Either:
            return f"Outcome[{self.text(members[-1])}]"
        if (origin or annotation) is tuple:
            return f"tuple[{', '.join(map(self.text, members)) or ('()' if origin else 'Any, ...')}]"
        if (origin or annotation) not in COLLECTIONS:
            return None
        name, count = COLLECTIONS[origin or annotation]
        return f"{name}[{', '.join(map(self.text, members or (Any,) * count))}]"

    def _alias(self, alias: Any) -> str:
        """What ``type X = ...`` stands for; one that contains itself cannot be written out."""
        if alias in self._open:
            return "Any"
        self._open.append(alias)
        try:
            return self.text(alias.__value__)
        finally:
            self._open.pop()

    def _class(self, annotation: Any) -> str:
        """The name of a class; it is described when it is first met."""
        if annotation not in self._names:
            kind = get_origin(annotation) or annotation
            if not isinstance(kind, type):
                return "Any"
            if getattr(kind, "__pydantic_root_model__", False):
                return self.text(getattr(kind, "model_fields")["root"].annotation)  # noqa: B009 - no type has it
            name = self._names[annotation] = self._free(_written_name(annotation))
            self.classes[name] = {}  # it may contain itself
            try:
                self.classes[name] = describe_class(annotation, self.text)
            except TypeError:
                del self.classes[name]
                self._names[annotation] = "Any"
        return self._names[annotation]

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self.classes or name in TAKEN:
            number += 1
            name = f"{wanted}{number}"
        return name


def _written_name(annotation: Any) -> str:
    """``Page[Item]`` → ``PageItem``, also of pydantic's own generic classes."""
    arguments = [_written_name(arg) for arg in get_args(annotation)]
    name = getattr(get_origin(annotation) or annotation, "__name__", "")
    return re.sub(r"\W", "", "".join([name, *arguments]))
