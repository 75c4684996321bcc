"""Types and default values as code of the written module."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from unimicro_cli.pull.layout import Code, Group, flat
from unimicro_cli.pull.literals import literal, text_literal
from unimicro_cli.pull.model import UNION, Type
from unimicro_cli.pull.type_text import ARRAYS, MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from unimicro_cli.pull.model import ClassModel
    from unimicro_cli.pull.symbols import Symbols

LONGEST_UNION = 60


class Annotations:
    """Writes types and values inside one class.

    Args:
        symbols: Of the module.
        classes: Of the description.
        hidden: Names of the class's own members.
    """

    def __init__(
        self, symbols: Symbols, classes: Mapping[str, ClassModel], hidden: Collection[str] = ()
    ) -> None:
        self._symbols = symbols
        self._classes = classes
        self._hidden = hidden

    def name(self, name: str) -> str:
        """A name of the module, as it can be used inside the class."""
        return self._symbols.use(name, self._hidden)

    def visible(self, own: str) -> str:
        """The same for a class that is not in the description's ``classes``."""
        return self._symbols.visible(own, self._hidden)

    def type(self, kind: Type) -> Code:
        """A type."""
        if kind.name == UNION:
            return self._union([self.type(member) for member in kind.arguments])
        if kind.name == "Literal":
            return self._brackets("Literal", [literal(value) for value in kind.values])
        if kind.name == "tuple":
            return self._brackets("tuple", [self.type(member) for member in kind.arguments] or ["()"])
        if kind.arguments:
            return self._brackets(kind.name, [self.type(member) for member in kind.arguments])
        return kind.name if kind.name in ("None", "...") else self.name(kind.name)

    def _brackets(self, name: str, members: list[Code]) -> Group:
        return Group(self.name(name), "[]", tuple(members), comma=len(members) > 1)

    def _union(self, members: list[Code]) -> Code:
        """With bars; a long one in brackets, which can be broken into lines."""
        barred = " | ".join(map(flat, members))
        return barred if len(barred) <= LONGEST_UNION else self._brackets("Union", members)

    # -- values --------------------------------------------------------------------------------

    def value(self, kind: Type, value: Any) -> str | None:
        """An expression for a default of the type, from its JSON form; ``None`` where there is none."""
        members = kind.arguments if kind.name == UNION else (kind,)
        written = (self._value(member, value) for member in members)
        return next((text for text in written if text is not None), None)

    def _value(self, kind: Type, value: Any) -> str | None:
        if kind.name == "Literal":
            found = [each for each in kind.values if each == value and type(each) is type(value)]
            return literal(found[0]) if found else None
        if kind.name in self._classes:
            return self._member(kind.name, value)
        if kind.name == "Any":
            kind = Type(_OF_JSON.get(type(value), ""), (Type("Any"),) * 2)
        if type(value) in _SCALARS.get(kind.name, ()):
            return literal(value)
        if kind.name in _FROM_TEXT and isinstance(value, str):
            return self._from_text(kind.name, value)
        if isinstance(value, list) and (kind.name == "tuple" or kind.name in ARRAYS):
            return self._array(kind, value)
        return self._mapping(kind, value) if isinstance(value, dict) and kind.name in MAPPINGS else None

    def _member(self, enumeration: str, value: Any) -> str | None:
        members = self._classes[enumeration].members
        found = [name for name, each in members if each == value and type(each) is type(value)]
        return f"{self.name(enumeration)}.{found[0]}" if found else None

    def _from_text(self, name: str, value: str) -> str | None:
        try:
            _FROM_TEXT[name](value)
        except (ValueError, InvalidOperation):
            return None
        return f"{self.name(name)}({text_literal(value)})"

    def _array(self, kind: Type, values: list[Any]) -> str | None:
        inner = kind.arguments[0] if kind.arguments else Type("Any")
        kinds = [inner] * len(values)
        if kind.name == "tuple" and kind.arguments[1:] != (Type("..."),):
            if len(kind.arguments) != len(values):
                return None
            kinds = list(kind.arguments)
        written = [self.value(each, value) for each, value in zip(kinds, values, strict=True)]
        if None in written:
            return None
        text = ", ".join(filter(None, written))
        if kind.name in ("tuple", "Sequence", "Collection"):
            return f"({text},)" if len(values) == 1 else f"({text})"
        if kind.name in ("set", "MutableSet"):
            return f"{{{text}}}" if values else f"{self.name('set')}()"
        if kind.name in ("frozenset", "Set"):
            return f"{self.name('frozenset')}({f'{{{text}}}' if values else ''})"
        return f"[{text}]"

    def _mapping(self, kind: Type, value: dict[str, Any]) -> str | None:
        key, inner = kind.arguments
        pairs = [(self.value(key, name), self.value(inner, each)) for name, each in value.items()]
        if any(None in pair for pair in pairs):
            return None
        return f"{{{', '.join(f'{name}: {each}' for name, each in pairs)}}}"


_OF_JSON = {kind: kind.__name__ for kind in (bool, int, float, str, list, dict)} | {type(None): "None"}
_SCALARS: dict[str, tuple[type, ...]] = {
    "None": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {"Decimal": Decimal, "UUID": UUID}
MUTABLE = ("[", "{", "set(")
"""How expressions begin whose value must be made anew for each object."""
