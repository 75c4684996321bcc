"""The FastAPI server, over ASGI: the REST entries and the dispatch endpoint in both formats."""

import asyncio
from abc import abstractmethod
from datetime import UTC, datetime

import httpx
import msgpack
import pytest

from unimicro.metadata import Metadata
from unimicro.outcome import Right
from unimicro.testing.conformance import AUTHORIZED, DoorConformance, canonical, read_problem
from unimicro.testing.http_conformance import HttpDoorConformance, HttpReply
from unimicro.wire import from_json, to_json


def send(app, method, target, headers, body):
    async def exchange():
        transport = httpx.ASGITransport(app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            async with client.stream(method, target, headers=fields, content=body) as response:
                raw = b"".join([chunk async for chunk in response.aiter_raw()])
                return HttpReply(response.status_code, Metadata(response.headers.multi_items()), raw)

    return asyncio.run(asyncio.wait_for(exchange(), 30))


class TestFastApi(HttpDoorConformance):
    def request(self, app, method, target, headers, body=b""):
        return send(app, method, target, {"accept-encoding": "identity", **headers}, body)


class DispatchConformance(DoorConformance):
    content_type: str

    @abstractmethod
    def pack(self, value): ...

    @abstractmethod
    def unpack(self, data): ...

    def post(self, app, body, headers):
        reply = send(app, "POST", "/invoke", {**headers, "content-type": self.content_type}, body)
        assert reply.headers["content-type"] == self.content_type
        return reply

    def exchange(self, app, call):
        method = "test:" + call.operation.replace(".", ":")
        body = self.pack({"method": method, "args": [], "kwargs": call.kwargs})
        self.answer = self.post(app, body, call.headers)
        answer = self.unpack(self.answer.body)
        if answer["exception"] is None:
            return canonical(Right(answer["result"]))
        assert answer["exception"].startswith(answer["failure"]["code"])
        return read_problem(answer["failure"])

    def send_malformed(self, app):
        reply = self.post(app, b'\x81{"method":', AUTHORIZED)
        assert reply.status == 400
        return read_problem(self.unpack(reply.body)["failure"])

    @pytest.mark.parametrize("method", ["", "kit.count", "kit:count", "a:b:c:d", 5, None])
    def test_a_malformed_method_name_is_refused(self, app, method):
        reply = self.post(app, self.pack({"method": method}), AUTHORIZED)
        assert reply.status == 422
        assert self.unpack(reply.body)["failure"]["errors"][0]["name"] == "method"

    @pytest.mark.parametrize("envelope", [[], "x", 5, None])
    def test_a_body_that_is_no_envelope_is_refused(self, app, envelope):
        assert self.post(app, self.pack(envelope), AUTHORIZED).status == 400

    def test_a_body_that_nests_too_deeply_is_refused(self, app):
        value = []
        for _ in range(150):
            value = [value]
        body = self.pack({"method": "a:kit:anything", "kwargs": {"value": value}})
        assert self.post(app, body, AUTHORIZED).status == 400

    def test_a_compressed_body_is_a_415(self, app):
        body = self.pack({"method": "a:kit:open"})
        headers = {"content-encoding": "gzip"}
        reply = self.post(app, body, headers)
        assert (reply.status, reply.headers["accept-encoding"]) == (415, "identity")
        assert self.post(app, body, {"content-encoding": "identity"}).status == 200

    def test_positional_arguments_are_taken_in_order(self, app):
        reply = self.post(app, self.pack({"method": "a:kit:get_sum", "args": [1, 5]}), AUTHORIZED)
        assert self.unpack(reply.body)["result"] == 6

    def test_too_many_positional_arguments_are_refused(self, app):
        reply = self.post(app, self.pack({"method": "a:kit:get_sum", "args": [1, 2, 3]}), AUTHORIZED)
        assert reply.status == 422

    def test_a_service_that_fails_is_answered_200_for_clients_of_the_format(self, app):
        reply = self.post(app, self.pack({"method": "a:kit:crash"}), AUTHORIZED)
        assert (reply.status, self.unpack(reply.body)["exception"]) == (200, "internal: internal error")

    def test_a_refused_caller_gets_the_status(self, app):
        assert self.post(app, self.pack({"method": "a:kit:count"}), {}).status == 401


class TestDispatchJson(DispatchConformance):
    content_type = "application/json"

    def pack(self, value):
        return to_json(value)

    def unpack(self, data):
        return from_json(data)

    def test_another_content_type_is_a_415(self, app):
        reply = send(app, "POST", "/invoke", {**AUTHORIZED, "content-type": "text/xml"}, b"<a/>")
        assert reply.status == 415

    def test_only_post_is_served(self, app):
        reply = send(app, "GET", "/invoke", AUTHORIZED, b"")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")


class TestDispatchMsgpack(DispatchConformance):
    content_type = "application/msgpack"

    def pack(self, value):
        return msgpack.packb(value)

    def unpack(self, data):
        return msgpack.unpackb(data)

    def test_bytes_travel_as_they_are(self, app):
        assert self.call_raw(app, "binary") == b"\x00\xff\xfe"

    def call_raw(self, app, method):
        reply = self.post(app, self.pack({"method": f"a:kit:{method}"}), AUTHORIZED)
        return self.unpack(reply.body)["result"]

    @pytest.mark.parametrize("seconds", [0, 1_700_000_000, -1])
    def test_a_timestamp_of_the_format_is_a_time(self, app, seconds):
        moment = datetime.fromtimestamp(seconds, UTC)
        body = msgpack.packb({"method": "a:kit:moment", "kwargs": {"value": moment}}, datetime=True)
        answer = self.unpack(self.post(app, body, AUTHORIZED).body)
        assert datetime.fromisoformat(answer["result"]) == moment

    @pytest.mark.parametrize(
        "value",
        [
            msgpack.ExtType(5, b"x"),
            msgpack.Timestamp(2**62),
            msgpack.ExtType(-1 & 127, b""),
        ],
    )
    def test_what_no_service_could_take_is_refused(self, app, value):
        body = msgpack.packb({"method": "a:kit:anything", "kwargs": {"value": value}})
        assert self.post(app, body, AUTHORIZED).status == 400

    def test_a_malformed_body_is_told_what_is_wrong_with_it(self, app):
        answer = self.unpack(self.post(app, b"\xc1", AUTHORIZED).body)
        assert answer["failure"]["detail"] == "body: malformed msgpack: FormatError"
