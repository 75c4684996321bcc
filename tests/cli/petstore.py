"""A program that is none of unimicro's: FastAPI with pydantic models, as its tutorial writes them."""

from __future__ import annotations

import datetime  # noqa: ICN001, TC003 - FastAPI reads the hints
import decimal
import enum
import uuid  # noqa: TC003
from typing import Annotated

from fastapi import Body, Cookie, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, Field

app = FastAPI(title="Pet store (v1)", description="Sells pets.")


class Kind(str, enum.Enum):  # noqa: UP042
    CAT = "cat"
    BIG_DOG = "big-dog"


class Pet(BaseModel):
    """A pet."""

    name: str
    kind: Kind = Kind.CAT
    date: datetime.date | None = None
    price: decimal.Decimal = decimal.Decimal(1)
    tags: set[str] = Field(default_factory=set)
    friends: list[Pet] = []
    class_: int = Field(1, alias="class")


class Cat(BaseModel):
    meow: int = 3
    weight: float


@app.get("/pets/{pet_id}")
def read_pet(
    pet_id: uuid.UUID,
    q: str | None = None,
    x_token: Annotated[str, Header()] = "",
    limit: int = 10,
    authorization: Annotated[str | None, Header()] = None,
    theme: Annotated[str, Cookie()] = "",
) -> Pet:
    """Read one."""
    if limit == 0:
        raise HTTPException(404, "no such pet")
    friend = Pet(name=f"{q} {x_token} {theme}", kind=Kind.BIG_DOG)
    return Pet.model_validate({"name": str(pet_id), "friends": [friend], "class": limit, "tags": {"a"}})


@app.post("/cats", status_code=201)
def create(cat: Cat) -> Cat | int:
    return cat if cat.meow else 0


@app.put("/pets/{number}")
def embedded(number: int, a: Annotated[int, Body()], b: Annotated[list[Pet], Body()]) -> None:
    assert number == a == len(b)


@app.delete("/pets/{number}", status_code=204)
def stop(number: int) -> None:
    assert number


@app.get("/secret")
def secret(session: Annotated[str, Cookie()]) -> None:
    assert session


@app.get("/list")
def list_all(self: str, type: Annotated[list[int], Query()] = [1]) -> dict[str, list[Cat]]:  # noqa: A002, B006
    return {self: [Cat(weight=number) for number in type]}
