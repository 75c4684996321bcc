"""Encoded arguments come out of the short way as they come out of the long one, whatever the octets are."""

# ruff: noqa: E501 - tables of values
from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal  # noqa: TC003 - the hints are read
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID  # noqa: TC003 - as above

import msgpack
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unimicro import App, Failure, Service, Upload, entry
from unimicro.binder import Binder
from unimicro.call_reader import encoded_call, read_call
from unimicro.invocation import CallPayload, EncodedCall, Invocation
from unimicro.outcome import Left
from unimicro.plain import plain_reader


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    quantity: int = 1


@dataclass
class Strict:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")
        if self.low == 13:
            raise KeyError("unlucky")


class Place(NamedTuple):
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    depth: int
    name: str


class Model(pydantic.BaseModel):
    size: int
    anything: Any = None


class Takes(Service):
    @entry
    def integer(self, value: int) -> None: ...
    @entry
    def number(self, value: float) -> None: ...
    @entry
    def text(self, value: str) -> None: ...
    @entry
    def boolean(self, value: bool) -> None: ...
    @entry
    def octets(self, value: bytes) -> None: ...
    @entry
    def amount(self, value: Decimal) -> None: ...
    @entry
    def identity(self, value: UUID) -> None: ...
    @entry
    def moment(self, value: datetime) -> None: ...
    @entry
    def day(self, value: date, at: time = time(0), lasting: timedelta = timedelta(0)) -> None: ...
    @entry
    def color(self, value: Color, size: Size = Size.SMALL) -> None: ...
    @entry
    def literal(self, value: Literal["a", "b", 3]) -> None: ...
    @entry
    def optional(self, value: int | None = None) -> None: ...
    @entry
    def union(self, value: int | str | list[int]) -> None: ...
    @entry
    def numeric(self, value: float) -> None: ...
    @entry
    def either(self, value: Line | Node) -> None: ...
    @entry
    def numbers(self, value: list[int]) -> None: ...
    @entry
    def unique(self, value: set[int]) -> None: ...
    @entry
    def frozen(self, value: frozenset[str]) -> None: ...
    @entry
    def pair(self, value: tuple[int, str], rest: tuple[float, ...] = ()) -> None: ...
    @entry
    def mapping(self, value: dict[str, int]) -> None: ...
    @entry
    def numbered(self, value: dict[int, str]) -> None: ...
    @entry
    def tree(self, value: Node) -> None: ...
    @entry
    def lines(self, value: list[Line], note: str | None = None) -> None: ...
    @entry
    def strict(self, value: Strict) -> None: ...
    @entry
    def place(self, value: Place) -> None: ...
    @entry
    def choices(self, value: Options) -> None: ...
    @entry
    def model(self, value: Model) -> None: ...
    @entry
    def anything(self, value: Any) -> None: ...
    @entry
    def plain(self, value: dict[str, Any]) -> None: ...
    @entry
    def several(self, value: int, second: str = "x", *, third: Line | None = None) -> None: ...
    @entry
    def named(self, *, value: int, café: str = "") -> None: ...  # noqa: PLC2401
    @entry
    def rest(self, value: int = 0, **others: Any) -> None: ...
    @entry
    def first(self, value: int, /, second: int = 2) -> None: ...
    @entry
    def injected(self, invocation: Invocation, value: int = 1) -> None: ...
    @entry
    def file(self, value: Upload) -> None: ...
    @entry
    def nothing(self) -> None: ...


APP = App(Takes())
METHODS = sorted(APP.operations)
FORMS = ["json", "msgpack"]

FITTING: list[Any] = [
    0, 5, 13, -1, 2**53, 2**63 - 1, 2**63, 2**64, 2**70, 1.0, 1.5, -0.0, 1e22, True, False, None, "", "a", "red", "ü🦆",
    "5", "1.50", "0b0a57c5-f013-426a-81a1-f8ffbfba21f0", "2026-02-03", "04:05:06", "PT5S", "aGk=",
    "2026-02-03T04:05:06Z", "2026-02-03T04:05:06", [], [1, 2, 2], [1, "a"], ["a", "b"], [1.5, 2], {}, {"a": 1},
    {"7": "a"}, {"name": "a"}, {"name": "a", "children": [{"name": "b", "weight": 2}]}, {"sku": "a"},
    {"sku": "a", "quantity": 2, "other": [1]}, [{"sku": "a"}, {"sku": "b"}], {"low": 1, "high": 2},
    {"low": 2, "high": 1}, {"low": 13, "high": 20}, {"size": 1}, {"size": 1, "anything": {"a": [1]}}, {"depth": 2},
    {"depth": 2, "name": "x", "more": None}, ["file.txt", "text/plain", "aGk="],
]  # fmt: skip

only_in_msgpack = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([float("nan"), float("inf")]),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
    st.builds(msgpack.Timestamp, st.integers(-(2**62), 2**62), st.integers(0, 10**9 - 1)),
    st.just(datetime(2026, 2, 3, tzinfo=UTC)),
)
text = st.text(st.characters(codec="utf-8"), max_size=6)
common = st.one_of(
    st.sampled_from(FITTING), st.integers(), st.floats(allow_nan=False, allow_infinity=False), text
)


def plain_data(leaves: Any) -> Any:
    names = st.sampled_from(
        ["name", "children", "sku", "low", "high", "size", "a", "value", "x", "weight", "quantity"]
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | text, inner, max_size=3),
        max_leaves=8,
    )


VALUES = {
    "json": st.sampled_from(FITTING) | plain_data(common),
    "msgpack": st.sampled_from(FITTING) | plain_data(common | only_in_msgpack),
}
NAMES = st.sampled_from(
    ["value", "second", "third", "café", "others", "self", "invocation", "", "note", "size"]
)


def pack(form: str, value: Any) -> bytes:
    if form == "json":
        return json.dumps(value, ensure_ascii=len(str(value)) % 2 == 0).encode()
    return msgpack.packb(value, datetime=True, default=str)


def bound_by(binder: Binder, payload: EncodedCall | CallPayload) -> Any:
    try:
        found = binder.guard(Invocation("takes.x", payload))
    except Exception as error:
        # Of a class of the service: the pipeline makes `internal` of it.
        return type(error).__name__
    if isinstance(found, Invocation):
        return found.arguments
    return found.monoid[0] if isinstance(found, Left(None).__class__) else found


def the_long_way(method: str, payload: EncodedCall) -> Any:
    operation = APP.operations[method]
    slow = Binder(operation.signature)
    slow._quick = {"json": None, "msgpack": None}
    return bound_by(slow, payload)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Failure):
        return isinstance(other, Failure) and one == other
    return repr(typed(one)) == repr(typed(other))


def typed(value: Any) -> Any:
    """With the types of everything inside, and what counts not of the order of names."""
    if isinstance(value, dict):
        return type(value), sorted(((repr(name), typed(each)) for name, each in value.items()))
    if isinstance(value, list | tuple):
        return type(value), [typed(each) for each in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, value))
    # The instance's own attributes: a field that was not given is one of them too.
    return type(value), repr(value), sorted(getattr(value, "__dict__", ()))


def as_it_was(form: str, args: bytes, kwargs: bytes, method: str) -> Any:
    """All of it as plain data in one go, before anything is known of the operation."""
    read = plain_reader(form)
    envelope = {"json": b'{"args":%b,"kwargs":%b}', "msgpack": b"\x82\xa4args%b\xa6kwargs%b"}[form]
    try:
        payload = read_call(read(envelope % (args, kwargs or pack(form, {}))))
    except ValueError:
        return "malformed"
    return (
        payload
        if isinstance(payload, Failure)
        else bound_by(Binder(APP.operations[method].signature), payload)
    )


SKIPPING = {"takes.tree", "takes.lines", "takes.several", "takes.strict", "takes.choices", "takes.model"}
"""Members that their types do not have are not read on the short way: what is wrong with them goes unnoticed."""


def assert_alike(method: str, found: Any, slow: Any) -> None:
    unnoticed = method in SKIPPING and isinstance(slow, Failure) and slow.status == 400
    assert same(found, slow) or (unnoticed and isinstance(found, dict)), (method, found, slow)


def check(method: str, form: str, args: bytes, kwargs: bytes) -> Any:
    payload = encoded_call(args, kwargs, form)
    if isinstance(payload, Failure):
        return payload
    found = bound_by(APP.operations[method].binder, payload)
    slow = the_long_way(method, payload)
    assert_alike(method, found, slow)
    before = as_it_was(form, args, kwargs, method)
    if before == "malformed":
        assert isinstance(slow, Failure)
        assert slow.status == 400
        assert not slow.errors
    else:
        assert same(slow, before), (method, slow, before)
    return found


UNHURRIED = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("form", FORMS)
@UNHURRIED
@given(data=st.data(), method=st.sampled_from(METHODS))
def test_both_ways_end_alike(form, data, method):
    values = VALUES[form]
    args = data.draw(st.lists(values, max_size=2))
    kwargs = data.draw(st.dictionaries(NAMES, values, max_size=2))
    check(method, form, pack(form, args), pack(form, kwargs))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_both_ways_end_alike_for_each_value_of_each_type(form, method):
    for value in FITTING:
        check(method, form, pack(form, [value]), pack(form, {}))
        check(method, form, pack(form, []), pack(form, {"value": value}))


@pytest.mark.parametrize("form", FORMS)
@UNHURRIED
@given(
    method=st.sampled_from(METHODS),
    value=st.sampled_from(FITTING),
    place=st.floats(0, 1),
    octets=st.binary(min_size=0, max_size=3),
    cut=st.integers(0, 3),
)
def test_both_ways_end_alike_for_broken_octets(form, method, value, place, octets, cut):
    args = pack(form, [value])
    at = int(place * len(args))
    broken = args[:at] + octets + args[at + cut :]
    if broken:
        check_one(method, form, broken)


def check_one(method: str, form: str, args: bytes) -> None:
    """As ``check``, for octets of which the whole may be well-formed and the part not."""
    payload = encoded_call(args, b"", form)
    if not isinstance(payload, Failure):
        found, slow = bound_by(APP.operations[method].binder, payload), the_long_way(method, payload)
        assert_alike(method, found, slow)


HARD_JSON = [
    b"[1e400]", b"[1E5]", b"[1.10]", b"[0.1000000000000000055]", b"[-0]", b"[-0.0]", b"[NaN]", b"[01]", b"[1,]",
    b"[1] ", b" [ 1 ] ", b'["\xff"]', b'["\\ud800"]', b'["\\ud83e\\udd86"]', b'[{"name":"a","name":"b"}]',
    b'[{"name":1,"name":"b"}]', b'[{"name":"a","children":null}]', b"[123456789012345678901234567890]",
    b"[1.0]", b"[9007199254740993.0]", b'["\\u0000"]', b'[{"sku":"a","quantity":1.0}]', b'[{"7":"a","07":"b"}]',
    b'[{"1":"a","1":"b"}]', b"[[1.0,2]]", b"[true]", b'[{"":1}]', b'["1.0"]', b'["nan"]', b'["Infinity"]',
]  # fmt: skip
HARD_MSGPACK = [
    b"\x91\xca\x3f\x80\x00\x00",  # float 32
    b"\x91\xcf" + b"\xff" * 8, b"\x91\xd3" + b"\x80" + b"\x00" * 7, b"\x91\xc4\x01a", b"\x91\xd9\x01a", b"\x91\xa1\xff",
    b"\x91\xd6\xff\x00\x00\x00\x01", b"\x91\xd7\xff" + b"\xff" * 8, b"\x91\xc7\x0c\xff" + b"\x00" * 12, b"\x91\xd4\x05a",
    b"\x91\x81\xa4name\xd6\xff\x00\x00\x00\x01", b"\x91\x81\x91\x01\x02", b"\x91\x81\x80\x02", b"\x91\x81\x01\xa1a",
    b"\x91\x82\xa4name\xa1a\xa4name\xa1b", b"\x91\x82\xa4name\x01\xa4name\xa1b", b"\x91\xc1", b"\x91", b"\x92\x01",
    b"\x91\x01\x02", b"\x91\xcb\x7f\xf8" + b"\x00" * 6, b"\xdc\x00\x01\x05", b"\xdd\x00\x00\x00\x01\x05",
    b"\x91\xc4\x10" + bytes(16), b"\x91\xcb\x40\x14" + b"\x00" * 6, b"\x91\xdd\xff\xff\xff\xff", b"\x91\x81\xc0\x01",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_both_ways_end_alike_for_hard_cases(method):
    for form, cases in (("json", HARD_JSON), ("msgpack", HARD_MSGPACK)):
        for args in cases:
            check_one(method, form, args)


def nested(depth: int, form: str, *, tree: bool = False) -> bytes:
    value: Any = {"name": "leaf"} if tree else 1
    for _ in range(depth):
        value = {"name": "x", "children": [value]} if tree else [value]
    return pack(form, [value])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("method", "tree", "most"),
    [("takes.anything", False, 98), ("takes.plain", False, 0), ("takes.tree", True, 48)],
)
def test_both_ways_have_the_same_limit_of_nesting(form, method, tree, most):
    for depth in (most - 1, most, most + 1, 200):
        if depth < 0:
            continue
        found = check(method, form, nested(depth, form, tree=tree), b"")
        if method != "takes.plain":
            assert isinstance(found, Failure) == (depth > most), depth


@pytest.mark.parametrize("form", FORMS)
def test_what_nests_without_end_is_refused(form):
    octets = {"json": b"[" * 50_000 + b"]" * 50_000, "msgpack": b"\x91" * 50_000 + b"\x01"}[form]
    for method in ("takes.anything", "takes.tree", "takes.numbers"):
        found = bound_by(APP.operations[method].binder, encoded_call(octets, b"", form))
        assert isinstance(found, Failure)
        assert found.status == 400


@pytest.mark.parametrize("form", FORMS)
def test_a_wide_tree_is_no_deep_one(form):
    tree = {"name": "root", "children": [{"name": str(n), "children": []} for n in range(500)]}
    found = check("takes.tree", form, pack(form, [tree]), b"")
    assert len(found["value"].children) == 500


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("takes.several", [1], {"second": "b"}),
        ("takes.several", [1, "a"], {"third": {"sku": "x"}}),
        ("takes.several", [], {"value": 1}),
        ("takes.several", [1], {"value": 1}),
        ("takes.several", [1, "a", None], {}),
        ("takes.several", [], {}),
        ("takes.several", [1], {"wrong": 1}),
        ("takes.named", [], {"value": 1, "café": "ü"}),
        ("takes.named", [1], {}),
        ("takes.rest", [1], {"a": 1, "b": [2]}),
        ("takes.rest", [], {"self": 1}),
        ("takes.first", [1], {"second": 3}),
        ("takes.first", [], {"value": 1}),
        ("takes.injected", [], {"invocation": 1}),
        ("takes.injected", [2], {}),
        ("takes.nothing", [], {}),
        ("takes.nothing", [1], {}),
        ("takes.nothing", [], {"a": 1}),
    ],
)
def test_positional_and_named_arguments_mix_as_ever(form, method, args, kwargs):
    check(method, form, pack(form, args), pack(form, kwargs))


def test_names_that_are_no_text_are_refused():
    payload = encoded_call(b"\x90", msgpack.packb({1: 2}), "msgpack")
    failure = bound_by(APP.operations["takes.rest"].binder, payload)
    assert failure.errors == [{"name": "kwargs", "message": "expected an object"}]


@pytest.mark.parametrize("form", FORMS)
def test_an_invocation_with_encoded_arguments_survives_a_queue(form):
    payload = EncodedCall(pack(form, [5]), pack(form, {}), form)
    sent = Invocation("takes.integer", payload, id="1")
    back = Invocation.from_dict(json.loads(json.dumps(sent.to_dict(0.0))), 0.0)
    assert back == sent
    assert bound_by(APP.operations["takes.integer"].binder, back.payload) == {"value": 5}


def test_what_is_no_list_or_map_is_told_by_its_first_octet():
    assert isinstance(encoded_call(b"5", b"{}", "json"), Failure)
    assert encoded_call(b"\x90", b"\xc0", "msgpack").errors == [
        {"name": "kwargs", "message": "expected an object"}
    ]


@pytest.mark.parametrize("form", FORMS)
def test_what_nobody_reads_is_skipped(form):
    """The one difference of the two ways, told in the documentation."""
    octets = {
        "json": b'[{"name":"a","other":"\xff"}]',
        "msgpack": b"\x91\x82\xa4name\xa1a\xa5other\xd4\x05a",
    }[form]
    payload = encoded_call(octets, b"", form)
    assert bound_by(APP.operations["takes.tree"].binder, payload)["value"].name == "a"
    assert the_long_way("takes.tree", payload).status == 400


def test_most_types_take_the_short_way():
    """Else the tests above compare the long way with itself."""
    for operation in APP.operations.values():
        for form in FORMS:
            operation.binder.prepare(form)
    quick = {
        form: {method for method in METHODS if APP.operations[method].binder._quick.get(form) is not None}
        for form in FORMS
    }
    assert {"takes.tree", "takes.several", "takes.lines", "takes.anything", "takes.model"} <= quick["json"]
    assert {"takes.tree", "takes.several", "takes.lines", "takes.amount"} <= quick["msgpack"]
    assert {"takes.anything", "takes.model", "takes.moment", "takes.numbered"}.isdisjoint(quick["msgpack"])
    assert "takes.amount" not in quick["json"]
