"""Results in msgpack are the same octets' meaning, straight from the objects and by way of plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unimicro.encoding import encode, result_writer


class Color(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)
    weight: float = 1.0
    color: Color | None = None


class Pair(NamedTuple):
    left: int
    right: Decimal


class Opaque:
    pass


ANNOTATIONS: list[Any] = [int, str, bytes, Node, list[Node], Pair, set[int], UUID, Decimal, Color, int | None]
VALUES: list[Any] = [
    0, -1, 2**63, 2**64 - 1, 1.5, float("nan"), "", "ü", Text("own"), b"\x00", True, None,
    [], [1, [2]], (1, 2), {3},
    Decimal("1.50"), UUID(int=7), Color.RED, date(2026, 1, 2), timedelta(seconds=5), Pair(1, Decimal(2)),
    Node("a", [Node("b", color=Color.RED)]), [Node("a")], datetime(2026, 1, 2, tzinfo=UTC),
    b"\xd6\xff\x00\x00",
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), datetime(2026, 1, 2),
    Node(datetime(2026, 1, 2, tzinfo=UTC)), Node("a", [datetime(2500, 1, 2, tzinfo=UTC)]),
    b"\xd7\xff", b"\xc7\x0c\xff", "x" * 70_000, memoryview(b"abc"), bytearray(b"abc"),
]  # fmt: skip


def meaning(octets: bytes) -> Any:
    return repr(msgpack.unpackb(octets, strict_map_key=False))


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_a_result_is_written_alike_whatever_the_annotation_promises(annotation):
    plain, write = encode("msgpack", exact=False), result_writer(annotation, "msgpack")
    for value in VALUES:
        assert meaning(write(value)) == meaning(plain(value)), value


@given(
    st.recursive(
        st.builds(Node, st.text(max_size=5)),
        lambda inner: st.builds(
            Node,
            st.text(max_size=5),
            st.lists(inner, max_size=3),
            st.floats(allow_nan=False),
            st.sampled_from([None, Color.RED]),
        ),
        max_leaves=10,
    )
)
def test_a_tree_is_written_alike(tree):
    assert meaning(result_writer(Node, "msgpack")(tree)) == meaning(encode("msgpack", exact=False)(tree))


@pytest.mark.parametrize("annotation", [Node, Any, int])
@pytest.mark.parametrize("value", [Opaque(), 2**64, "\ud800", [Opaque()], Node(Opaque())])  # type: ignore[arg-type]
def test_what_has_no_wire_form_is_refused_alike(annotation, value):
    for write in (result_writer(annotation, "msgpack"), encode("msgpack", exact=False)):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            write(value)


def test_a_mapping_keeps_its_keys_as_text_also_where_the_annotation_is_wrong():
    assert meaning(result_writer(dict[str, int], "msgpack")({1: 2})) == "{'1': 2}"
