"""The service behind the sample events of ``tests/events``, and how to load those."""

import base64
import json
from pathlib import Path
from typing import Annotated, Any

from unimicro import App, Body, Cors, Invocation, Response, Service, entry
from unimicro.errors import NotFound

EVENTS = Path(__file__).parent.parent / "events"
EXPECTED = json.loads((EVENTS / "expected.json").read_text())
SECRET = "s3cr3t-in-an-exception"


def load(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


def all_events():
    return sorted(path.stem for path in EVENTS.glob("*.json") if path.stem != "expected")


def seen(invocation: Invocation, name: str) -> dict[str, Any]:
    """What the service can know of a request."""
    headers: dict[str, list[str]] = {}
    for field, value in invocation.metadata.pairs():
        headers.setdefault(field, []).append(value)
    return {
        "operation": invocation.operation,
        "name": name,
        "query": invocation.payload.query,
        "headers": headers,
        "cookies": headers.get("cookie", []),
        "body": base64.b64encode(invocation.payload.body).decode(),
        "stage": invocation.stage,
        "door": invocation.door,
        "id": invocation.id,
        "deadline": invocation.deadline,
    }


class Echo(Service):
    """Answers with what it was asked."""

    @entry("GET", "/", no_auth=True)
    def root(self) -> str:
        return "root"

    @entry("GET", "/echo/{name}", no_auth=True)
    def read(self, name: str, invocation: Invocation, **rest: Any) -> dict[str, Any]:
        return seen(invocation, name)

    @entry("POST", "/echo/{name}", no_auth=True, cors=Cors())
    def write(self, name: str, body: Annotated[bytes, Body], invocation: Invocation) -> dict[str, Any]:
        return seen(invocation, name)

    @entry("POST", "/form", no_auth=True)
    def form(self, name: str, tag: list[str]) -> list[Any]:
        return [name, tag]

    @entry("GET", "/large", no_auth=True)
    def large(self) -> str:
        return "large " * 1000

    @entry("GET", "/binary", no_auth=True)
    def binary(self) -> bytes:
        return b"\x00\xff"

    @entry("GET", "/latin", no_auth=True, content_type="text/plain; charset=iso-8859-1")
    def latin(self) -> bytes:
        return "é".encode("latin-1")

    @entry("GET", "/cookies", no_auth=True)
    def cookies(self) -> Response:
        many = ["a=1", "b=2; Secure", "c=3"]
        return Response("yum", 201, [*(("Set-Cookie", value) for value in many), ("X-A", "1"), ("x-a", "2")])

    @entry("GET", "/injected", no_auth=True)
    def injected(self) -> Response:
        return Response("x", 200, {"X-A": "1\r\nSet-Cookie: evil=1"})

    @entry("GET", "/broken", no_auth=True)
    def broken(self) -> str:
        raise RuntimeError(SECRET)

    @entry("GET", "/missing", no_auth=True)
    def missing(self) -> str:
        raise NotFound("no such thing")

    @entry(no_auth=True)
    def add(self, left: int, right: int) -> int:
        return left + right

    @entry
    def locked(self) -> str:
        return "open"

    @entry(no_auth=True)
    def unencodable(self) -> Any:
        return object()

    def token_authorizer(self, token: str) -> bool:
        return token == "good"


class Context:
    """Lambda's context object, as far as anybody reads it."""

    aws_request_id = "8f5d6f0e-2c64-4b1c-9d9a-3a1f2f0f7e55"

    def __init__(self, remaining: int = 3000) -> None:
        self._remaining = remaining

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining


def make_app(**options: Any) -> App:
    return App(Echo(), **{"config": {}, **options})


app = make_app()
handler = app.lambda_handler
