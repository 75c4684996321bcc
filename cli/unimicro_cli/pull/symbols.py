"""Names of a module that is written: imported ones, its own classes, and where one would hide another."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ORIGINS: dict[str, str] = {
    name: module
    for module, names in {
        "abc": "ABC abstractmethod",
        "collections.abc": "Collection Mapping MutableMapping MutableSequence MutableSet Sequence Set",
        "dataclasses": "dataclass field",
        "datetime": "date datetime time timedelta",
        "decimal": "Decimal",
        "enum": "Enum Flag IntEnum IntFlag StrEnum",
        "typing": "Annotated Any Literal NamedTuple NotRequired TypedDict Union",
        "unimicro": "Body Header Outcome Path Query Response Service Upload entry",
        "unimicro.component": "service",
        "uuid": "UUID",
    }.items()
    for name in names.split()
}
"""Name to the module that it is imported from, of all that a written module may need."""


class Symbols:
    """Gives out names, and remembers what must be imported for them.

    Args:
        errors_used: Names of ``unimicro.errors`` that the module needs.
    """

    def __init__(self, errors_used: Iterable[str] = ()) -> None:
        self._origins = ORIGINS | dict.fromkeys(errors_used, "unimicro.errors")
        self._taken = {*self._origins, *dir(builtins), "annotations", "msgspec"}
        self._imported: dict[str, set[tuple[str, str]]] = {}
        self._own: dict[tuple[str, str], str] = {}
        self.aliases: dict[str, str] = {}
        self.uses_msgspec = False

    def define(self, kind: str, key: str, wanted: str) -> str:
        """A free name for what the module defines; ``kind`` and ``key`` find it again."""
        name, number = wanted, 1
        while name in self._taken or name.startswith("_"):
            number += 1
            name = f"{wanted.lstrip('_') or kind}{number}"
        self._taken.add(name)
        self._own[kind, key] = name
        return name

    def own(self, kind: str, key: str) -> str:
        """The name that ``define`` gave."""
        return self._own[kind, key]

    def use(self, name: str, hidden: Iterable[str] = ()) -> str:
        """The name under which something can be used in a class whose members are ``hidden``.

        A member hides a name of the module that is the same, also in annotations: ``date: date | None``.
        Then the name is imported, or given anew, with underscores before it.
        """
        own = self._own.get(("class", name))
        if own is not None:
            return self.visible(own, hidden)
        alias = _unlike(name, hidden)
        if name in self._origins or alias != name:
            self._imported.setdefault(self._origins.get(name, "builtins"), set()).add((name, alias))
        return alias

    def visible(self, own: str, hidden: Iterable[str]) -> str:
        """The same for the name of something that the module defines."""
        alias = _unlike(own, hidden)
        if alias != own:
            self.aliases[alias] = own
        return alias

    def imports(self) -> list[tuple[str, list[str]]]:
        """Module and the names from it, sorted as ``ruff`` sorts them."""
        return [
            (module, [name if name == alias else f"{name} as {alias}" for name, alias in sorted(names)])
            for module, names in sorted(self._imported.items())
        ]


def _unlike(name: str, hidden: Iterable[str]) -> str:
    while name in hidden:
        name = f"_{name}"
    return name
