"""From the text of a type to the type: Python's grammar, of which only names, brackets, bars and literals."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Any

from unimicro_cli.pull.model import UNION, Type
from unimicro_cli.pull.reading import BadDescription

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 10_000
DEEPEST = 40

OF_TEXT = ("str", "bytes", "bytearray", "datetime", "date", "time", "timedelta", "Decimal", "UUID")
ARRAYS = ("list", "set", "frozenset", "Collection", "Sequence", "MutableSequence", "Set", "MutableSet")
MAPPINGS = ("dict", "Mapping", "MutableMapping")
SCALARS = frozenset(("Any", "None", "bool", "int", "float", *OF_TEXT, "Response", "Upload"))
ARGUMENTS = {"Outcome": 1, **dict.fromkeys(ARRAYS, 1), **dict.fromkeys(MAPPINGS, 2)}
"""Name to how many arguments it takes."""


class TypeReader:
    """Reads the types of one description.

    Args:
        classes: Name to kind of the classes that the description has.
    """

    def __init__(self, classes: Mapping[str, str]) -> None:
        self._classes = classes

    def read(self, text: str, where: str) -> Type:
        """The type.

        Raises:
            BadDescription: The text is none, or names what the description does not have.
        """
        try:
            return self._type(_parsed(text), text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            shown = text if len(text) < 200 else f"{text[:200]}..."
            raise BadDescription(where, f"{shown!r} is no type that can be written") from None

    def _type(self, node: ast.expr, text: str) -> Type:
        if isinstance(node, ast.BinOp):
            return self._union(node, text)
        if isinstance(node, ast.Constant) and node.value is None:
            return Type("None")
        if isinstance(node, ast.Name):
            if node.id in SCALARS or node.id in self._classes:
                return Type(node.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._subscript(node.value.id, node.slice, text)
        raise ValueError(text)

    def _union(self, node: ast.expr, text: str) -> Type:
        members: list[Type] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            members.insert(0, self._type(node.right, text))
            node = node.left
        members.insert(0, self._type(node, text))
        return Type(UNION, tuple(dict.fromkeys(members)))

    def _subscript(self, name: str, inside: ast.expr, text: str) -> Type:
        given = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if name == "Literal":
            return Type("Literal", values=tuple(_literal(value) for value in given))
        if name == "tuple":
            return Type(
                "tuple",
                tuple(self._tuple_member(node, position, text) for position, node in enumerate(given)),
            )
        if len(given) != ARGUMENTS.get(name):
            raise ValueError(text)
        return Type(name, tuple(self._type(node, text) for node in given))

    def _tuple_member(self, node: ast.expr, position: int, text: str) -> Type:
        if isinstance(node, ast.Constant) and node.value is ...:
            if position != 1:
                raise ValueError(text)
            return Type("...")
        return self._type(node, text)


def _literal(node: ast.expr) -> Any:
    value = ast.literal_eval(node)
    if value is not None and type(value) not in (bool, int, str):
        raise ValueError(value)
    return value


def _parsed(text: str) -> ast.expr:
    depth = deepest = 0
    for character in text:
        depth += (character in "[(") - (character in "])")
        deepest = max(deepest, depth)
    if len(text) > LONGEST or deepest > DEEPEST:
        raise ValueError(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the grammar, such as an escape that is none
        return ast.parse(text, mode="eval").body
