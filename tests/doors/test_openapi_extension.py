"""What the OpenAPI document says beside OpenAPI, for typed clients; ``tests/cli/test_client_*`` reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator  # noqa: TC003 - the hints of entries are read
from dataclasses import dataclass
from typing import Any, TypedDict

import httpx

from tests.cli.pulled import awkward_description, description
from unimicro import App, Service, entry
from unimicro.component import service


@dataclass
class Item:
    name: str


class Keys(TypedDict):
    a: int


class Loop:
    """Of no kind that has a wire form."""


@service(name="shelf")
class Shelf(Service):
    def items(self) -> list[Item]: ...


class Library(Shelf):
    """The implementation."""

    def items(self) -> list[Item]:
        return [Item("x")]


class Odd(Service):
    @entry
    def keys(self, *, value: Keys) -> Keys:
        return value

    @entry
    def loops(self) -> Loop: ...

    @entry
    def stream(self) -> Iterator[str]: ...

    @entry
    def tagged(self, *, tags: frozenset[str] = frozenset("zyxabc")) -> None: ...

    @entry(sensitive=["password", "pin"])
    def login(self, *, user: str = "guest", password: str = "s3cr3t-default", pin: int) -> None: ...


def operation_of(document, path):
    return next(iter(document["paths"][path].values()))


def test_an_entry_with_a_type_that_has_no_schema_does_not_take_the_page_away():
    document = description(App(Odd(), config={}))
    assert operation_of(document, "/keys")["x-unimicro"]["returns"] == "Keys"
    assert operation_of(document, "/loops")["x-unimicro"]["returns"] == "Any"
    assert operation_of(document, "/stream")["x-unimicro"]["returns"] == "Any"


def test_the_default_of_a_sensitive_parameter_is_shown_nowhere():
    document = description(App(Odd(), config={}))
    assert "s3cr3t-default" not in json.dumps(document)
    user, password, pin = operation_of(document, "/login")["x-unimicro"]["parameters"]
    assert (user["default"], password["optional"], "optional" in pin) == ("guest", True, False)
    assert document["components"]["schemas"]["login"]["required"] == ["pin"]


def test_a_default_is_always_the_same_text():
    (tags,) = operation_of(description(App(Odd(), config={})), "/tagged")["x-unimicro"]["parameters"]
    assert tags["default"] == ["a", "b", "c", "x", "y", "z"]


def test_the_schema_of_a_result_is_shown():
    document = description(App(Library(), config={}))
    answer = operation_of(document, "/shelf/items")["responses"]["200"]["content"]["application/json"]
    assert answer["schema"]["items"] == {"$ref": "#/components/schemas/Item"}


def test_a_service_is_named_by_its_interface():
    shared = description(App(Library(), config={}))["x-unimicro"]
    assert shared["services"] == {"shelf": {"class": "Shelf", "documentation": "The implementation."}}
    assert shared["format"] == 1
    assert "rest" in shared["channels"]


def test_two_classes_of_one_name_get_different_names():
    def made() -> Any:
        @dataclass
        class Item:
            other: int

        return Item

    class Both(Service):
        @entry
        def first(self) -> None: ...

        @entry
        def second(self) -> None: ...

    Both.first.__annotations__ = {"return": Item}
    Both.second.__annotations__ = {"return": made()}
    classes = description(App(Both(), config={}))["x-unimicro"]["classes"]
    assert [field["name"] for name in ("Item", "Item2") for field in classes[name]["fields"]] == [
        "name",
        "other",
    ]


def test_the_description_is_served_with_the_document():
    import asyncio

    from tests.cli.awkward import app

    async def fetch():
        transport = httpx.ASGITransport(app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return (await client.get("/openapi.json")).json()

    assert asyncio.run(fetch()) == awkward_description()
