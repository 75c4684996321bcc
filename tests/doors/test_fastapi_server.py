"""What the FastAPI server has beside the entries: OpenAPI, lifespan, FastAPI's own middleware and routes."""

import asyncio
import enum
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pytest

from unimicro import App, Header, Invocation, Query, Service, Upload, entry
from unimicro.errors import DefinitionError
from unimicro.wire import from_json


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Item:
    name: str
    parts: list["Item"]


class Shop(Service):
    """Sells things."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.log = []

    async def setup(self):
        self.log.append(("setup", asyncio.get_running_loop()))

    async def stop(self):
        self.log.append(("stop", asyncio.get_running_loop()))

    @entry("GET", "/items/{item_id}", no_auth=True)
    def find(
        self, item_id: int, *, size: Size = Size.SMALL, tenant: Annotated[str, Header("x-tenant")] = ""
    ) -> Item:
        """Find an item."""
        return Item(f"{item_id}{size.value}{tenant}", [])

    @entry("POST", "/items")
    def add(self, *, item: Item, dry: Annotated[bool, Query] = False) -> Item:
        return item

    @entry("PUT", "/items/{item_id}/picture")
    def picture(self, item_id: int, *, file: Upload) -> None: ...

    @entry("GET", "/docs", no_auth=True)
    def docs(self) -> str:
        return "the service's own documentation"


def shop(**settings):
    return App(Shop(), config=settings)


@asynccontextmanager
async def client_of(app):
    transport = httpx.ASGITransport(app.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def get(app, path, **options):
    async def fetch():
        async with client_of(app) as client:
            return await client.get(path, **options)

    return asyncio.run(fetch())


def test_openapi_describes_every_parameter_where_it_is_read():
    document = get(shop(), "/openapi.json").json()
    find = document["paths"]["/items/{item_id}"]["get"]
    places = {parameter["name"]: (parameter["in"], parameter["required"]) for parameter in find["parameters"]}
    assert places == {"item_id": ("path", True), "size": ("query", False), "x-tenant": ("header", False)}
    assert find["operationId"] == "shop.find"
    assert find["description"] == "Find an item."
    add = document["paths"]["/items"]["post"]
    assert [parameter["name"] for parameter in add["parameters"]] == ["dry"]
    assert "application/json" in add["requestBody"]["content"]


def test_openapi_describes_recursive_types_and_enums():
    schemas = get(shop(), "/openapi.json").json()["components"]["schemas"]
    assert schemas["Item"]["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/Item"}
    assert schemas["Size"]["enum"] == ["s", "l"]


def test_openapi_says_which_entries_need_a_token():
    paths = get(shop(), "/openapi.json").json()["paths"]
    assert "security" not in paths["/items/{item_id}"]["get"]
    assert paths["/items"]["post"]["security"] == [{"token": []}]


def test_openapi_is_version_3_1_and_names_the_service():
    document = get(shop(), "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "shop"
    assert document["info"]["description"] == "Sells things."


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 200),
        ({"stage": "prod"}, 404),
        ({"stage": "prod", "openapi": True}, 200),
        ({"openapi": False}, 404),
    ],
)
def test_openapi_is_served_in_the_dev_stage_or_when_asked_for(settings, status):
    assert get(shop(**settings), "/openapi.json").status_code == status


def test_an_entry_goes_before_fastapis_own_pages():
    assert get(shop(), "/docs").text == "the service's own documentation"


def test_fastapi_routes_and_middleware_of_the_user_work_beside_the_entries():
    app = shop()
    native = app.asgi.fastapi

    @native.get("/native")
    def native_route():
        return {"native": True}

    @native.middleware("http")
    async def stamp(request, call_next):
        response = await call_next(request)
        response.headers["x-stamp"] = "1"
        return response

    assert get(app, "/native").json() == {"native": True}
    answer = get(app, "/items/5?size=l", headers={"x-tenant": "t"})
    assert answer.json() == {"name": "5lt", "parts": []}
    assert answer.headers["x-stamp"] == "1"


def test_services_are_set_up_and_stopped_on_the_servers_loop():
    app = shop()
    service = app.services[0]

    async def live():
        messages = asyncio.Queue()
        sent = []

        async def send(message):
            sent.append(message["type"])

        await messages.put({"type": "lifespan.startup"})
        await messages.put({"type": "lifespan.shutdown"})
        await asyncio.wait_for(
            app.asgi({"type": "lifespan", "asgi": {"version": "3.0"}}, messages.get, send), 10
        )
        return asyncio.get_running_loop(), sent

    loop, sent = asyncio.run(live())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert service.log == [("setup", loop), ("stop", loop)]


def test_an_entry_on_the_dispatch_endpoint_is_refused():
    class Clash(Service):
        @entry
        def invoke(self) -> None: ...

    app = App(Clash(), config={})
    with pytest.raises(DefinitionError, match="/invoke is this door's dispatch endpoint"):
        _ = app.asgi


def test_a_mounted_app_serves_the_paths_below_its_mount():
    from starlette.applications import Starlette
    from starlette.routing import Mount

    outer = Starlette(routes=[Mount("/shop", app=shop().asgi)])

    async def fetch():
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            rest = await client.get("/shop/items/5")
            call = await client.post("/shop/invoke", json={"method": "x:shop:find", "args": [5]})
            return rest.json(), call.json()["result"]

    assert asyncio.run(fetch()) == ({"name": "5s", "parts": []}, {"name": "5s", "parts": []})


def test_a_client_that_goes_away_while_it_sends_gets_no_answer_from_the_service():
    app = App(Counter(), config={})
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(app.asgi(request_for(b"/count"), receive, send), 10))
    assert app.services[0].calls == 0
    assert sent[0]["status"] == 499


class Counter(Service):
    calls = 0

    @entry(no_auth=True)
    def count(self, *, value: int = 0) -> int:
        self.calls += 1
        return value


def request_for(target, method="POST", headers=()):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": target.decode(),
        "raw_path": target,
        "query_string": b"",
        "headers": list(headers),
        "root_path": "",
        "scheme": "http",
    }


def answered(app, scope, body=b""):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(app.asgi(scope, receive, send), 10))
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("target", [b"/count", b"http://example.com/count", b"https://u@[::1]:8000/count"])
def test_a_request_target_in_absolute_form_is_understood(target):
    """RFC 9112 §3.2.2; uvicorn hands it on as it came when it reads HTTP with h11."""
    assert answered(App(Counter(), config={}), request_for(target)) == (200, b"0")


def test_the_dispatch_endpoint_is_found_by_a_target_in_absolute_form():
    scope = request_for(b"http://example.com/invoke", headers=[(b"content-type", b"application/json")])
    status, body = answered(App(Counter(), config={}), scope, b'{"method":"a:counter:count"}')
    assert (status, from_json(body)["result"]) == (200, 0)


def test_a_path_that_only_ends_like_it_is_not_the_dispatch_endpoint():
    scope = request_for(b"/count/invoke", headers=[(b"content-type", b"application/json")])
    assert answered(App(Counter(), config={}), scope, b'{"method":"a:counter:count"}')[0] == 404
    del scope["raw_path"]  # optional in ASGI
    assert answered(App(Counter(), config={}), scope, b'{"method":"a:counter:count"}')[0] == 404


class Fields(Service):
    @entry(no_auth=True)
    def get(self, invocation: Invocation) -> list[Any]:
        return invocation.metadata.pairs()


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"a", b"1"), (b"b", b"\xe4"), (b"c", b"")],
        [(b"a", b"1\x00b"), (b"c", b"2")],
        [(b"a", b"1\x00b\x002"), (b"c", b"3")],
        [(b"a", b"1\x00a"), (b"b", b"2")],
        [(b"a", b"1"), (b"a", b"2"), (b"b", b"3")],
    ],
)
def test_every_field_arrives_as_it_was_sent(headers):
    """A server should refuse a NUL (RFC 9110 §5.5); one that does not must not make fields of it."""
    _, body = answered(App(Fields(), config={}), request_for(b"/", "GET", headers))
    assert from_json(body) == [[name.decode(), value.decode("latin-1")] for name, value in headers]


def test_a_verb_in_lower_case_is_the_verb():
    """As behind the other doors; ASGI promises upper case, uvicorn with h11 does not keep that."""
    assert answered(App(Counter(), config={}), request_for(b"/count", "post"))[0] == 200


@pytest.mark.parametrize(
    ("length", "status"), [(b"\xb2", 200), (b"9" * 5000, 413), (b"-5", 200), (b"many", 200)]
)
def test_a_length_that_is_no_number_python_reads_is_survived(length, status):
    scope = request_for(b"/count", headers=[(b"content-length", length)])
    assert answered(App(Counter(), config={}), scope)[0] == status
