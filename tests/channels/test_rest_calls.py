"""Calls over the channel rest to a real server: each operation at its own verb and path."""

from __future__ import annotations

import enum
from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest

from tests.channels.http_calling import TRANSPORTS, called, proxy_of
from tests.channels.http_servers import RawServer, answer, answering, json_answer, serving
from unimicro import App, Body, Header, Path, Query, Response, Service, Upload, entry
from unimicro.channels.client.manager import connect
from unimicro.component import delete, get, patch, post, put, rest, service
from unimicro.errors import (
    AlreadyExists,
    CommunicationError,
    DefinitionError,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TokenExpired,
    TokenMissing,
    Unknown,
)
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.retry import Retry

ONCE = (Retry(mode="off"), Breaker(mode="off"))


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l/x"


@dataclass
class Item:
    sku: str
    quantity: int = 1


class Shop(Service):
    @entry(no_auth=True)
    def get_text(self, text: str) -> list[str]:
        return [text]

    @entry(no_auth=True)
    async def get_atext(self, text: str) -> list[str]:
        return [text]

    @entry(no_auth=True)
    def get_typed(
        self,
        number: int,
        ratio: float,
        flag: bool,
        size: Size,
        number_id: UUID,
        when: datetime,
        price: Decimal,
    ) -> list[str]:
        return [repr(value) for value in (number, ratio, flag, size, number_id, when, price)]

    @entry(no_auth=True)
    def get_search(
        self,
        *,
        words: list[str] = [],  # noqa: B006 - a default as users write it
        limit: int | None = 5,
        size: Size = Size.SMALL,
        raw: bytes = b"",
    ) -> list[Any]:
        return [words, limit, size, list(raw)]

    @entry(no_auth=True)
    def get_many(self, ids: list[int]) -> list[int]:
        return ids

    @entry(no_auth=True)
    def get_rest(self, **rest: str) -> dict[str, Any]:
        return rest

    @entry("PUT", "/shelf/{shelf}/{place}", no_auth=True)
    def fill(self, place: int, shelf: str, *, item: Item, note: str = "-", **more: Any) -> dict[str, Any]:
        return {"place": place, "shelf": shelf, "item": item, "note": note, **more}

    @entry("POST", "/whole", no_auth=True)
    def whole(self, item: Annotated[list[Item], Body], dry: Annotated[bool, Query("dry-run")] = False) -> Any:
        return {"item": item, "dry": dry}

    @entry("POST", "/octets", no_auth=True)
    def octets(self, data: Annotated[bytes, Body]) -> bytes:
        return data

    @entry("POST", "/letters", no_auth=True)
    def letters(self, text: Annotated[str, Body]) -> str:
        return text

    @entry("POST", "/maybe", no_auth=True)
    def maybe(self, text: Annotated[str | None, Body] = None) -> str | None:
        return text

    @entry("GET", "/headed", no_auth=True)
    def headed(
        self,
        *,
        tenant: Annotated[str, Header],
        tags: Annotated[list[str], Header("x-tags")] = [],  # noqa: B006 - as above
    ) -> list[Any]:
        return [tenant, tags]

    @entry("GET", "/optional/{name}", no_auth=True)
    def optional(self, name: Annotated[str, Path] = "anna") -> str:
        return name

    @entry("POST", "/nothing", no_auth=True)
    def nothing(self) -> None: ...

    @entry("DELETE", "/item/{sku}", no_auth=True)
    def remove(self, sku: str) -> tuple[Item, int]:
        return Item(sku), 202

    @entry("GET", "/csv", no_auth=True, content_type="text/csv")
    def csv(self) -> str:
        return "a;b\r\nä;1"

    @entry("GET", "/json-text", no_auth=True, content_type="application/json")
    def json_text(self) -> str:
        return '{"as": "it is"}'

    @entry("GET", "/vendor", no_auth=True, content_type="application/vnd.shop")
    def vendor(self) -> Item:
        return Item("v")

    @entry("GET", "/either/{kind}", no_auth=True)
    def either(self, kind: str) -> str | Item:
        return "text" if kind == "text" else Item("i")

    @entry("HEAD", "/alive", no_auth=True)
    def alive(self) -> None: ...

    @entry("GET", "/teapot", no_auth=True)
    def teapot(self) -> Response:
        return Response({"short": True}, 418)

    @entry("GET", "/find", no_auth=True)
    def find(self) -> str:
        raise NotFound("no such thing", details={"id": 7})

    @entry("GET", "/secret")
    def secret(self) -> str:
        return "s"


@service(name="orders", no_auth=True)
@rest("/api/v1")
class Orders(Service):
    @abstractmethod
    @get("/orders/{number}", safe=True)
    def one(self, number: int) -> Item: ...

    @abstractmethod
    @post("/orders")
    def place(self, item: Item) -> Item: ...

    @abstractmethod
    @put("/orders/{number}")
    async def replace(self, number: int, item: Annotated[Item, Body]) -> Item: ...

    @abstractmethod
    @patch("/orders/{number}")
    def change(self, number: int, quantity: int) -> Item: ...

    @abstractmethod
    @delete("/orders/{number}")
    def cancel(self, number: int, reason: Annotated[str, Query] = "") -> str: ...


class OrdersHere(Orders):
    def one(self, number: int) -> Item:
        return Item("one", number)

    def place(self, item: Item) -> Item:
        return item

    async def replace(self, number: int, item: Item) -> Item:
        return Item(item.sku, number)

    def change(self, number: int, quantity: int) -> Item:
        return Item("changed", number * quantity)

    def cancel(self, number: int, reason: str = "") -> str:
        return f"{number} {reason}"


@pytest.fixture(scope="module")
def address():
    with serving(App(Shop(), OrdersHere()).asgi) as address:
        yield address


@pytest.fixture(scope="module", params=TRANSPORTS)
def shop(request, address):
    with proxy_of(Shop, "rest", address, request.param) as proxy:
        yield proxy


@pytest.mark.parametrize("method", ["get_text", "get_atext"])
@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a/b",
        "a b+c%20",
        "?x=1&y#z",
        "..a",
        "...",
        "%2e%2e",
        "ä€\U0001f333",
        "\\;:@!$'()*,=~[]{}|^`<>\"",
        "\0\r\n\t",
        "/",
        "//",
        "x" * 3000,
    ],
)
def test_a_path_segment_holds_any_text(shop, method, text):
    assert called(shop, method, text) == [text]


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_what_no_path_segment_can_be_is_refused(shop, text):
    with pytest.raises(InvalidArgument, match=f"text: no path segment can be '{text}'"):
        shop.get_text(text)


def test_typed_values_arrive_as_they_were(shop):
    values = (
        -7,
        1.5e-7,
        True,
        Size.LARGE,
        UUID(int=5),
        datetime(2026, 11, 21, 12, 30, tzinfo=UTC),
        Decimal("1.10"),
    )
    assert shop.get_typed(*values) == [repr(value) for value in values]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [[], 5, "s", []]),
        ({"words": ["a", "b&c", ""], "limit": 0}, [["a", "b&c", ""], 0, "s", []]),
        ({"words": [], "size": Size.LARGE, "raw": b"\xff\x00"}, [[], 5, "l/x", [255, 0]]),
        ({"limit": None}, [[], None, "s", []]),
    ],
)
def test_a_query_holds_what_is_given(shop, given, expected):
    assert shop.get_search(**given) == expected


def test_repeated_values_are_a_list(shop):
    assert shop.get_many([3, 1, 3]) == [3, 1, 3]
    with pytest.raises(InvalidArgument, match="ids: an empty collection cannot be told from one"):
        shop.get_many([])


def test_further_arguments_go_into_the_query_or_the_body(shop):
    assert shop.get_rest(a="1", b="x y") == {"a": "1", "b": "x y"}
    assert shop.fill(1, "A/1", item=Item("tea"), more={"deep": [1]}) == {
        "place": 1,
        "shelf": "A/1",
        "item": {"sku": "tea", "quantity": 1},
        "note": "-",
        "more": {"deep": [1]},
    }


def test_bodies_are_json_text_or_octets(shop):
    assert shop.whole([Item("a"), Item("b", 2)], True) == {
        "item": [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 2}],
        "dry": True,
    }
    assert shop.octets(bytes(range(256))) == bytes(range(256))
    assert shop.octets(b"") == b""
    assert shop.octets(bytearray(b"x")) == b"x"
    assert shop.letters('"ä"\r\n\0') == '"ä"\r\n\0'
    assert shop.letters("") == ""
    assert shop.maybe() is None
    assert shop.maybe(None) is None
    assert shop.maybe("x") == "x"
    with pytest.raises(InvalidArgument, match="text: an empty body cannot be told from one"):
        shop.maybe("")
    with pytest.raises(InvalidArgument, match="data: expected bytes, got str"):
        shop.octets("text")


@pytest.mark.parametrize("words", [5, "text", b"octets", {"a": 1}], ids=repr)
def test_what_is_no_collection_is_not_sent_as_one(shop, words):
    with pytest.raises(InvalidArgument, match=f"^words: expected a collection, got {type(words).__name__}$"):
        shop.get_search(words=words)
    with pytest.raises(InvalidArgument, match=r"^x-tags: expected a collection"):
        shop.headed(tenant="x", tags=words)


def test_header_fields_are_filled(shop):
    assert shop.headed(tenant="a b") == ["a b", []]
    assert shop.headed(tenant="x", tags=["one", "two"]) == ["x", ["one", "two"]]


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\0", " a", "a ", "ä", "€"])
def test_a_header_value_that_could_do_harm_is_not_sent(shop, value):
    with pytest.raises(
        InvalidArgument, match=r"^tenant: the header 'tenant' has a value that cannot be sent$"
    ):
        shop.headed(tenant=value)


@pytest.mark.parametrize("member", ["a,b", "", " a"])
def test_a_member_of_a_header_list_that_would_not_come_back_is_refused(shop, member):
    with pytest.raises(InvalidArgument, match="x-tags: a member that is empty, or has a comma"):
        shop.headed(tenant="x", tags=["one", member])


def test_answers_are_read_by_their_content_type(shop):
    assert shop.nothing() is None
    assert shop.alive() is None
    assert shop.remove("a b") == Item("a b")
    assert shop.csv() == "a;b\r\nä;1"
    assert shop.json_text() == '{"as": "it is"}'
    assert shop.vendor() == Item("v")
    assert shop.either("text") == "text"
    assert shop.either("item") == Item("i")


def test_a_path_parameter_with_a_default_can_be_given(shop):
    assert shop.optional("bob") == "bob"
    assert shop.optional() == "anna"


def test_errors_are_those_of_the_service(shop):
    with pytest.raises(NotFound, match="no such thing") as caught:
        shop.find()
    assert caught.value.details == {"id": 7}
    with pytest.raises(Unknown, match="the server answered 418"):
        shop.teapot()
    with pytest.raises(TokenMissing):
        shop.secret()


def test_arguments_that_do_not_fit_are_named_before_they_are_sent(shop):
    with pytest.raises(InvalidArgument, match=r"^text: missing$"):
        shop.get_text()
    with pytest.raises(InvalidArgument, match=r"^b: unexpected argument$"):
        shop.get_text("a", b=1)
    with pytest.raises(InvalidArgument, match=r"^number: int|^number: "):
        shop.get_typed(None, 1.0, True, Size.SMALL, UUID(int=1), datetime.now(UTC), Decimal(1))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_interface_with_rest_decorators_is_called_at_its_paths(address, transport):
    with proxy_of(Orders, "rest", address, transport) as orders:
        assert orders.one(7) == Item("one", 7)
        assert orders.place(Item("tea", 2)) == Item("tea", 2)
        assert called(orders, "replace", 3, Item("x")) == Item("x", 3)
        assert orders.change(2, quantity=5) == Item("changed", 10)
        assert orders.cancel(4, "späte & Lieferung") == "4 späte & Lieferung"


def sent_by(method, *args, reply=None, **kwargs):
    reply = reply or json_answer(b'{"sku":"a","quantity":1}')
    with (
        RawServer(answering(reply)) as server,
        proxy_of(Orders, "rest", f"{server.address}/base", "httpx", policies=ONCE) as orders,
    ):
        try:
            result = called(orders, method, *args, **kwargs)
        except Exception as error:
            result = error
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        return head.decode().lower().split("\r\n"), body, result


def test_the_request_is_what_a_browser_could_send():
    (line, *fields), body, _ = sent_by("place", Item("tea", 2))
    assert line == "post /base/api/v1/orders http/1.1"
    assert "content-type: application/json" in fields
    assert body == b'{"item":{"sku":"tea","quantity":2}}'
    (line, *fields), body, _ = sent_by("cancel", 4, "a b", reply=answer(b"ok", content_type="text/plain"))
    assert line == "delete /base/api/v1/orders/4?reason=a%20b http/1.1"
    assert not [field for field in fields if field.startswith(("content-type", "content-length"))]
    assert body == b""


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (answer(b"{", content_type="application/json"), Internal, "the answer is no JSON"),
        (
            json_answer(b'{"sku":1}'),
            Internal,
            "the answer has another result than declared: .sku: expected str, got int",
        ),
        (
            answer(b"x", content_type="text/html"),
            Internal,
            "the answer has another result than declared: expected object, got str",
        ),
        (answer(b"x", content_type="image/png"), Internal, "the answer has the content type 'image/png'"),
        (answer(b"x"), Internal, "the answer has no content type"),
        (
            answer(b"", 204, content_length=None),
            Internal,
            "the answer has another result than declared: expected object, got null",
        ),
        (answer(b"<p>", 403, content_type="text/html"), PermissionDenied, "the server answered 403"),
        (answer(b"", 502), CommunicationError, "the server answered 502"),
        (answer(b"", 301, location="/x"), Unknown, "the server answered 301"),
        (
            answer(b"", 401, www_authenticate='Bearer error="invalid_token", error_description="expired"'),
            TokenExpired,
            "the server answered 401",
        ),
        (
            answer(
                b'{"code":"already_exists","detail":"is there"}', 409, content_type="application/problem+json"
            ),
            AlreadyExists,
            "is there",
        ),
    ],
)
def test_an_answer_that_is_no_result_says_what_it_is(reply, kind, text):
    *_, error = sent_by("place", Item("tea"), reply=reply)
    assert isinstance(error, kind)
    assert str(error) == text


def test_json_from_a_server_that_declares_no_text_is_read_as_json():
    *_, result = sent_by("cancel", 4, reply=json_answer('"ä"'.encode()))
    assert result == "ä"
    latin = answer("ä".encode("latin-1"), content_type="text/plain; charset=ISO-8859-1")
    *_, result = sent_by("cancel", 4, reply=latin)
    assert result == "ä"


class File(Service):
    @entry("POST", "/f", no_auth=True)
    def store(self, *, file: Upload) -> None: ...


class Structure(Service):
    @entry("GET", "/s", no_auth=True)
    def find(self, *, like: Annotated[dict[str, int] | None, Query] = None) -> None: ...


class Length(Service):
    @entry("GET", "/l", no_auth=True)
    def get(self, *, length: Annotated[int, Header("Content-Length")] = 0) -> None: ...


class Head(Service):
    @entry("HEAD", "/h", no_auth=True)
    def look(self) -> Item: ...


@pytest.mark.parametrize(
    ("interface", "text"),
    [
        (File, r"file\.store: parameter 'file' is a file"),
        (Structure, r"structure\.find: parameter 'like' has a type that no query can carry"),
        (Length, r"length\.get: parameter 'length' is the header 'content-length'"),
        (Head, r"head\.look: the answer to HEAD has no body"),
    ],
)
def test_what_cannot_be_carried_is_refused_when_the_proxy_is_made(interface, text):
    with pytest.raises(DefinitionError, match=text):
        connect(interface, address="http://127.0.0.1:9", channel="rest")
