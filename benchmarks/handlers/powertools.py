"""aws-lambda-powertools, its resolver for HTTP APIs."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver


def build(further: int) -> Any:
    app = APIGatewayHttpResolver()

    for number in range(further):

        @app.get(f"/other{number}/<name>")
        def get_other(name: str) -> dict:
            return {"other": name}

    @app.get("/hello/<name>")
    def get_hello(name: str) -> dict:
        return {"hello": name}

    return app.resolve


handler = build(0)
