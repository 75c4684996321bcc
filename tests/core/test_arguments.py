"""Where arguments come from, and how wrong ones are told."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

import pytest

from tests.core.helpers import complaints, failure
from unimicro import App, Header, Invocation, Query, Service, entry


@dataclass
class Line:
    sku: str
    count: int = 1


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


UserId = NewType("UserId", int)


class Args(Service):
    @entry(no_auth=True)
    def get_sum(self, a: int, b: int = 10, *, c: int = 100) -> list[int]:
        return [a, b, c]

    @entry(no_auth=True)
    def post_order(self, order_id: int, line: Line, note: str = "", *, express: bool) -> list[Any]:
        return [order_id, line, note, express]

    @entry(no_auth=True)
    def put_tags(self, tags: list[str]) -> list[str]:
        return tags

    @entry(no_auth=True)
    def get_tags(self, *, tag: list[int] = []) -> list[int]:  # noqa: B006 - never changed
        return tag

    @entry(no_auth=True)
    def get_rest(self, key: str, size: int = 1, **rest: Any) -> list[Any]:
        return [key, size, rest]

    @entry(no_auth=True)
    def post_rest(self, key: str, size: int = 1, **rest: Any) -> list[Any]:
        return [key, size, rest]

    @entry(no_auth=True)
    def post_marked(
        self,
        page: Annotated[int, Query("page-size")] = 1,
        tenant: Annotated[str, Header] = "none",
        x_many: Annotated[list[str], Header("X-Many")] = [],  # noqa: B006 - never changed
        note: str = "",
    ) -> list[Any]:
        return [page, tenant, x_many, note]

    @entry(no_auth=True)
    def get_typed(
        self,
        colour: Colour,
        when: datetime,
        day: date,
        uid: uuid.UUID,
        price: Decimal,
        kind: Literal["a", 1],
        flag: bool,
        who: UserId,
    ) -> list[str]:
        return [repr(value) for value in (colour, when, day, uid, price, kind, flag, who)]

    @entry(no_auth=True)
    def post_user(self, who: UserId) -> int:
        return who

    @entry(no_auth=True)
    def get_context(self, x: int, inv: Invocation) -> list[Any]:
        return [x, inv.operation, inv.door]

    @entry(no_auth=True)
    def get_ahead(self, a: int, b: int = 5, /, c: int = 7) -> list[int]:
        return [a, b, c]

    @entry(no_auth=True)
    def get_anything(self, *, x=None):
        return {"x": x}


app = App(Args())
client = app.test_client()


def test_positional_parameters_are_path_and_the_rest_is_query_on_get():
    assert client.get("/sum/1").json == [1, 10, 100]
    assert client.get("/sum/1?b=2&c=3").json == [1, 2, 3]


def test_on_post_a_dataclass_without_default_is_a_member_of_the_body():
    route = app.operations["args.post_order"].http
    assert route.template == "/order/{order_id}"
    answer = client.post("/order/7", json={"line": {"sku": "a"}, "express": True})
    assert answer.json == [7, {"sku": "a", "count": 1}, "", True]


def test_form_fields_are_body_members_too():
    answer = client.post("/rest/k", data={"size": "3", "more": "x"})
    assert answer.json == ["k", 3, {"more": "x"}]


def test_a_list_annotation_collects_repeated_values():
    assert client.get("/tags?tag=1&tag=2").json == [1, 2]
    assert client.get("/tags?tag=1").json == [1]
    assert client.get("/tags").json == []
    assert client.put("/tags", data={"tags": ["a", "b"]}).json == ["a", "b"]
    assert client.put("/tags", json={"tags": ["a"]}).json == ["a"]


def test_a_value_that_is_no_list_may_not_come_twice():
    assert complaints(client.get("/sum/1?b=1&b=2")) == {"b": "given more than once"}
    assert client.get("/anything?x=1&x=2").json == {"x": ["1", "2"]}


def test_kwargs_take_the_rest():
    assert client.get("/rest/k?a=1&b=2&b=3").json == ["k", 1, {"a": "1", "b": ["2", "3"]}]
    assert client.post("/rest/k", json={"a": {"n": 1}}).json == ["k", 1, {"a": {"n": 1}}]
    assert app.call("args.get_rest", "k", other=1).value == ["k", 1, {"other": 1}]


@pytest.mark.parametrize("send", ["query", "json", "form"])
def test_kwargs_never_override_a_path_parameter(send):
    if send == "query":
        answer = client.get("/rest/right?key=wrong")
    elif send == "json":
        answer = client.post("/rest/right", json={"key": "wrong"})
    else:
        answer = client.post("/rest/right", data={"key": "wrong"})
    assert complaints(answer) == {"key": "belongs in the path"}


def test_kwargs_cannot_take_the_name_of_self():
    assert complaints(client.post("/rest/k", json={"self": 1})) == {"self": "unexpected argument"}
    assert failure(app.call("args.post_rest", "k", self=1)).status == 422


def test_a_call_by_name_cannot_fill_the_injected_invocation():
    assert failure(app.call("args.get_context", 1, inv="mine")).errors[0]["name"] == "inv"
    assert app.call("args.get_context", 1).value == [1, "args.get_context", "local"]
    assert client.get("/context/3").json == [3, "args.get_context", "http"]


def test_every_wrong_argument_is_named_at_once():
    answer = client.post("/order/seven", json={"line": {"count": 1}, "note": 5, "what": 1})
    assert complaints(answer).keys() == {"order_id", "line", "note", "express", "what"}
    assert complaints(answer)["express"] == "missing"
    assert complaints(answer)["what"] == "unexpected argument"
    assert all(name in answer.json["detail"] for name in complaints(answer))


def test_a_wrong_value_deep_inside_is_named_by_its_path():
    answer = client.post("/order/7", json={"line": {"sku": "a", "count": "x"}, "express": True})
    assert list(complaints(answer)) == ["line.count"]


def test_the_same_arguments_fail_alike_in_process():
    failed = failure(app.call("args.post_order", "seven", note=5, what=1))
    assert (failed.code, failed.status, failed.layer) == ("invalid_argument", 422, "arguments")
    assert {error["name"] for error in failed.errors} == {"order_id", "line", "note", "express", "what"}


def test_too_many_positional_arguments_and_names_given_twice_are_told():
    assert failure(app.call("args.get_sum", 1, 2, 3)).errors[0]["name"] == "args"
    assert failure(app.call("args.get_sum", 1, a=1)).errors[0]["message"] == "given more than once"


def test_a_query_field_of_a_body_member_is_refused_and_so_is_an_unknown_one():
    answer = client.post("/order/7?note=x&huh=1", json={"line": {"sku": "a"}, "express": True})
    assert complaints(answer) == {"note": "belongs in the body", "huh": "unexpected argument"}


def test_markers_place_parameters():
    headers = [("tenant", "acme"), ("x-many", "a")]
    answer = client.post("/marked?page-size=4", json={"note": "n"}, headers=dict(headers))
    assert answer.json == [4, "acme", ["a"], "n"]
    assert client.post("/marked").json == [1, "none", [], ""]
    assert complaints(client.post("/marked?page-size=x")).keys() == {"page-size"}
    assert app.call("args.post_marked", page=2, tenant="t").value == [2, "t", [], ""]


def test_types_of_the_hints_are_read_from_text():
    uid = uuid.UUID(int=5)
    path = f"/typed/red/2026-01-02T03:04:05/2026-01-02/{uid}/1.50/a/true/9"
    assert client.get(path).json == [
        repr(value)
        for value in (
            Colour.RED,
            datetime(2026, 1, 2, 3, 4, 5),
            date(2026, 1, 2),
            uid,
            Decimal("1.50"),
            "a",
            True,
            9,
        )
    ]
    wrong = client.get("/typed/green/now/today/5/x/b/maybe/me")
    assert complaints(wrong).keys() == {"colour", "when", "day", "uid", "price", "kind", "flag", "who"}


def test_a_new_type_is_as_good_as_what_it_stands_for():
    assert client.post("/user/5").json == 5


def test_positional_only_parameters_keep_their_defaults():
    assert client.get("/ahead/1").json == [1, 5, 7]
    assert client.get("/ahead/1?b=2&c=3").json == [1, 2, 3]
    assert app.call("args.get_ahead", 1, c=9).value == [1, 5, 9]
