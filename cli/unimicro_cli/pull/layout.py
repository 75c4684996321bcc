"""Layout of code as ``ruff format`` has it: on one line where that fits, else one member on each line."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

WIDTH = 88
"""Of a line; the default of ruff and black."""
STEP = "    "


def width(line: str) -> int:
    """Columns that a terminal needs for it, as formatters count."""
    if line.isascii():
        return len(line)
    columns = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.combining(c) else columns.get(unicodedata.east_asian_width(c), 1) for c in line
    )


class Group(NamedTuple):
    """Members between brackets, behind a text; a member may be a group itself.

    Attributes:
        head: What stands before the bracket, such as ``@entry`` or ``value: list``.
        brackets: Opening and closing one.
        members: Inside.
        tail: What stands behind, such as `` = None``; a group for a result's type.
        comma: Whether a comma ends the last member where each has a line; not so for one member in square
            brackets, which a comma would make a tuple.
    """

    head: str
    brackets: str
    members: tuple[Code, ...]
    tail: Code = ""
    comma: bool = True


Code = str | Group


def flat(code: Code) -> str:
    """On one line, however long."""
    if isinstance(code, str):
        return code
    inside = ", ".join(map(flat, code.members))
    return f"{code.head}{code.brackets[0]}{inside}{code.brackets[1]}{flat(code.tail)}"


def lines(code: Code, indent: str, after: str = "") -> list[str]:
    """On as many lines as it takes, ``after`` at the end of the last."""
    line = f"{indent}{flat(code)}{after}"
    if width(line) <= WIDTH or isinstance(code, str) or not code.members:
        return [line]
    found = [f"{indent}{code.head}{code.brackets[0]}"]
    for position, member in enumerate(code.members):
        last = position == len(code.members) - 1
        found += lines(member, indent + STEP, "," if code.comma or not last else "")
    close = code.brackets[1]
    tail = (
        f"{close}{code.tail}"
        if isinstance(code.tail, str)
        else code.tail._replace(head=close + code.tail.head)
    )
    return [*found, *lines(tail, indent, after)]


def joined(left: Code, between: str, right: Code) -> Code:
    """One code behind the other."""
    if isinstance(left, Group):
        return left._replace(tail=joined(left.tail, between, right))
    if isinstance(right, Group):
        return right._replace(head=f"{left}{between}{right.head}")
    return f"{left}{between}{right}"


def statement(code: Code, indent: str = "") -> list[str]:
    """The lines of a statement that is best left as it is where it does not fit."""
    line = f"{indent}{flat(code)}"
    return [line if width(line) <= WIDTH else f"{line}  # fmt: skip"]
