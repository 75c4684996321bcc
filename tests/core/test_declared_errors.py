"""Declared errors come out of every wire as the class they went in, with arguments and attributes."""

from __future__ import annotations

import asyncio
import enum
import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

import httpx
import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unimicro import App, Failure, Left, Service, entry
from unimicro.errors import Aborted, DefinitionError, FailedPrecondition, NotFound, ServiceError, unwrap
from unimicro.outcome import Right
from unimicro.wire import from_json, to_json


class Plain(Exception):
    """Holds whatever attributes it is given."""


class Worded(Exception):
    def __init__(self, *, sku: str, left: int) -> None:
        super().__init__(f"no {sku}")
        self.sku = sku
        self.left = left


class Slotted(Exception):
    __slots__ = ("_hidden", "left", "never_set", "sku")

    def __init__(self, sku: str) -> None:
        super().__init__(sku)
        self.sku, self.left, self._hidden = sku, 2, "no"


class Level(enum.Enum):
    LOW = "low"


@dataclass
class Part:
    sku: str
    price: Decimal = Decimal(0)


@dataclass
class Typed(Exception):
    sku: str
    price: Decimal
    at: datetime
    level: Level = Level.LOW
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frozen(Exception):
    sku: str
    left: int = 0


class Guarded(Exception):
    """Refuses what a wire has no business with."""

    ran: list[str] = []  # noqa: RUF012 - on the class on purpose
    left = 5

    def __new__(cls, *args: Any) -> Self:
        cls.ran.append("__new__")
        return super().__new__(cls, *args)

    def __init__(self, *args: Any) -> None:
        self.ran.append("__init__")

    def __setattr__(self, name: str, value: Any) -> None:
        self.ran.append(f"set {name}")

    @property
    def worth(self) -> int:
        return 1

    @worth.setter
    def worth(self, value: int) -> None:
        self.ran.append(f"worth {value}")

    def describe(self) -> str:
        return "described"


class Gone(NotFound):
    def __init__(self, sku: str, **details: Any) -> None:
        super().__init__(f"{sku} is gone", details=details or None, retry_after=2)
        self.sku = sku


class Child(Worded):
    pass


class Opaque:
    def __repr__(self) -> str:
        return "something"


SECRET = Opaque()
DECLARED = [Plain, Worded, Slotted, Typed, Frozen, Guarded, Gone]


class Raises(Service):
    error: Exception = Plain()

    @entry(no_auth=True, errors=DECLARED)
    async def post(self) -> None:
        raise self.error


APP = App(Raises())


def over_json(error: Exception) -> Failure:
    return Failure.from_problem(invoke(error, "application/json", json.dumps, json.loads)["failure"])


def over_msgpack(error: Exception) -> Failure:
    answer = invoke(error, "application/msgpack", msgpack.packb, msgpack.unpackb)
    return Failure.from_problem(answer["failure"])


def in_process(error: Exception) -> Failure:
    return raised_by(error).call("raises.post").monoid[0]


def over_rest(error: Exception) -> Failure:
    return Failure.from_problem(raised_by(error).test_client().post("/").json)


def raised_by(error: Exception) -> App:
    APP.services[0].error = error
    return APP


def invoke(error: Exception, content_type: str, pack: Any, unpack: Any) -> Any:
    async def send() -> bytes:
        transport = httpx.ASGITransport(raised_by(error).asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            body = pack({"method": "a:raises:post"})
            return (
                await client.post("/invoke", content=body, headers={"content-type": content_type})
            ).content

    return unpack(asyncio.run(asyncio.wait_for(send(), 30)))


WIRES = [in_process, over_rest, over_json, over_msgpack]
wires = pytest.mark.parametrize("wire", WIRES)


def again(error: Exception, wire: Any = in_process, declared: list[type[Exception]] = DECLARED) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks closely
        unwrap(Left(wire(error)), declared)
    return caught.value


def attributes(error: Exception) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if name != "failure" and name[0] != "_"}


@wires
def test_arguments_and_attributes_of_a_keyword_only_class_arrive(wire):
    error = again(Worded(sku="tea", left=2), wire)
    assert (type(error), error.args, error.sku, error.left) == (Worded, ("no tea",), "tea", 2)
    assert error.failure.code == "failed_precondition"


@wires
def test_a_subclass_arrives_as_the_declared_class_with_its_attributes(wire):
    error = again(Child(sku="tea", left=2), wire)
    assert (type(error), error.sku) == (Worded, "tea")


@wires
def test_slots_arrive_and_private_ones_stay(wire):
    error = again(Slotted("tea"), wire)
    assert (type(error), error.sku, error.left) == (Slotted, "tea", 2)
    assert not hasattr(error, "_hidden")
    assert not hasattr(error, "never_set")


@wires
def test_the_fields_of_a_dataclass_arrive_with_their_types(wire):
    given_error = Typed("tea", Decimal("9.90"), datetime(2026, 1, 2, tzinfo=UTC), Level.LOW, [Part("x")])
    error = again(given_error, wire)
    assert error == given_error
    assert isinstance(error.price, Decimal)
    assert isinstance(error.parts[0], Part)


@wires
def test_a_frozen_dataclass_with_slots_arrives(wire):
    error = again(Frozen("tea", left=3), wire)
    assert (error.sku, error.left, error.failure.error_type) == ("tea", 3, "Frozen")


@wires
@pytest.mark.parametrize("details", [{}, {"shop": 7}, {"args": [1]}, {"attributes": {"sku": "other"}}])
def test_a_service_error_keeps_its_details_its_wait_and_its_attributes(wire, details):
    error = again(Gone("pear", **details), wire)
    assert (str(error), error.details, error.retry_after, error.sku) == (
        "pear is gone",
        details or None,
        2,
        "pear",
    )


@wires
def test_an_error_without_arguments_arrives_without(wire):
    error = Plain()
    error.sku = "tea"
    assert (again(error, wire).args, again(error, wire).sku) == ((), "tea")


def test_the_public_form_of_a_declared_error():
    assert in_process(Worded(sku="tea", left=2)).details == {
        "args": ["no tea"],
        "attributes": {"sku": "tea", "left": 2},
    }


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)
public_names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("args", "failure", "details", "retry_after", "add_note", "with_traceback")
)
UNHURRIED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@UNHURRIED
@given(args=st.lists(json_values, max_size=3), held=st.dictionaries(public_names, json_values, max_size=5))
@pytest.mark.parametrize("wire", WIRES)
def test_whatever_json_can_carry_arrives_as_it_was(wire, args, held):
    error = Plain(*args)
    vars(error).update(held)
    came = again(error, wire)
    assert type(came) is Plain
    assert came.args == tuple(args)
    assert attributes(came) == held


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "args",
                    "attributes",
                    "details",
                    "failure",
                    "code",
                    "retry_after",
                    "describe",
                    "worth",
                    "left",
                    "__class__",
                    "__dict__",
                    "__init__",
                    "__traceback__",
                    "__cause__",
                    "with_traceback",
                    "_x",
                    "price",
                    "at",
                    "level",
                    "parts",
                    "sku",
                    "",
                    "a b",
                    "class",
                    "ü",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([*DECLARED, OSError, UnicodeDecodeError, KeyError, StopIteration, ExceptionGroup]),
    details=st.dictionaries(st.sampled_from(["args", "attributes", "details", "x"]), hostile) | hostile,
    message=st.text(),
)
def test_no_wire_data_runs_code_or_sets_what_is_no_attribute(kind, details, message):
    Guarded.ran.clear()
    failure = Failure("aborted", message, details=details, error_type=kind.__name__)
    with pytest.raises((kind, Aborted)) as caught:
        unwrap(Left(failure), [kind])
    error = caught.value
    assert Guarded.ran == []
    assert error.failure is failure
    assert isinstance(error.args, tuple)
    assert error.__cause__ is None
    for name in vars(error):
        assert not name.startswith("_")
        assert name == "failure" or not callable(getattr(type(error), name, None))
    if isinstance(error, Guarded):
        assert (error.worth, error.describe()) == (1, "described")
    if isinstance(error, Typed):
        assert isinstance(vars(error).get("price", Decimal(0)), Decimal)
        assert isinstance(vars(error).get("parts", []), list)
    repr(vars(error))


def test_an_attribute_nested_without_end_is_no_danger():
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    failure = Failure("aborted", "x", error_type="Typed", details={"attributes": {"parts": deep, "sku": "a"}})
    with pytest.raises(Typed) as caught:
        unwrap(Left(failure), DECLARED)
    assert caught.value.sku == "a"


@wires
def test_what_cannot_travel_stays_and_the_rest_arrives(wire, caplog):
    error = Plain("sold out")
    circular: list[Any] = []
    circular.append(circular)
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    odd = {
        "object": object(),
        "huge": "x" * 70_000,
        "big_list": list(range(70_000)),
        "number": 2**70,
        "numbers": [2**70],
        "nan": float("nan"),
        "surrogate": "\ud800",
        "circular": circular,
        "deep": deep,
        "call": print,
    }
    vars(error).update(odd, sku="s3cr3t", _private="p", **{"not a name": 1})
    with caplog.at_level(logging.DEBUG, logger="unimicro"):
        came = again(error, wire)
    assert (came.args, attributes(came)) == (("sold out",), {"sku": "s3cr3t"})
    assert "huge" in caplog.text
    assert "s3cr3t" not in caplog.text


@wires
def test_all_attributes_together_have_a_limit(wire):
    error = Plain("many")
    vars(error).update({f"a{number}": "x" * 1000 for number in range(200)})
    assert 50 <= len(attributes(again(error, wire))) <= 65


@wires
def test_arguments_that_cannot_travel_leave_the_text(wire):
    error = Plain("sold out", SECRET)
    assert again(error, wire).args == (str(error),)


def test_an_attribute_in_the_place_of_a_method_or_a_property_is_not_set():
    details = {"attributes": {"describe": "x", "worth": 3, "left": 1, "__class__": "y"}}
    failure = Failure("aborted", "x", error_type="Guarded", details=details)
    with pytest.raises(Guarded) as caught:
        unwrap(Left(failure), DECLARED)
    assert attributes(caught.value) == {"left": 1}


def test_a_class_that_cannot_be_made_of_the_arguments_is_the_class_of_the_code():
    failure = Failure("aborted", "x", error_type="ExceptionGroup", details={"args": ["x", [5]]})
    with pytest.raises(Aborted) as caught:
        unwrap(Left(failure), [ExceptionGroup])
    assert caught.value.failure is failure


def test_classes_of_one_name_are_told_apart_by_the_operation_that_declares_them():
    def made(number: int) -> type[Exception]:
        return type("OutOfStock", (Exception,), {"number": number})

    one, two = made(1), made(2)

    class Shop(Service):
        @entry(no_auth=True, errors=[one])
        def post_one(self) -> None:
            raise one("first")

        @entry(no_auth=True, errors=[two])
        def post_two(self) -> None:
            raise two("second")

    app = App(Shop())
    for method, kind in (("post_one", one), ("post_two", two)):
        with pytest.raises(kind):
            unwrap(app.call(f"shop.{method}"), [kind])

    class Both(Service):
        @entry(no_auth=True, errors=[one, two])
        def post(self) -> None: ...

    with pytest.raises(DefinitionError, match="two classes named 'OutOfStock'"):
        App(Both())


def test_json_and_msgpack_carry_the_same_document():
    error = Worded(sku="ä", left=2)
    assert over_json(error) == over_msgpack(error) == in_process(error)
    assert from_json(to_json(in_process(error).to_problem())) == over_rest(error).to_problem() | {}


def test_the_cause_stays_in_this_process():
    error = again(Worded(sku="tea", left=1))
    assert isinstance(error.__cause__, Worded)
    assert again(Worded(sku="tea", left=1), over_json).__cause__ is None


def test_a_declared_error_of_another_operation_is_the_class_of_its_code():
    error = again(Worded(sku="tea", left=1), declared=[])
    assert type(error) is FailedPrecondition
    assert isinstance(error, ServiceError)
    assert Right(error.failure.error_type) == Right("Worded")
