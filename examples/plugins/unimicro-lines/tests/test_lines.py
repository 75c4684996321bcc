"""The door passes the tests that every door passes."""

from __future__ import annotations

import json
from typing import Any

from unimicro import App, Outcome, Right
from unimicro.testing.conformance import Call, DoorConformance, read_problem


class TestLines(DoorConformance):
    """``plugins`` stays empty: the door is found by its entry point."""

    def exchange(self, app: App, call: Call) -> Outcome[Any]:
        headers = [f"{name}: {value}\n" for name, value in call.headers.items()]
        return self.send(app, f"{''.join(headers)}{call.operation} {json.dumps({'kwargs': call.kwargs})}")

    def send_malformed(self, app: App) -> Outcome[Any]:
        return self.send(app, "kit.text {")

    def send(self, app: App, request: str) -> Outcome[Any]:
        self.answer = answer = app.door("lines").handle(request.encode())
        word, _, body = answer.partition(b" ")
        return Right(json.loads(body)) if word == b"ok" else read_problem(json.loads(body))
