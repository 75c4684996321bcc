"""A door for line protocols. The transport (a socket, a pipe, a serial port) hands over whole requests.

A request is header lines and then a call; the answer is one line::

    authorization: Bearer token                         ok {"order_id":"42","quantity":1}
    orders.place {"kwargs": {"order_id": "42"}}         error {"type":"about:blank","status":404, ...}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro import Invocation, JsonDoor, Metadata, Outcome, hookimpl

if TYPE_CHECKING:
    from unimicro.plugins.hookspecs import RegisterDoor


class LinesDoor(JsonDoor[bytes, bytes]):
    """``handle`` takes a request and returns its answer; nothing raises out of it."""

    name = "lines"

    def decode(self, native: bytes) -> Outcome[Invocation]:
        *headers, call = native.split(b"\n")
        operation, _, body = call.partition(b" ")
        metadata = Metadata(header.decode("utf-8", "replace").partition(": ")[::2] for header in headers)
        return self.json_invocation(operation.decode("utf-8", "replace"), body, metadata, native=native)

    def encode(self, native: bytes, invocation: Invocation | None, outcome: Outcome[Any]) -> bytes:  # noqa: ARG002
        answer = self.json_outcome(invocation, outcome)
        return answer.either(lambda problem: b"error " + problem, lambda result: b"ok " + result)


@hookimpl
def unimicro_register_doors(register: RegisterDoor) -> None:
    """Called when an app first asks for the door."""
    register("lines", LinesDoor)
