"""The one HTTP route table: a trie over path segments, so its speed does not depend on its size.

Static segments beat templates; the verb decides between templates that both fit; one trailing
slash is the same as none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unimicro.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from unimicro.operation import Operation


class Match(NamedTuple):
    """An operation and the values of its path parameters, in template order."""

    operation: Operation
    values: tuple[str, ...]


class _Node:
    __slots__ = ("operations", "parameter", "static")

    def __init__(self) -> None:
        self.static: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.operations: dict[str, Operation] = {}


def split_path(path: str) -> tuple[str, ...]:
    """Segments of an absolute path, still encoded: ``/a/b`` and ``/a/b/`` give ``("a", "b")``."""
    segments = path.split("/")
    if len(segments) > 1 and not segments[-1]:
        del segments[-1]
    if not segments[0]:
        del segments[0]
    return tuple(segments)


def decode_segments(segments: Sequence[str]) -> tuple[str, ...]:
    """Percent-decode each segment, once (RFC 3986 §2.4: after splitting, never before).

    Raises:
        ValueError: The octets are not UTF-8.
    """
    if not any("%" in segment for segment in segments):
        return tuple(segments)
    from urllib.parse import unquote

    return tuple(unquote(segment, errors="strict") for segment in segments)


class RouteTable:
    """Finds the operation of a verb and a path. That no two have both was checked when the app was made."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            if operation.http is not None:
                self._add(operation)

    def _add(self, operation: Operation) -> None:
        assert operation.http is not None
        node = self._root
        for segment in split_path(operation.http.template):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.static.setdefault(segment, _Node())
        node.operations[operation.http.verb] = operation

    def match(self, verb: str, segments: Sequence[str]) -> Match | Failure:
        """The operation for ``verb`` (HEAD falls back to GET), or the 404 or 405 failure."""
        found = self._first_branch(verb, segments) or _find(self._root, verb, segments, 0, ())
        if found is not None:
            return found
        allowed = self.allowed(segments)
        if not allowed:
            return Failure("unimplemented", "no such path", status=404, layer="routing")
        return Failure(
            "unimplemented",
            f"{verb} is not allowed here",
            status=405,
            headers={"Allow": ", ".join(allowed)},
            layer="routing",
        )

    def _first_branch(self, verb: str, segments: Sequence[str]) -> Match | None:
        """What nearly every request wants: the first branch that fits, where it answers ``verb``."""
        node = self._root
        values: tuple[str, ...] = ()
        for segment in segments:
            child = node.static.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    return None
                values = (*values, segment)
            node = child
        operation = node.operations.get(verb)
        return None if operation is None else Match(operation, values)

    def allowed(self, segments: Sequence[str]) -> list[str]:
        """The verbs that a path answers, sorted; empty for an unknown path."""
        verbs: set[str] = set()
        for node, _ in _walk(self._root, segments, 0, ()):
            verbs.update(node.operations)
        if not verbs:
            return []
        if "GET" in verbs:
            verbs.add("HEAD")
        return sorted(verbs | {"OPTIONS"})


def _find(
    node: _Node, verb: str, segments: Sequence[str], index: int, values: tuple[str, ...]
) -> Match | None:
    """The first node of ``_walk`` that answers ``verb``, HEAD from GET."""
    if index == len(segments):
        operation = node.operations.get(verb)
        if operation is None and verb == "HEAD":
            operation = node.operations.get("GET")
        return None if operation is None else Match(operation, values)
    segment = segments[index]
    child = node.static.get(segment)
    if child is not None:
        found = _find(child, verb, segments, index + 1, values)
        if found is not None:
            return found
    if node.parameter is not None and segment:
        return _find(node.parameter, verb, segments, index + 1, (*values, segment))
    return None


def _walk(
    node: _Node, segments: Sequence[str], index: int, values: tuple[str, ...]
) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """Every node that fits the path and has operations, static branches first."""
    if index == len(segments):
        if node.operations:
            yield node, values
        return
    segment = segments[index]
    child = node.static.get(segment)
    if child is not None:
        yield from _walk(child, segments, index + 1, values)
    if node.parameter is not None and segment:
        yield from _walk(node.parameter, segments, index + 1, (*values, segment))
