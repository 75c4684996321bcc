"""A value that went out as JSON comes back as the same typed value, over HTTP and in process."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal  # noqa: TC003 - read by the binder
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID  # noqa: TC003 - read by the binder

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unimicro import App, Service, entry
from unimicro.wire import to_json

CASES = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: float


class Movie(TypedDict):
    title: str
    year: int


@dataclass
class Tree:
    label: str
    children: list[Tree] = field(default_factory=list)
    parent_size: int | None = None


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: Literal["EUR", "USD"] = "EUR"


@dataclass
class Everything:
    number: int
    share: float
    text: str
    flag: bool
    octets: bytes
    colour: Colour
    level: Level
    at: datetime
    day: date
    hour: time
    length: timedelta
    uid: UUID
    price: Money
    either: int | str | None
    names: set[str]
    pair: tuple[int, str]
    many: tuple[float, ...]
    table: dict[str, list[int]]
    by_number: dict[int, Colour]
    point: Point
    movie: Movie


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str
    breed: str = "mixed"


class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(alias="houseNumber")


class Person(pydantic.BaseModel):
    name: str
    born: date
    addresses: list[Address] = []
    friends: list[Person] = []


class Echo(Service):
    @entry(no_auth=True)
    def post_everything(self, value: Everything) -> Everything:
        return value

    @entry(no_auth=True)
    def post_tree(self, value: Tree) -> Tree:
        return value

    @entry(no_auth=True)
    def post_pet(self, value: Cat | Dog | None = None) -> Cat | Dog | None:
        return value

    @entry(no_auth=True)
    def post_person(self, value: Person) -> Person:
        return value

    @entry(no_auth=True)
    def post_people(self, value: list[Person | None]) -> list[Person | None]:
        return value

    @entry(no_auth=True)
    def post_any(self, value: Any = None) -> Any:
        return {"value": value}

    @entry(no_auth=True)
    def get_text(self, value: str, *, again: str) -> list[str]:
        return [value, again]


app = App(Echo())
client = app.test_client()

text = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**64 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=3)
moments = st.datetimes(timezones=st.sampled_from([None, UTC]))
money = st.builds(Money, decimals, st.sampled_from(["EUR", "USD"]))
lengths = st.integers(-(10**15), 10**15).map(lambda micro: timedelta(microseconds=micro))
everything = st.builds(
    Everything,
    number=int64,
    share=finite,
    text=text,
    flag=st.booleans(),
    octets=st.binary(max_size=20),
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    at=moments,
    day=st.dates(),
    hour=st.times(),
    length=lengths,
    uid=st.uuids(),
    price=money,
    either=st.none() | int64 | text,
    names=st.sets(text, max_size=4),
    pair=st.tuples(int64, text),
    many=st.lists(finite, max_size=4).map(tuple),
    table=st.dictionaries(text, st.lists(int64, max_size=3), max_size=3),
    by_number=st.dictionaries(int64, st.sampled_from(Colour), max_size=3),
    point=st.builds(Point, int64, finite),
    movie=st.fixed_dictionaries({"title": text, "year": int64}),
)
trees = st.recursive(
    st.builds(Tree, text, st.just([]), st.none() | int64),
    lambda inner: st.builds(Tree, text, st.lists(inner, max_size=3), st.none() | int64),
    max_leaves=8,
)
addresses = st.builds(Address, street=text, houseNumber=int64)
people = st.recursive(
    st.builds(Person, name=text, born=st.dates(), addresses=st.lists(addresses, max_size=2)),
    lambda inner: st.builds(Person, name=text, born=st.dates(), friends=st.lists(inner, max_size=2)),
    max_leaves=4,
)
plain = st.recursive(
    st.none() | st.booleans() | int64 | finite | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def there_and_back(name: str, value: Any) -> bytes:
    """Sends ``value``, and what was answered once more: both must arrive as it is."""
    body = to_json({"value": value})
    answer = client.post(f"/{name}", data=body)
    assert answer.status_code == (204 if value is None else 200), answer.data
    if value is not None:
        assert app.call(f"echo.post_{name}", json.loads(answer.data)).value == value
    from_wire = app.call(f"echo.post_{name}", json.loads(body)["value"])
    assert from_wire.value == value
    in_process = app.call(f"echo.post_{name}", value)
    assert in_process.value == value
    assert type(in_process.value) is type(from_wire.value) is type(value)
    return answer.data


@CASES
@given(everything)
def test_a_dataclass_with_a_field_of_every_type(value):
    assert json.loads(there_and_back("everything", value))["text"] == value.text


@CASES
@given(trees)
def test_a_recursive_dataclass(value):
    there_and_back("tree", value)


@CASES
@given(st.none() | st.builds(Cat, text) | st.builds(Dog, text, text))
def test_a_union_of_two_dataclasses_keeps_its_kind(value):
    there_and_back("pet", value)


@CASES
@given(people)
def test_a_pydantic_model_with_aliases(value):
    there_and_back("person", value)
    there_and_back("people", [value, None])


@CASES
@given(plain)
def test_untyped_json(value):
    answer = client.post("/any", data=to_json({"value": value}))
    assert answer.json == {"value": value}
    assert app.call("echo.post_any", value).value == {"value": value}


@CASES
@given(text.filter(lambda value: value not in ("", ".", "..")), text)
def test_text_in_path_and_query(value, again):
    from urllib.parse import quote

    answer = client.get("/text/" + quote(value, safe=""), query={"again": again})
    assert answer.json == [value, again]


@pytest.mark.parametrize("value", ["", "🎉", "\U0010ffff", "\x00", "\u2028", "a" * 100_000, "é", "e\u0301"])
def test_remarkable_text(value):
    assert client.post("/any", json={"value": value}).json == {"value": value}


@pytest.mark.parametrize("value", [0, -1, 2**53 + 1, 2**63, 2**64, 10**30, -(10**30)])
def test_whole_numbers_of_any_size(value):
    assert json.loads(client.post("/any", data=json.dumps({"value": value})).data) == {"value": value}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_becomes_null(value):
    def get(self):
        return {"value": value}

    odd = type("Odd", (Service,), {"get": entry(no_auth=True)(get)})
    assert App(odd()).test_client().get("/").json == {"value": None}
