"""Pages of the documentation: their fenced blocks, links and headings, and the parts of example files."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"```(\S*) ?(.*)")
_COMMENT = re.compile(r"<!-- (.*) -->")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        page: Where it stands.
        line: Line of its opening fence, from 1.
        language: First word after the fence.
        flags: The rest of that line, such as ``no-run``.
        comment: Text of the HTML comment on the line above; empty for none.
        text: What is inside, with its last line break.
    """

    page: Path
    line: int
    language: str
    flags: str
    comment: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    blocks, comment, start = [], "", 0
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            if not start:
                start = number
                continue
            language, flags = _FENCE.fullmatch(lines[start - 1]).groups()
            text = "".join(f"{inner}\n" for inner in lines[start : number - 1])
            blocks.append(Block(page, start, language, flags, comment, text))
            comment, start = "", 0
        elif not start and line.strip():
            found = _COMMENT.fullmatch(line)
            comment = found.group(1) if found else ""
    assert not start, f"{page}: the block of line {start} has no end"
    return blocks


def prose_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> list[str]:
    """Targets of the links that stay in the repository."""
    return [link for link in _LINK.findall(prose_of(page)) if "://" not in link]


def anchors_of(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def example_text(comment: str) -> str:
    """The file that ``examples/first.py`` names, or the parts of ``examples/first.py: First.get, app``."""
    name, _, parts = comment.partition(":")
    source = (ROOT / name).read_text()
    return "\n\n".join(_part(source, part.strip()) for part in parts.split(",")) if parts else source


def _part(source: str, name: str) -> str:
    found = ast.parse(source)
    for step in name.split("."):
        found = next(node for node in found.body if getattr(node, "name", None) == step)
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    return dedent("".join(source.splitlines(keepends=True)[first - 1 : found.end_lineno]))
