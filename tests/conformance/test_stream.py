"""The WebSocket ``/stream``, over ASGI."""

import asyncio

import pytest

from tests.channels.stream_peers import call_octets, in_memory
from unimicro.channels.stream_frames import ANSWER, FAILED
from unimicro.outcome import Right
from unimicro.testing.conformance import AUTHORIZED, DoorConformance, canonical, read_problem


async def exchange(app, frame):
    async with in_memory(app.asgi) as wire:
        await wire.hello()
        await wire.put(7, frame)
        return await wire.whole()


class TestStream(DoorConformance):
    def send(self, app, frame):
        self.answer = asyncio.run(exchange(app, frame))
        kind, number, content = self.answer
        assert number == 7
        if kind == ANSWER:
            return canonical(Right(content))
        assert kind == FAILED
        return read_problem(content)

    def exchange(self, app, call):
        method = "test:" + call.operation.replace(".", ":")
        return self.send(app, call_octets(7, method, kwargs=call.kwargs, headers=call.headers))

    def send_malformed(self, app):
        frame = call_octets(7, "test:kit:text", headers=AUTHORIZED)
        # A map with a key that cannot be one.
        return self.send(app, frame[:-1] + b"\x81\x90\x01")

    @pytest.mark.parametrize("method", ["", "kit.count", "kit:count", "a:b:c:d"])
    def test_a_malformed_method_name_is_refused(self, app, method):
        failure = self.send(app, call_octets(7, method, headers=AUTHORIZED)).monoid[0]
        assert (failure.status, failure.errors[0]["name"]) == (422, "method")

    def test_arguments_that_are_no_list_and_no_map_are_refused(self, app):
        frame = call_octets(7, "test:kit:text", headers=AUTHORIZED)
        failure = self.send(app, frame[:-2] + b"\x01\x02").monoid[0]
        assert [error["name"] for error in failure.errors] == ["args", "kwargs"]

    def test_positional_arguments_are_taken_in_order(self, app):
        assert self.send(app, call_octets(7, "a:kit:get_sum", [1, 5], headers=AUTHORIZED)) == Right(6)

    def test_names_of_headers_are_lower_case_whatever_was_sent(self, app):
        headers = {"Authorization": AUTHORIZED["authorization"]}
        assert self.send(app, call_octets(7, "a:kit:count", headers=headers)) == Right(1)

    def test_arguments_that_nest_too_deeply_are_refused(self, app):
        value = []
        for _ in range(150):
            value = [value]
        failure = self.send(app, call_octets(7, "a:kit:anything", [], {"value": value}, AUTHORIZED)).monoid[0]
        assert failure.status == 400

    def test_bytes_travel_as_they_are(self, app):
        asyncio.run(exchange(app, call_octets(7, "a:kit:binary", headers=AUTHORIZED)))
        frame = asyncio.run(exchange(app, call_octets(7, "a:kit:binary", headers=AUTHORIZED)))
        assert frame[2] == b"\x00\xff\xfe"
