"""FastAPI as its documentation writes it: typed path and query parameters, a dependency for the token."""

from __future__ import annotations

import hmac
import os
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException

asgi = FastAPI()


async def token_required(authorization: Annotated[str | None, Header()] = None) -> None:
    if not authorization:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    expected = os.environ.get("TOKEN", "")
    token = authorization.removeprefix("Bearer ")
    if not (expected and hmac.compare_digest(token.encode(), expected.encode())):
        raise HTTPException(403)


@asgi.get("/items/{item_id}", dependencies=[Depends(token_required)])
async def item(item_id: int, limit: int = 10) -> dict[str, int]:
    return {"item_id": item_id, "limit": limit}
