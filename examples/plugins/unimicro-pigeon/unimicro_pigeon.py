"""A channel whose calls are lines over TCP, one connection each; the door ``lines`` answers such calls.

A request is header lines and then a call, the answer is one line::

    authorization: Bearer token                         ok {"order_id":"42","quantity":1}
    orders.place {"args": ["42"], "kwargs": {}}         error {"type":"about:blank","status":404, ...}
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unimicro import (
    Channel,
    ChannelAddress,
    Connection,
    Failure,
    Instance,
    Left,
    Outcome,
    Right,
    channel,
    hookimpl,
    not_sent,
    remaining_ms,
    unavailable,
)
from unimicro.conversion import ConversionError, converter
from unimicro.errors import ConfigurationError
from unimicro.wire import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unimicro import ChannelContext, Invocation
    from unimicro.discovery import Check
    from unimicro.operation import Operation
    from unimicro.plugins.hookspecs import RegisterChannel, RegisterRegistry

MAX_BYTES = 1024 * 1024
TOO_LATE = Failure("deadline_exceeded", "no answer in time", layer="channel")


class Letter:
    """How one operation is written and its answer read; made once, with the proxy."""

    def __init__(self, operation: Operation, context: ChannelContext) -> None:
        self._name = operation.name
        self._clock = context.clock
        returns = Any if operation.may_respond else operation.signature.returns
        self._result = converter(returns, text=False, where=f"{operation.name}: result")

    def text(self, invocation: Invocation) -> bytes | Failure:
        args, kwargs = invocation.payload
        headers = invocation.metadata.pairs()
        limit = remaining_ms(invocation, self._clock)
        if limit is not None:
            headers.append(("x-timeout-ms", str(limit)))
        if any("\n" in value for _, value in headers):
            return Failure("invalid_argument", "a header field has two lines", layer="channel")
        try:
            call = to_json({"args": args, "kwargs": kwargs})
        except (TypeError, ValueError) as error:
            problem = {"name": "args", "message": f"cannot be sent: {error}"}
            return Failure(
                "invalid_argument", f"args: cannot be sent: {error}", errors=[problem], layer="arguments"
            )
        return "".join(f"{name}: {value}\n" for name, value in headers).encode() + b"%s %s" % (
            self._name.encode(),
            call,
        )

    def outcome(self, answer: bytes) -> Outcome[Any]:
        word, _, body = answer.partition(b" ")
        try:
            value = from_json(body)
            if word == b"ok":
                return Right(self._result(value))
            if word == b"error" and isinstance(value, dict):
                return Left(Failure.from_problem(value))
        except (ValueError, ConversionError) as error:
            text = f"the answer cannot be read: {error}"
            return Left(Failure("internal", text, layer="channel", details={"retry": False}))
        return unavailable("the answer is none, or not whole")


@channel("carrier-pigeon")
class PigeonChannel(Channel[Letter]):
    """To ``pigeon://host:port``; ``max_bytes`` of its settings limits an answer."""

    def prepare(self, operation: Operation) -> Letter:
        return Letter(operation, self.context)

    def connect(self, uri: str) -> Connection[Letter]:
        address = urlsplit(uri)
        if address.scheme != "pigeon" or not address.hostname or address.port is None:
            raise ConfigurationError(f"{uri!r} is no pigeon://host:port")
        return PigeonConnection((address.hostname, address.port), self.context)


class PigeonConnection(Connection[Letter]):
    """There is nothing to close: a call takes its connection with it."""

    def __init__(self, address: tuple[str, int], context: ChannelContext) -> None:
        self._address = address
        self._clock = context.clock
        self._max_bytes: int = context.settings.get("max_bytes", MAX_BYTES)

    def _seconds(self, invocation: Invocation) -> float | None:
        limit = remaining_ms(invocation, self._clock)
        return None if limit is None else limit / 1000

    def invoke(self, wire: Letter, invocation: Invocation) -> Outcome[Any]:
        text = wire.text(invocation)
        if isinstance(text, Failure):
            return Left(text)
        try:
            pigeon = socket.create_connection(self._address, self._seconds(invocation))
        except OSError as error:
            return not_sent(f"nobody is at {self._address}: {error}")
        with pigeon:
            try:
                pigeon.sendall(text)
                pigeon.shutdown(socket.SHUT_WR)
                answer = b""
                while part := pigeon.recv(65536):
                    pigeon.settimeout(self._seconds(invocation))
                    answer += part
                    if len(answer) > self._max_bytes:
                        return self._too_large()
            except TimeoutError:
                return Left(TOO_LATE)
            except OSError as error:
                return unavailable("the connection broke", error)
        return wire.outcome(answer)

    async def ainvoke(self, wire: Letter, invocation: Invocation) -> Outcome[Any]:
        text = wire.text(invocation)
        if isinstance(text, Failure):
            return Left(text)
        began = False
        try:
            async with asyncio.timeout(self._seconds(invocation)):
                reader, writer = await asyncio.open_connection(*self._address)
                try:
                    writer.write(text)
                    began = True
                    writer.write_eof()
                    answer = await reader.read(self._max_bytes + 1)
                    while not reader.at_eof() and len(answer) <= self._max_bytes:
                        answer += await reader.read(self._max_bytes + 1 - len(answer))
                finally:
                    writer.close()
        except TimeoutError:
            return Left(TOO_LATE)
        except OSError as error:
            return (
                unavailable("the connection broke", error) if began else not_sent(f"nobody is there: {error}")
            )
        return self._too_large() if len(answer) > self._max_bytes else wire.outcome(answer)

    def _too_large(self) -> Outcome[Any]:
        return Left(
            Failure("internal", f"the answer is larger than {self._max_bytes} bytes", layer="channel")
        )


class Lofts:
    """A registry that never changes: component to addresses, from the configuration.

    .. code-block:: toml

        [registry]
        kind = "carrier-pigeon"
        lofts = { orders = ["pigeon://127.0.0.1:7000"] }
    """

    def __init__(self, lofts: Mapping[str, Sequence[str]]) -> None:
        self._instances = {
            component: tuple(
                Instance(uri, component, (ChannelAddress("carrier-pigeon", uri),)) for uri in addresses
            )
            for component, addresses in lofts.items()
        }

    def register(self, instance: Instance, check: Check) -> None:
        """Nothing: who is where is written down already."""

    def deregister(self, instance_id: str) -> None:
        """Nothing."""

    def release(self, instance_id: str) -> None:
        """Nothing."""

    def find(self, component: str) -> tuple[Instance, ...]:
        return self._instances.get(component, ())

    def watch(self, component: str, listener: Callable[[tuple[Instance, ...]], None]) -> Callable[[], None]:
        """Nothing ever changes."""
        del component, listener
        return lambda: None

    def close(self) -> None:
        """Nothing is open."""


@hookimpl
def unimicro_register_channels(register: RegisterChannel) -> None:
    """Called when a proxy first asks for the channel."""
    register("carrier-pigeon", PigeonChannel)


@hookimpl
def unimicro_register_registries(register: RegisterRegistry) -> None:
    """Called when the configuration asks for this kind of registry."""
    register("carrier-pigeon", Lofts)
