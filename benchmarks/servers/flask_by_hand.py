"""Flask as its documentation writes it: a path converter, ``request.args``, a decorator for the token."""

from __future__ import annotations

import hmac
import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Flask, abort, jsonify, request

if TYPE_CHECKING:
    from collections.abc import Callable

wsgi = Flask(__name__)


def token_required(view: Callable) -> Callable:
    @wraps(view)
    def checked(**values: Any) -> Any:
        authorization = request.headers.get("Authorization", "")
        if not authorization:
            abort(401)
        expected = os.environ.get("TOKEN", "")
        token = authorization.removeprefix("Bearer ")
        if not (expected and hmac.compare_digest(token.encode(), expected.encode())):
            abort(403)
        return view(**values)

    return checked


@wsgi.get("/items/<int:item_id>")
@token_required
def item(item_id: int) -> Any:
    try:
        limit = int(request.args.get("limit", 10))
    except ValueError:
        abort(422, "limit: expected a whole number")
    return jsonify(item_id=item_id, limit=limit)
