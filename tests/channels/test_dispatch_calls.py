"""Calls over dispatch-json and dispatch-msgpack to a real server, over each transport and in both colours."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NewType
from uuid import UUID

import pydantic
import pytest

from tests.channels.http_calling import TRANSPORTS, called, proxy_of
from tests.channels.http_servers import serving
from unimicro import App, Failure, Left, Outcome, Response, Right, Service, Upload, entry
from unimicro.channels.client.manager import connect
from unimicro.errors import (
    AlreadyExists,
    DefinitionError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    TokenInvalid,
    TokenMissing,
    Unimplemented,
)


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Node:
    name: str
    weight: float = 1.0
    children: list[Node] = field(default_factory=list)
    size: Size | None = None


class Model(pydantic.BaseModel):
    name: str
    nodes: list[Node] = []


Number = NewType("Number", int)


class SoldOut(Exception):
    code = "failed_precondition"

    def __init__(self, article: str, left: int) -> None:
        super().__init__(article, left)
        self.article = article


class Shop(Service):
    @entry(no_auth=True, safe=True)
    def node(self, value: Node) -> Node:
        return value

    @entry(no_auth=True, safe=True)
    async def anode(self, value: Node) -> Node:
        return value

    @entry(no_auth=True)
    def anything(self, value: Any) -> Any:
        return value

    @entry(no_auth=True)
    def times(self, value: datetime, other: date, span: timedelta) -> tuple[datetime, date, timedelta]:
        return value, other, span

    @entry(no_auth=True)
    def exact(self, value: Decimal, number: UUID, size: Size) -> tuple[Decimal, UUID, Size]:
        assert (type(value), type(number), type(size)) == (Decimal, UUID, Size)
        return value, number, size

    @entry(no_auth=True)
    def octets(self, value: bytes) -> bytes:
        return value

    @entry(no_auth=True)
    def table(self, value: dict[str, list[Node]]) -> dict[str, list[Node]]:
        return value

    @entry(no_auth=True)
    def numbered(self, value: dict[int, str]) -> dict[int, str]:
        return value

    @entry(no_auth=True)
    def members(self, value: set[int], pair: tuple[int, str]) -> tuple[set[int], tuple[int, str]]:
        return value, pair

    @entry(no_auth=True)
    def model(self, value: Model) -> Model:
        return value

    @entry(no_auth=True)
    def maybe(self, value: Node | None, choice: Literal["a", "b"] = "a") -> Node | None:
        return value

    @entry(no_auth=True)
    def nothing(self) -> None:
        return None

    @entry(no_auth=True)
    def number(self, value: Number) -> Number:
        return value

    @entry(no_auth=True)
    def text(self, value: str) -> str:
        return value

    @entry(no_auth=True)
    def places(self, a: int, b: int = 2, c: Node | None = None, *, d: int = 4, **rest: int) -> dict[str, Any]:
        return {"a": a, "b": b, "c": c, "d": d, **rest}

    @entry(no_auth=True)
    def responds(self) -> Response:
        return Response({"a": 1}, 201, {"x-tell": "1"})

    @entry(no_auth=True)
    def with_status(self) -> tuple[Node, int]:
        return Node("n"), 201

    @entry(no_auth=True)
    def either(self, ok: bool) -> Outcome[Node]:
        return Right(Node("n")) if ok else Left(Failure("already_exists", "there is one"))

    @entry(no_auth=True, errors=[SoldOut])
    def sell(self, article: str) -> str:
        raise SoldOut(article, 3)

    @entry(no_auth=True)
    def find(self) -> str:
        raise NotFound("no such thing", details={"id": 7}, retry_after=2.5)

    @entry(no_auth=True)
    def fail(self) -> str:
        raise RuntimeError("the password is 1234")

    @entry
    def secret(self) -> str:
        return "s"


class MoreOfShop(Shop):
    """What a newer client knows; the server does not have it."""

    @entry(no_auth=True)
    def unknown(self) -> str:
        return ""


DEEP = Node(
    "Wurzel ✓ \U0001f333", 0.1 + 0.2, [Node(str(n), n, [Node("leaf", size=Size.LARGE)]) for n in range(3)]
)


@pytest.fixture(scope="module")
def address():
    with serving(App(Shop()).asgi) as address:
        yield address


@pytest.fixture(
    scope="module",
    params=[(c, t) for c in ("dispatch-json", "dispatch-msgpack") for t in TRANSPORTS],
    ids="-".join,
)
def shop(request, address):
    channel, transport = request.param
    with proxy_of(MoreOfShop, channel, address, transport, name="shop") as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def a_token(monkeypatch):
    monkeypatch.setenv("TOKEN", "right")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("node", [DEEP]),
        ("anode", [DEEP]),
        ("anything", [{"a": [1, 2.5, None, True, "ü", {"b": []}]}]),
        ("anything", [None]),
        ("octets", [bytes(range(256))]),
        ("octets", [b""]),
        ("table", [{"x": [DEEP], "": []}]),
        ("numbered", [{1: "a", -2: "b"}]),
        ("model", [Model(name="m", nodes=[DEEP])]),
        ("maybe", [None]),
        ("maybe", [DEEP, "b"]),
        ("nothing", []),
        ("number", [2**53 + 1]),
        ("text", ['\0 \x7f é \U0001f333 " \\ \r\n']),
        ("text", [""]),
    ],
)
def test_values_come_back_as_they_were(shop, method, arguments):
    expected = arguments[0] if arguments else None
    result = called(shop, method, *arguments)
    assert result == expected
    assert type(result) is type(expected)


def test_types_that_no_wire_has_come_back_typed(shop):
    now = datetime(2026, 11, 21, 12, 0, 0, 123456, UTC)
    arguments = (now, date(2026, 11, 21), timedelta(hours=1, microseconds=5))
    assert called(shop, "times", *arguments) == arguments
    number = UUID("12345678-1234-5678-1234-567812345678")
    assert called(shop, "exact", Decimal("1.10"), number, Size.SMALL) == (Decimal("1.10"), number, Size.SMALL)
    assert called(shop, "members", {1, 2}, (1, "a")) == ({1, 2}, (1, "a"))


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1,), {}, {"a": 1, "b": 2, "c": None, "d": 4}),
        ((1, 5), {}, {"a": 1, "b": 5, "c": None, "d": 4}),
        ((), {"a": 1, "c": Node("n")}, {"a": 1, "b": 2, "c": {"name": "n"}, "d": 4}),
        ((1,), {"d": 9, "e": 5}, {"a": 1, "b": 2, "c": None, "d": 9, "e": 5}),
    ],
)
def test_arguments_reach_their_parameters(shop, args, kwargs, expected):
    result = shop.places(*args, **kwargs)
    if result["c"] is not None:
        result["c"] = {"name": result["c"]["name"]}
    assert result == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "a: missing"),
        ((1, 2, None, 4), {}, "args: takes at most 3 positional arguments, got 4"),
        ((1,), {"a": 2}, "a: given more than once"),
        ((1,), {"self": 2}, "self: unexpected argument"),
        (("x",), {}, "a: expected int, got str"),
        ((object(),), {}, "args: cannot be sent: "),
    ],
)
def test_arguments_that_do_not_fit_are_named(shop, args, kwargs, text):
    with pytest.raises(InvalidArgument, match="^" + text):
        shop.places(*args, **kwargs)


def test_status_and_headers_of_a_result_stay_behind(shop):
    assert shop.responds() == {"a": 1}
    assert shop.with_status() == Node("n")
    assert shop.either(True) == Node("n")


def test_a_declared_error_arrives_as_its_class(shop):
    with pytest.raises(SoldOut) as caught:
        shop.sell("tea")
    assert caught.value.args == ("tea", 3)
    assert caught.value.article == "tea"


def test_errors_of_the_service_arrive_as_the_class_of_their_code(shop):
    with pytest.raises(NotFound, match="no such thing") as caught:
        shop.find()
    assert caught.value.details == {"id": 7}
    assert caught.value.retry_after == 2.5
    with pytest.raises(AlreadyExists, match="there is one"):
        shop.either(False)


def test_an_undeclared_error_keeps_its_text_on_the_server(shop):
    with pytest.raises(Internal, match=r"^internal error$"):
        shop.fail()


def test_an_operation_that_the_server_does_not_have_is_unimplemented(shop):
    with pytest.raises(Unimplemented, match=r"there is no operation 'shop\.unknown'"):
        shop.unknown()


@pytest.mark.parametrize("channel", ["dispatch-json", "dispatch-msgpack"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_token_is_asked_for_and_sent(address, channel, transport):
    with proxy_of(Shop, channel, address, transport) as shop, pytest.raises(TokenMissing):
        shop.secret()
    with proxy_of(Shop, channel, address, transport, token="wrong") as shop, pytest.raises(TokenInvalid):
        shop.secret()
    with proxy_of(Shop, channel, address, transport, token="right") as shop:
        assert shop.secret() == "s"


class Files(Service):
    @entry(no_auth=True)
    def store(self, *, file: Upload) -> None: ...


class Opaque(Service):
    @entry(no_auth=True)
    def get(self) -> FailedPrecondition: ...


@pytest.mark.parametrize("channel", ["dispatch-json", "dispatch-msgpack"])
@pytest.mark.parametrize(
    ("interface", "text"),
    [
        (Files, r"files\.store: parameter 'file' is a file, which the channel '{channel}' cannot carry"),
        (Opaque, r"opaque\.get: result: FailedPrecondition has no wire form"),
    ],
)
def test_what_cannot_be_carried_is_refused_when_the_proxy_is_made(channel, interface, text):
    with pytest.raises(DefinitionError, match=text.format(channel=channel)):
        connect(interface, address="http://127.0.0.1:9", channel=channel)
