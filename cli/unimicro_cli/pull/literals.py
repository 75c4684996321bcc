"""Values and text as literals of Python: whatever stands in a text, it stays a text."""

from __future__ import annotations

import inspect
import re

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text_literal(text: str) -> str:
    """In double quotes, unless the other ones need fewer escapes, as ``ruff format`` has it."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    written = "".join(map(_escape, text)).replace(quote, f"\\{quote}")
    return f"{quote}{written}{quote}"


def literal(value: str | float | None) -> str:
    """Of None, a boolean, a number or a text."""
    return text_literal(value) if isinstance(value, str) else repr(value).replace("e+", "e")


def docstring(text: str, indent: str) -> list[str]:
    """The lines of a docstring; none for an empty text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    # Twice: without the empty lines at its begin the text has another first line, and another margin.
    cleaned = inspect.cleandoc(inspect.cleandoc(text).strip())
    if not cleaned:
        return []
    first, *rest = [_docstring_line(line) for line in cleaned.split("\n")]
    if not rest:
        return [f'{indent}"""{first}"""']
    return [f'{indent}"""{first}', *(f"{indent}{line}" if line else "" for line in rest), f'{indent}"""']


def _docstring_line(line: str) -> str:
    """Without an end of the docstring in it: quotes that could be part of one are escaped."""
    written = "".join(map(_escape, line.rstrip()))
    return re.sub('^"+|"{3,}|"+$', lambda found: found.group().replace('"', '\\"'), written)


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else ascii(character)[1:-1]
