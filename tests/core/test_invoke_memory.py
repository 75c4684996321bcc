"""A caller who is not let in cannot make the server build what it sends."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, resource, sys
from unimicro import App, Service, entry

class Shop(Service):
    @entry
    def post(self, value: list) -> int:
        return len(value)

app = App(Shop()).asgi
form = sys.argv[1]
size = 10_000_000
empty, separator = (b"\\x80", b"") if form == "msgpack" else (b"{}", b",")
count = size // len(empty + separator)
many = separator.join([empty] * count)
values = (b"\\xdd" + count.to_bytes(4) + many) if form == "msgpack" else b"[" + many + b"]"

def bodies():
    return [of_msgpack, of_json][form == "json"]()

def of_msgpack():
    name = lambda text: bytes([0xA0 + len(text)]) + text
    method = name(b"a:shop:post")
    yield b"\\x82" + name(b"method") + method + name(b"args") + values
    yield b"\\x82" + name(b"method") + method + name(b"kwargs") + b"\\x81" + name(b"value") + values
    yield b"\\x82" + name(b"method") + method + name(b"other") + values
    yield b"\\x81" + name(b"method") + values
    yield values
    yield b"\\x82" + name(b"method") + method + name(b"args") + values[:-1]
    yield b"\\x82" + name(b"method") + method + name(b"args") + values + b"\\xc0"
    yield b"\\x82" + name(b"method") + method + values[:1] + values[1:] + b"\\xc0"

def of_json():
    yield b'{"method":"a:shop:post","args":' + values + b"}"
    yield b'{"method":"a:shop:post","kwargs":{"value":' + values + b"}}"
    yield b'{"method":"a:shop:post","other":' + values + b"}"
    yield b'{"method":' + values + b"}"
    yield values
    yield b'{"method":"a:shop:post","args":' + values[:-1] + b"}"
    yield b'{"method":"a:shop:post","args":' + values + b"}x"
    yield b'{"method":"a:shop:post",' + values + b":1}"

async def call(body):
    scope = {"type": "http", "method": "POST", "path": "/invoke", "raw_path": b"/invoke", "query_string": b"",
             "headers": [(b"content-type", b"application/" + form.encode())]}
    sent = []
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"]

asyncio.run(call(b"x"))  # all there is to import
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
statuses = [asyncio.run(call(body)) for body in bodies()]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *statuses)
"""


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_ten_megabytes_of_empty_maps_cost_no_more_than_their_copies(form):
    """In the arguments, in other members, as no envelope, cut off: built, they are hundreds of megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, timeout=60, check=True
    )
    kilobytes, *statuses = map(int, done.stdout.split())
    assert statuses == [401, 401, 401, 422, 400, 400, 400, 400]
    assert kilobytes < 60_000
