"""Payload 1.0: API Gateway REST APIs, and HTTP APIs that were set to it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.lambda_adapter.events import request_context
from unimicro.lambda_adapter.http_events import (
    HttpEvents,
    grouped,
    pairs_of,
    require_text,
    single_metadata,
    text_body,
)
from unimicro.metadata import Metadata
from unimicro.routes.request import malformed_query, parse_path, strip_prefix
from unimicro.routes.table import split_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.lambda_adapter.events import LambdaCall
    from unimicro.lambda_adapter.http_events import Query
    from unimicro.outcome import Failure
    from unimicro.routes.answers import HttpAnswer
    from unimicro.routes.request import HttpRequest


def is_http_v1(event: Mapping[str, Any]) -> bool:
    """A load balancer's event has the same method and path; an authorizer event has a type."""
    if "type" in event or "elb" in request_context(event):
        return False
    return "httpMethod" in event or ("resource" in event and "path" in event)


class HttpV1(HttpEvents):
    """A REST API delivers the path percent-encoded, an HTTP API decoded; the query is decoded in both."""

    def request(self, native: LambdaCall) -> HttpRequest:
        event = native.event
        gateway = event.get("requestContext") or {}
        path = event["path"]
        stage = gateway.get("stage")
        # Only an HTTP API writes its payload version into the event.
        is_http_api = event.get("version") == "1.0"
        segments = _decoded_segments(path, stage, gateway) if is_http_api else parse_path(path)
        headers = event.get("multiValueHeaders")
        return self.build(
            native,
            event["httpMethod"],
            path,
            segments,
            self._query(event),
            Metadata(pairs_of(headers)) if headers else single_metadata(event.get("headers")),
            stage,
        )

    def _query(self, event: Mapping[str, Any]) -> Query | Failure:
        many = event.get("multiValueQueryStringParameters")
        single = event.get("queryStringParameters")
        if not (many or single):
            return ()
        pairs = pairs_of(many) if many else list(single.items())  # type: ignore[union-attr]
        require_text(value for _, value in pairs)
        if len(pairs) > self._max_fields:
            return malformed_query("Max number of fields exceeded")
        return tuple(pairs)

    def answer(self, answer: HttpAnswer) -> dict[str, Any]:
        body, is_base64 = text_body(answer)
        return {
            "statusCode": answer.status,
            "multiValueHeaders": grouped(answer.headers),
            "body": body,
            "isBase64Encoded": is_base64,
        }


def _decoded_segments(path: str, stage: object, gateway: Mapping[str, Any]) -> tuple[str, ...]:
    segments = split_path(path)
    # requestContext.path holds the stage where the URL does; the event's own path not always.
    if isinstance(stage, str) and gateway.get("path") == path:
        return strip_prefix(segments, (stage,))
    return segments
