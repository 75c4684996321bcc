"""Verb and path of an entry, from its name and parameters."""

from __future__ import annotations

from typing import Annotated

import pytest

from unimicro import App, Path, Service, entry


class Names(Service):
    @entry(no_auth=True)
    def get(self): ...

    @entry(no_auth=True)
    def get_order_lines(self): ...

    @entry(no_auth=True)
    def post_(self, a: int = 0): ...

    @entry(no_auth=True)
    def put__x_(self): ...

    @entry(no_auth=True)
    def refresh(self): ...

    @entry(no_auth=True)
    def refresh_all_now(self): ...

    @entry(no_auth=True)
    def getaway(self): ...

    @entry(no_auth=True)
    def patch_item(self, item_id: int, note: str = "", *, loud: bool = False): ...

    @entry(no_auth=True)
    def delete_item(self, item_id: int, line: int): ...

    @entry(no_auth=True)
    def head_probe(self): ...

    @entry(no_auth=True)
    def options_probe(self): ...

    @entry("GET", no_auth=True)
    def summary(self, year: int): ...

    @entry("put", "/explicit/{b}/of/{a}/", no_auth=True)
    def explicit(self, a: int, b: int): ...

    @entry(no_auth=True)
    def get_page(self, number: Annotated[int, Path] = 1): ...


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("get", "GET /"),
        ("get_order_lines", "GET /order/lines"),
        ("post_", "POST /"),
        ("put__x_", "PUT /x"),
        ("refresh", "POST /refresh"),
        ("refresh_all_now", "POST /refresh/all/now"),
        ("getaway", "POST /getaway"),
        ("patch_item", "PATCH /item/{item_id}"),
        ("delete_item", "DELETE /item/{item_id}/{line}"),
        ("head_probe", "HEAD /probe"),
        ("options_probe", "OPTIONS /probe"),
        ("summary", "GET /summary/{year}"),
        ("explicit", "PUT /explicit/{b}/of/{a}"),
        ("get_page", "GET /page/{number}"),
    ],
)
def test_a_method_name_gives_verb_and_path(method, route):
    http = App(Names()).operations[f"names.{method}"].http
    assert f"{http.verb} {http.template}" == route


def test_operations_are_named_after_service_and_method():
    assert "orders.get" in App(Names(name="orders")).operations
    assert App(Names()).operations.keys() == {f"names.{name}" for name in vars(Names) if name[0] != "_"}


def test_routes_lists_verb_and_template_sorted_by_path():
    routes = App(Names()).routes
    assert routes[:2] == ["GET /", "POST /"]
    assert routes == sorted(routes, key=lambda route: route.split(" ")[::-1])


def test_a_class_name_in_camel_case_becomes_snake_case():
    class HTTPOrderService2(Service):
        @entry
        def get(self): ...

    assert list(App(HTTPOrderService2()).operations) == ["http_order_service2.get"]


def test_several_functions_share_a_path_with_different_parameters():
    class Items(Service):
        @entry(no_auth=True)
        def get_items(self):
            return "all"

        @entry(no_auth=True)
        def get_items_(self, item: int):
            return f"item {item}"

        @entry(no_auth=True)
        def get__items(self, item: int, line: int):
            return f"line {line} of {item}"

    client = App(Items()).test_client()
    answers = [client.get(path).text for path in ("/items", "/items/3", "/items/3/4")]
    assert answers == ["all", "item 3", "line 4 of 3"]


def test_a_url_prefix_stands_before_every_path():
    class Admin(Service):
        @entry(no_auth=True)
        def get(self):
            return "root"

        @entry("GET", "/x/{y}", no_auth=True)
        def other(self, y: str):
            return y

    app = App(Admin(url_prefix="/admin/"))
    assert app.routes == ["GET /admin", "GET /admin/x/{y}"]
    assert app.test_client().get("/admin/").text == "root"


def test_an_entry_of_another_stage_does_not_exist():
    class Staged(Service):
        @entry(no_auth=True)
        def get(self):
            return "always"

        @entry(no_auth=True, stage="dev")
        def get_debug(self):
            return "debug"

    assert App(Staged(), stage="dev").test_client().get("/debug").text == "debug"
    prod = App(Staged(), stage="prod")
    assert prod.test_client().get("/debug").status_code == 404
    assert prod.call("staged.get_debug").monoid[0].code == "unimplemented"


def test_properties_of_a_service_are_not_run_while_it_is_compiled():
    class Lazy(Service):
        @property
        def connection(self):
            raise RuntimeError("connected at assembly")

        @entry(no_auth=True)
        def get(self):
            return "fine"

    assert App(Lazy()).test_client().get("/").text == "fine"


def test_an_inherited_entry_is_served_and_an_overridden_one_runs_the_override():
    class Base(Service):
        @entry(no_auth=True)
        def get(self):
            return "base"

        @entry(no_auth=True)
        def get_kept(self):
            return "kept"

    class Derived(Base):
        @entry(no_auth=True)
        def get(self):
            return "derived"

    client = App(Derived()).test_client()
    assert (client.get("/").text, client.get("/kept").text) == ("derived", "kept")
