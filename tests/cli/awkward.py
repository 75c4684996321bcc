"""A service whose names and types are hard to write down, in a module that ``unimicro serve`` can serve."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence  # noqa: TC003 - the hints of entries are read
from dataclasses import dataclass
from datetime import date as a_date
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import pydantic

from unimicro import App, Body, Header, Outcome, Query, Right, Service, Upload, entry
from unimicro import errors as failures

T = TypeVar("T")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


a_level = Level


class Word(str, enum.Enum):  # noqa: UP042 - what some still write
    YES = "yes"


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass
class Day:
    """Fields that hide the types of the same name."""

    list: list[int]
    date: a_date | None = None
    field: Decimal = Decimal("1.50")
    Level: a_level = Level.HIGH
    others: Sequence[Point] = ()
    made: datetime = dataclasses.field(default_factory=lambda: datetime(2026, 1, 1))
    tags: set[str] = dataclasses.field(default_factory=set)
    wait: timedelta | None = None
    numbers: tuple[int, ...] = (1, 2)
    note: str = dataclasses.field(default="x", kw_only=True)


@dataclass
class Page(Generic[T]):
    items: list[T]
    next: Page[T] | None = None


@dataclass
class AClassWithANameThatIsSoLongThatNoLineHasRoomForItBesideAnythingElseAtAll:
    x: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Renamed(pydantic.BaseModel):
    """Other names on the wire."""

    class_: int = pydantic.Field(default=1, alias="class")
    rest: list[Renamed] = pydantic.Field(default_factory=list)


class Packed(msgspec.Struct, rename="camel"):
    some_text: str
    some_number: int = 3


@dataclass
class Response:
    """Of the user's own: the name is taken."""

    text: str


class Path(Exception):
    """An error that is called as something else."""


class Sold(failures.FailedPrecondition):
    """Derived from a class of unimicro, with an attribute of its own."""

    sku: str

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} is sold", details={"asked": sku})
        self.sku = sku


LONG = AClassWithANameThatIsSoLongThatNoLineHasRoomForItBesideAnythingElseAtAll
NIL = UUID(int=1)
EVIL = '''Says """; import os; os.abort() # "quoted"

\\N{BULLET} back\\slash \x00 \u202e\ttab "
    indented'''


class Awkward(Service):
    '''Ends with a quote: """"'''

    def __init__(self) -> None:
        super().__init__(name="awkward-1")

    @entry(no_auth=True)
    def list(self, *, value: list[int]) -> list[int]:
        return value

    @entry(no_auth=True)
    def Point(self, *, value: Point) -> set[Point]:  # noqa: N802
        return {value}

    @entry(no_auth=True)
    def day(self, *, value: Day) -> Day:
        return value

    @entry(no_auth=True)
    async def page(self, *, value: Page[Point]) -> Page[Point]:
        return value

    @entry(no_auth=True)
    def lengthy(self, *, value: list[LONG]) -> dict[str, list[LONG]]:
        return {"": value}

    @entry(no_auth=True)
    def pair(self, *, value: Pair) -> Pair:
        return value

    @entry(no_auth=True)
    def renamed(self, *, value: Renamed) -> Renamed:
        return value

    @entry(no_auth=True)
    def packed(self, *, value: Packed) -> Packed:
        return value

    @entry("PUT", "/first/{one}/then/{two}", no_auth=True, idempotent=True, sensitive=["secret"])
    def put_in(
        self,
        two: int,
        one: str,
        /,
        three: float = 1e16,
        *,
        tenant: Annotated[str, Header("x-tenant")] = "a\"b'c",
        dry: Annotated[bool, Query("dry-run")] = False,
        level: Level = Level.LOW,
        word: Literal["yes", 2] | None = None,
        yes: Word | None = Word.YES,
        secret: str = "s3cr3t",
        amount: Decimal | None = Decimal(2),
        id: UUID = NIL,  # noqa: A002
        words: Mapping[str, int] = {"a": 1},
        **values: Any,
    ) -> tuple[Any, ...]:
        return one, two, three, tenant, dry, level, word, yes, amount, id, words, values

    @entry("POST", "/file", no_auth=True, key="name")
    def post_file(self, *, name: str, file: Upload | None = None) -> Outcome[int]:
        return Right(len(name))

    @entry("POST", "/raw", no_auth=True, content_type="text/csv")
    def raw(self, body: Annotated[bytes, Body]) -> str:
        return body.decode()

    @entry(no_auth=True, errors=[Path, Sold, KeyError, failures.NotFound], safe=True)
    def get_failing(self, *, how: str) -> None:
        kinds = {
            "path": Path("lost", 3),
            "sold": Sold("tea"),
            "key": KeyError("k"),
            "none": failures.NotFound("n"),
        }
        raise kinds[how]

    @entry(no_auth=True)
    def response(self) -> Response:
        return Response("mine")

    @entry(no_auth=True)
    def unknown(self) -> object:
        return 1

    @entry(no_auth=True)
    def documented(
        self,
    ) -> Literal["an answer that is rather long", "another one of the same length", "and more"]:
        return "and more"


Awkward.documented.__doc__ = EVIL

app = App(Awkward(), config={})
