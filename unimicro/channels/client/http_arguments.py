"""The arguments of a call as a wire by name carries them: by place as far as possible, the rest by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.conversion import strip_annotated
from unimicro.errors import DefinitionError
from unimicro.forms import Upload
from unimicro.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.operation import Operation

__all__ = ["UNWRITABLE", "Arguments", "check_no_uploads", "refused_arguments", "unsendable"]

UNWRITABLE = (TypeError, ValueError, OverflowError, RecursionError)
"""What encoders raise for a value that they cannot write."""


class Arguments:
    """How the arguments of one operation are placed.

    Servers of other makes know ``args`` only: an argument given by name goes to its place, and defaults fill
    the gaps before it. Only what has no place, or lies behind a gap that nothing fills, goes by name.

    Args:
        operation: Whose.
        encode: Tells by raising whether a default can be sent.
    """

    def __init__(self, operation: Operation, encode: Callable[[Any], bytes]) -> None:
        signature = operation.signature
        positional = [p for p in signature.parameters if p.positional]
        self._places = {p.name: place for place, p in enumerate(positional)}
        self._fillers = [(p.name, p.default, not p.required and _can(encode, p.default)) for p in positional]
        self._required = [p.name for p in signature.parameters if p.required]
        self._by_place = sum(p.required for p in positional)
        self._all_by_place = self._by_place == len(self._required)
        self._names = {p.name for p in signature.parameters}
        self._rest = frozenset(signature.reserved) if signature.takes_rest else None

    def placed(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | Failure:
        """Arguments by place and by name, or the failure that names those that do not fit."""
        if not kwargs and self._all_by_place and self._by_place <= len(args) <= len(self._fillers):
            return args, {}
        problems = self.problems(args, kwargs)
        if problems:
            return refused_arguments(problems)
        return self._filled(args, kwargs)

    def problems(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[dict[str, str]]:
        """What does not fit the signature, one entry per name."""
        found = []
        if len(args) > len(self._fillers):
            text = f"takes at most {len(self._fillers)} positional arguments, got {len(args)}"
            found.append({"name": "args", "message": text})
        by_place = {name for name, _, _ in self._fillers[: len(args)]}
        for name in kwargs:
            if name in by_place:
                found.append({"name": name, "message": "given more than once"})
            elif name not in self._names and (self._rest is None or name in self._rest):
                found.append({"name": name, "message": "unexpected argument"})
        missing = [name for name in self._required if name not in by_place and name not in kwargs]
        return found + [{"name": name, "message": "missing"} for name in missing]

    def _filled(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        last = max((self._places[name] for name in kwargs if name in self._places), default=-1)
        placed, named = list(args), dict(kwargs)
        for name, default, fills in self._fillers[len(args) : last + 1]:
            if name not in named and not fills:
                break
            placed.append(named.pop(name, default))
        return tuple(placed), named


def _can(encode: Callable[[Any], bytes], value: Any) -> bool:
    try:
        encode(value)
    except UNWRITABLE:
        return False
    return True


def refused_arguments(problems: list[dict[str, str]]) -> Failure:
    """The failure of arguments that were not sent."""
    text = "; ".join(f"{problem['name']}: {problem['message']}" for problem in problems)
    return Failure("invalid_argument", text, errors=problems, layer="arguments")


def unsendable(error: Exception) -> Failure:
    """The failure of arguments that an encoder cannot write."""
    return refused_arguments([{"name": "args", "message": f"cannot be sent: {error}"}])


def check_no_uploads(operation: Operation, channel: str) -> None:
    """Files travel in forms only.

    Raises:
        DefinitionError: The operation takes one.
    """
    for parameter in operation.signature.parameters:
        if strip_annotated(parameter.annotation) is Upload:
            raise DefinitionError(
                f"{operation.name}: parameter {parameter.name!r} is a file, which the channel {channel!r}"
                " cannot carry; take bytes as the whole body instead"
            )
