"""The in-memory message door."""

from unimicro.outcome import Right
from unimicro.routes.memory import Message
from unimicro.testing.conformance import AUTHORIZED, DoorConformance, read_problem
from unimicro.wire import from_json, to_json


class TestMemory(DoorConformance):
    def exchange(self, app, call):
        body = to_json({"args": [], "kwargs": call.kwargs})
        return self.deliver(app, Message(call.operation, body, call.headers, correlation_id="c-1"))

    def deliver(self, app, message):
        self.answer = reply = app.door("memory").handle(message)
        assert reply.correlation_id == message.correlation_id
        body = from_json(reply.body)
        if body["error"] is None:
            return Right(body["result"])
        return read_problem(body["error"]["failure"])

    def send_malformed(self, app):
        return self.deliver(app, Message("kit.text", b'{"kwargs": ', AUTHORIZED))
