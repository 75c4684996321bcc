"""No framework at all."""

from __future__ import annotations

import json
from typing import Any


def build(further: int) -> Any:
    def handler(event: dict, context: object) -> dict:
        name = event["rawPath"].removeprefix("/hello/")
        return {
            "statusCode": 200,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps({"hello": name}, separators=(",", ":")),
            "isBase64Encoded": False,
        }

    return handler


handler = build(0)
