"""Whatever is given for a path, a query, a header field or a body comes back equal, or is refused by name."""

import datetime as dt
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.channels.http_calling import proxy_of
from tests.channels.http_servers import serving
from unimicro import App, Body, Header, Service, entry
from unimicro.functional import Try
from unimicro.outcome import failure_of
from unimicro.pipeline.breaker import Breaker


class Size(enum.Enum):
    SMALL = "s"
    ODD = "l/x ü"
    NONE = ""


@dataclass
class Item:
    sku: str
    quantity: int = 1
    tags: list[str] = field(default_factory=list)
    price: Decimal = Decimal(1)


class Echo(Service):
    @entry("GET", "/path/{number}/{text}/{size}/end", no_auth=True)
    def path(self, number: int, text: str, size: Size) -> tuple[int, str, Size]:
        return number, text, size

    @entry("DELETE", "/query/{key}", no_auth=True)
    def query(
        self,
        key: UUID,
        *,
        text: str | None = "x",
        ratio: float = 1.5,
        flag: bool = False,
        day: dt.date | None = None,
        octets: bytes = b"x",
        kind: Literal["a", "b c"] = "a",
        many: list[str] = [],  # noqa: B006 - a default as users write it
    ) -> tuple[UUID, str | None, float, bool, dt.date | None, bytes, str, list[str]]:
        return key, text, ratio, flag, day, octets, kind, many

    @entry("GET", "/headers", no_auth=True)
    def headers(
        self,
        *,
        text: Annotated[str, Header("x-text")] = "x",
        number: Annotated[int | None, Header("x-number")] = None,
        many: Annotated[list[str], Header("x-many")] = [],  # noqa: B006 - as above
    ) -> tuple[str, int | None, list[str]]:
        return text, number, many

    @entry("POST", "/members/{name}", no_auth=True)
    def members(
        self,
        name: str,
        *,
        item: Item,
        items: list[Item] = [],  # noqa: B006 - as above
        more: dict[str, int] | None = None,
    ) -> tuple[str, Item, list[Item], dict[str, int] | None]:
        return name, item, items, more

    @entry("PUT", "/whole", no_auth=True)
    def whole(self, text: Annotated[str, Body]) -> str:
        return text


AWKWARD = [
    ".",
    "..",
    "a/b",
    "%2F",
    "%",
    "+",
    "a b",
    " a",
    "null",
    "None",
    "true",
    "?#&=;",
    "\0",
    "\r\nx: y",
    "\ud800",
]
TEXT = st.text(max_size=9) | st.sampled_from(["", "a,b", "{text}", "\u2028", *AWKWARD])
ITEMS = st.builds(
    Item, TEXT, st.integers(-(2**63), 2**64 - 1), st.lists(TEXT, max_size=2), st.decimals(allow_nan=False)
)
OCTETS, SIZES, KEYS = st.binary(max_size=9), st.sampled_from(Size), st.uuids()
ARGUMENTS = {
    "path": {"number": st.integers(), "text": TEXT, "size": SIZES},
    "query": {
        "key": KEYS,
        "text": TEXT | st.none(),
        "ratio": st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(),
        "day": st.dates() | st.none(),
        "octets": OCTETS,
        "kind": st.sampled_from(["a", "b c"]),
        "many": st.lists(TEXT, max_size=2),
    },
    "headers": {"text": TEXT, "number": st.integers() | st.none(), "many": st.lists(TEXT, max_size=2)},
    "members": {
        "name": TEXT,
        "item": ITEMS,
        "items": st.lists(ITEMS, max_size=2),
        "more": st.dictionaries(TEXT, st.integers(-(2**63), 2**64 - 1), max_size=2) | st.none(),
    },
    "whole": {"text": TEXT},
}
CALLS = st.sampled_from(sorted(ARGUMENTS)).flatmap(
    lambda method: st.tuples(st.just(method), st.fixed_dictionaries(ARGUMENTS[method]))
)


@pytest.fixture(scope="module")
def address():
    with serving(App(Echo()).asgi) as address:
        yield address


@pytest.mark.parametrize("channel", ["rest", "dispatch-json", "dispatch-msgpack"])
def test_what_is_given_comes_back_or_is_refused(address, channel):
    with proxy_of(Echo, channel, address, policies=[Breaker(mode="off")]) as echo:

        @settings(max_examples=150, deadline=None, database=None, derandomize=True)
        @given(CALLS)
        def holds(call: tuple[str, dict[str, Any]]) -> None:
            method, arguments = call
            sent = tuple(arguments[name] for name in ARGUMENTS[method])
            outcome = Try(getattr(echo, method), **arguments)
            if outcome.is_right():
                assert outcome.value == (sent if len(sent) > 1 else sent[0])
            else:
                failure = failure_of(outcome)
                assert (failure.code, bool(failure.errors)) == ("invalid_argument", True)

        holds()
