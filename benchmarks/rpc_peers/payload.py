"""The value that every peer sends and gets back: about 1 KB of JSON."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Node:
    """A tree."""

    name: str
    weight: float
    tags: list[str]
    children: list[Node] = field(default_factory=list)


def tree() -> Node:
    """A root, three children, nine grandchildren."""

    def leaf(number: int) -> Node:
        return Node(f"leaf number {number}", number * 1.5, ["a", "b"])

    def branch(number: int) -> Node:
        return Node(f"branch {number}", number + 0.5, ["branch"], [leaf(3 * number + n) for n in range(3)])

    return Node("the root of the tree", 0.25, ["root", "benchmark"], [branch(n) for n in range(3)])
