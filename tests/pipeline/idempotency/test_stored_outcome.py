"""A stored outcome is the first one again: the same value in this process, the same octets at every door."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.helpers import failure
from tests.parity.doors import through_lambda, through_test_client
from tests.pipeline.idempotency.calls import invocation
from unimicro import App, Failure, Idempotency, Left, Outcome, Response, Right, Service, entry
from unimicro.pipeline.stored_outcome import StoredOutcomes, UnstorableError
from unimicro.routes.memory import Message

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: float


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass
class Order:
    id: UUID
    total: Money
    placed: datetime
    colours: list[Colour] = field(default_factory=list)
    parts: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Called anew, it would change what is restored.
        self.colours = [*self.colours, Colour.RED]


@dataclass
class Gift(Order):
    wrapping: str = "paper"


@dataclass(slots=True)
class Page(Generic[T]):
    items: list[T]
    following: int | None = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    price: Decimal
    when: date = pydantic.Field(alias="the-day")


class Computed(Model):
    @pydantic.computed_field
    def twice(self) -> Decimal:
        return self.price * 2


class Packet(msgspec.Struct, frozen=True):
    number: int
    body: bytes = b""


class OutOfStock(Exception):
    code = "failed_precondition"


ORDER = Order(UUID(int=7), Money(Decimal("1.50")), datetime(2026, 1, 2, tzinfo=UTC))
GIFT = Gift(UUID(int=8), Money(Decimal("0E-7")), datetime(2026, 1, 2), [Colour.RED], [ORDER])

VALUES = [
    (str, "text"),
    (str, ""),
    (Any, "café \U0001f986 \n\x00"),
    (None, None),
    (bytes, b"\x00\xff"),
    (Any, b""),
    (bool, True),
    (int, 2**70),
    (float, 0.1),
    (Any, Decimal("1.50")),
    (Any, UUID(int=1)),
    (Any, datetime(2026, 1, 2, 3, 4, 5, 6, UTC)),
    (Any, datetime(2026, 1, 2, 3, 4, 5)),
    (Any, date(2026, 1, 2)),
    (Any, time(3, 4, 5, 6)),
    (Any, timedelta(days=-1, microseconds=3)),
    (dict, {"a": [1, 2.5, None, {"$": 1, "v": 2}], "": {}}),
    (dict, {1: "int key", 2: Decimal(3)}),
    (dict, {"ids": {UUID(int=1)}, "raw": b"x", "pair": (1, "2"), "frozen": frozenset([1])}),
    (dict, {"members": {8, 0, 16}, "of": frozenset([(1, "a"), (2, "b")])}),
    (list[Order], [ORDER, ORDER]),
    (Order, ORDER),
    (Order, GIFT),
    (Order | None, GIFT),
    (Page[Order], Page([ORDER, GIFT], 2)),
    (dict[str, Colour | Level], {"a": Colour.RED, "b": Level.LOW | Level.HIGH}),
    (Colour, Colour.RED),
    (Level, Level.LOW),
    (Point, Point(1, 2.0)),
    (list[Point], [Point(1, 2.0)]),
    (Model, Model(price=Decimal("1.10"), **{"the-day": date(2026, 1, 2)})),
    (list[Model], [Model(price=Decimal("1.10"), **{"the-day": date(2026, 1, 2)})]),
    (Packet, Packet(7, b"\x01")),
    (Response, Response({"a": Decimal(1)}, 201, {"X-A": "1", "Set-Cookie": "a=b"})),
    (Response, Response(None, 204)),
    (Response, Response(b"\x00", 206, [("X-A", "1"), ("X-A", "2")])),
]


def service_of(annotation: Any, result: Any, **options: Any) -> App:
    """An app whose operation ``odd.pay`` returns ``result`` once, and raises what is raised."""

    class Odd(Service):
        calls = 0

        @entry(no_auth=True, idempotency=Idempotency(), **options)
        def pay(self):
            Odd.calls += 1
            assert Odd.calls == 1, "it ran again"
            if isinstance(result, Exception):
                raise result
            return result

        pay.__annotations__["return"] = annotation

    return App(Odd())


def through_memory(app: App) -> Any:
    def send(method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
        return app.door("memory").handle(Message("odd.pay", headers=headers)).body

    return send


DOORS = {"http": through_test_client, "lambda": through_lambda, "memory": through_memory}
doors = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


def answered_twice(door: Any, app: App) -> tuple[Any, Any]:
    send = door(app)
    first, second = (send("POST", "/pay", {"idempotency-key": "k1"}, b"") for _ in range(2))
    return first, second


@pytest.mark.parametrize(("annotation", "value"), VALUES)
def test_a_value_comes_back_as_it_was(annotation, value):
    app = service_of(annotation, value)
    first, second = (app.run(invocation("odd.pay", "k1")) for _ in range(2))
    assert second.is_right()
    assert second.value == first.value
    assert type(second.value) is type(first.value)


@doors
@pytest.mark.parametrize(("annotation", "value"), VALUES)
def test_a_door_sends_the_same_octets(door, annotation, value):
    first, second = answered_twice(door, service_of(annotation, value))
    assert second == first


@doors
@pytest.mark.parametrize(
    "value", [ORDER, Point(1, 2.0), [Colour.RED], Computed(price=1, **{"the-day": date.min})]
)
def test_a_value_of_no_declared_class_is_sent_alike_too(door, value):
    for annotation in (Any, int, object):
        first, second = answered_twice(door, service_of(annotation, value))
        assert second == first


@doors
def test_a_model_that_cannot_read_what_it_writes_is_sent_alike_too(door):
    first, second = answered_twice(door, service_of(Computed, Computed(price=1, **{"the-day": date.min})))
    assert second == first


FAILURES = [
    Failure("not_found", "gone", details={"a": Decimal(1)}, policy="p", layer="mine"),
    Failure("invalid_argument", "bad", errors=[{"name": "a", "message": "b"}]),
    Failure("unimplemented", status=405, headers={"Allow": "GET"}),
    Failure("aborted", "later", retry_after=1.5),
    Failure("already_exists", details={"odd": object()}),
    Failure.from_response(Response({"error": 1}, 409, {"X-A": "1"})),
    Failure.from_response(Response(b"\x00", 404, [("X-A", "1"), ("X-A", "2")])),
]


@pytest.mark.parametrize("refused", FAILURES, ids=lambda failed: failed.code)
def test_a_failure_comes_back_as_it_was(refused):
    app = service_of(Outcome[Any], Left(refused))
    first, second = (failure(app.run(invocation("odd.pay", "k1"))) for _ in range(2))
    assert first is refused
    without_details = {"code", "message", "status", "retry_after", "layer", "policy", "headers", "body"}
    for name in without_details:
        assert getattr(second, name) == getattr(first, name), name
    assert list(second.errors) == list(first.errors)


@doors
@pytest.mark.parametrize("refused", FAILURES, ids=lambda failed: failed.code)
def test_a_door_sends_the_same_octets_of_a_failure(door, refused):
    first, second = answered_twice(door, service_of(Outcome[Any], Left(refused)))
    assert second == first


@doors
def test_a_declared_error_comes_back_as_that(door):
    app = service_of(int, OutOfStock("tea", 3), errors=[OutOfStock])
    first, second = answered_twice(door, app)
    assert second == first
    again = failure(app.run(invocation("odd.pay", "k1", None)))
    assert (again.error_type, again.details) == ("OutOfStock", {"args": ["tea", 3]})


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes().map(lambda moment: moment.replace(fold=0))
    | st.dates()
    | st.timedeltas()
    | st.uuids(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(plain)
def test_whatever_is_built_of_builtin_types_comes_back_equal(value):
    outcomes = StoredOutcomes(Any, 10**9)
    again = outcomes.load(outcomes.dump(Right(value))).value
    assert again == value
    assert repr(again) == repr(value)


def endless() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize("value", [object(), {"a": object()}, endless(), Colour.RED], ids=str)
def test_what_has_no_stored_form_is_refused(value):
    with pytest.raises(UnstorableError):
        StoredOutcomes(Any, 10**9).dump(Right(value))


def test_an_outcome_above_the_limit_is_refused():
    assert len(StoredOutcomes(Any, 20).dump(Right("x" * 8))) == 20
    with pytest.raises(UnstorableError, match="21 bytes"):
        StoredOutcomes(Any, 20).dump(Right("x" * 9))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"value":{"$":"object","c":"os:system","v":{}}}',
        b'{"value":{"$":"enum","c":"builtins:eval","v":"1"}}',
        b'{"value":{"$":"unheard-of","v":1}}',
        b'{"failure":{"code":"unheard-of"}}',
        b'{"response":[1]}',
    ],
)
def test_bytes_that_no_outcome_was_written_as_are_refused(data):
    with pytest.raises(UnstorableError):
        StoredOutcomes(Order, 10**9).load(data)
