"""The service that the conformance kit drives: every type, every way to fail."""

from __future__ import annotations

import asyncio
import enum
import threading
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from unimicro.app import App
from unimicro.errors import NotFound, ServiceError, Unavailable
from unimicro.invocation import Invocation
from unimicro.outcome import Failure, Response
from unimicro.pipeline.authorizer import Authorizer
from unimicro.pipeline.clock import VirtualClock
from unimicro.pipeline.decider import Decider
from unimicro.service import Service, entry
from unimicro.signature import Body, Header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly
    from unimicro.pipeline.ports import Clock

SECRET = "s3cr3t-in-an-exception"  # noqa: S105 - what must not leak
TOKEN = "good"  # noqa: S105
STAGE = "test"


class Color(enum.Enum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Node:
    """A recursive type."""

    name: str
    children: list[Node] = field(default_factory=list)


@dataclass
class Line:
    """Part of an order."""

    sku: str
    quantity: int = 1
    price: Decimal = Decimal(0)


@dataclass
class Order:
    """A nested type."""

    id: UUID
    placed: datetime
    lines: list[Line]
    note: str | None = None
    color: Color = Color.RED


class OutOfStock(Exception):
    """A declared error."""

    code = "failed_precondition"


@dataclass
class Shortage(Exception):
    """A declared error with attributes."""

    code = "resource_exhausted"

    sku: str
    wanted: Line
    until: datetime
    color: Color = Color.RED


@dataclass(frozen=True)
class Yesterday(Authorizer):
    """Every token has expired."""

    label = "token"

    def decider(self, operation: Operation, assembly: Assembly) -> Decider:  # noqa: ARG002 - the base's
        reason = {"reason": "expired"}
        return Decider(lambda _: Failure("permission_denied", "the token has expired", details=reason))


class Kit(Service):
    """Echoes, fails, waits.

    Attributes:
        clock: The app's.
        calls: How often ``count`` has run.
        keys: Idempotency keys of the attempts of ``flaky``.
        waiting: Set while ``wait`` or ``hold`` runs.
        cancelled: Set when ``wait`` was cancelled.
        released: Ends ``hold``.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(name="kit")
        self.clock = clock
        self.calls = 0
        self.keys: list[str | None] = []
        self.waiting, self.cancelled, self.released = (threading.Event() for _ in range(3))

    def token_authorizer(self, token: str) -> bool | str:
        if token == "raise":  # noqa: S105
            raise RuntimeError(SECRET)
        accepted: dict[str, bool | str] = {TOKEN: True, "staged": STAGE, "elsewhere": "prod"}
        return accepted.get(token, False)

    @entry
    def text(self, *, value: str) -> str:
        return value

    @entry
    def integer(self, *, value: int) -> int:
        return value

    @entry
    async def number(self, *, value: float) -> float:
        return value

    @entry
    def boolean(self, *, value: bool) -> bool:
        return value

    @entry
    def moment(self, *, value: datetime) -> datetime:
        return value

    @entry
    def identity(self, *, value: UUID) -> UUID:
        return value

    @entry
    def amount(self, *, value: Decimal) -> Decimal:
        return value

    @entry
    def color(self, *, value: Color) -> Color:
        return value

    @entry
    def optional(self, *, value: int | None = None) -> dict[str, Any]:
        return {"value": value}

    @entry
    def union(self, *, value: int | str) -> list[Any]:
        return [value, type(value).__name__]

    @entry
    def either_class(self, *, value: Line | Node) -> str:
        return type(value).__name__

    @entry
    def literal(self, *, value: Literal["a", "b"]) -> str:
        return value

    @entry
    def numbers(self, *, value: list[int]) -> list[int]:
        return value

    @entry
    def unique(self, *, value: set[int]) -> list[int]:
        return sorted(value)

    @entry
    def numbered(self, *, value: dict[int, str]) -> dict[int, str]:
        return value

    @entry
    def mapping(self, *, value: dict[str, int]) -> dict[str, int]:
        return value

    @entry
    def pair(self, *, value: tuple[int, str]) -> tuple[int, str]:
        return value

    @entry
    async def tree(self, *, value: Node) -> Node:
        return value

    @entry
    def order(self, *, value: Order) -> Order:
        return value

    @entry
    def anything(self, *, value: Any = None) -> list[Any]:
        return [value]

    @entry
    def rest(self, **values: Any) -> dict[str, Any]:
        return values

    @entry
    def get_sum(self, left: int, right: int = 2) -> int:
        return left + right

    @entry
    def nothing(self) -> None:
        return None

    @entry
    def binary(self) -> bytes:
        return b"\x00\xff\xfe"

    @entry
    def created(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        return {"id": 1}, 201, {"X-Location": "/things/1"}

    @entry
    def gone(self) -> Response:
        return Response("it is gone", 410)

    @entry
    def handed_on(self) -> Response:
        return Response("whole", 200, {"Transfer-Encoding": "chunked", "Connection": "close", "X-Kept": "1"})

    @entry
    def get_unchanged(self) -> Response:
        return Response(None, 304, {"ETag": '"1"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})

    @entry
    def tags(self, *, x_tag: Annotated[list[str], Header] = []) -> list[str]:  # noqa: B006
        return x_tag

    @entry
    def octets(self, body: Annotated[bytes, Body]) -> bytes:
        return body

    @entry
    def fail(self, *, code: str) -> None:
        for kind in ServiceError.__subclasses__():
            if kind.code == code:
                raise kind(f"as asked: {code}", details={"asked": code}, retry_after=2.0)

    @entry(errors=[OutOfStock])
    async def declared(self, *, sku: str) -> None:
        raise OutOfStock(sku, 3)

    @entry
    def unprintable(self) -> None:
        raise NotFound("no \ud800 here")

    @entry
    def detailed(self) -> None:
        raise NotFound("sold", details={"price": Decimal("1.50")})

    @entry
    def crash(self) -> None:
        raise RuntimeError(SECRET)

    @entry
    async def crash_async(self) -> None:
        raise RuntimeError(SECRET)

    @entry
    async def crash_cancelled(self) -> None:
        given_up = asyncio.get_running_loop().create_future()
        given_up.cancel()
        await given_up

    @entry
    def unencodable(self) -> Any:
        return {"value": object()}

    @entry
    def slow(self) -> str:
        self.clock.sleep(5)
        return "late"

    @entry
    async def slow_async(self) -> str:
        await self.clock.asleep(5)
        return "late"

    @entry
    def count(self) -> int:
        self.calls += 1
        return self.calls

    @entry(errors=[OutOfStock, Shortage])
    def short(self, *, sku: str, wanted: Line, until: datetime) -> None:
        raise Shortage(sku, wanted, until, color=Color.BLUE)

    @entry(auth=Yesterday())
    async def outdated(self) -> None:
        return None

    @entry(idempotent=True)
    def flaky(self, invocation: Invocation, *, failures: int) -> list[str | None]:
        """The keys of all attempts, once it has failed as often as asked."""
        self.keys.append(invocation.key)
        if len(self.keys) <= failures:
            raise Unavailable("not yet")
        keys, self.keys = self.keys, []
        return keys

    @entry
    async def seen(self, invocation: Invocation) -> dict[str, Any]:
        """What travelled beside the arguments."""
        trace = invocation.trace
        return {
            "trace": trace and trace.trace_id,
            "state": trace and trace.state,
            "key": invocation.key,
            "limited": invocation.deadline is not None,
        }

    @entry
    async def wait(self) -> str:
        """Real time passes; a minute of it."""
        self.waiting.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "late"

    @entry
    def hold(self) -> str:
        """The same in a thread."""
        self.waiting.set()
        self.released.wait(60)
        return "late"

    @entry(no_auth=True)
    def open(self, invocation: Invocation) -> dict[str, Any]:
        return {"operation": invocation.operation, "attempt": invocation.attempt}


def kit_app(config: Mapping[str, Any] | None = None, plugins: tuple[object, ...] = ()) -> App:
    """An app of the kit's service, on a virtual clock, apart from any configuration around."""
    clock = VirtualClock()
    return App(Kit(clock), stage=STAGE, clock=clock, config=config or {}, plugins=plugins)
