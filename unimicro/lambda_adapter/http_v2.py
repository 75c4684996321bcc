"""Payload 2.0: API Gateway HTTP APIs and Lambda function URLs.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.lambda_adapter.events import request_context
from unimicro.lambda_adapter.http_events import HttpEvents, grouped, require_text, text_body
from unimicro.metadata import Metadata
from unimicro.routes.request import parse_path, parse_query, strip_prefix
from unimicro.routes.table import split_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.lambda_adapter.events import LambdaCall
    from unimicro.lambda_adapter.http_events import Segments
    from unimicro.routes.answers import HttpAnswer
    from unimicro.routes.request import HttpRequest


def is_http_v2(event: Mapping[str, Any]) -> bool:
    """VPC Lattice says 2.0 as well, without ``rawPath``; an authorizer event has a type."""
    if event.get("version") != "2.0" or "type" in event:
        return False
    return "rawPath" in event or "http" in request_context(event)


class HttpV2(HttpEvents):
    """An HTTP API delivers the path decoded, a function URL percent-encoded; the query is encoded in both."""

    def request(self, native: LambdaCall) -> HttpRequest:
        event = native.event
        gateway = event["requestContext"]
        path = event["rawPath"]
        stage = gateway.get("stage")
        query_string = event.get("rawQueryString")
        return self.build(
            native,
            gateway["http"]["method"],
            path,
            self._segments(path, stage, gateway),
            parse_query(query_string, self._max_fields) if query_string else (),
            _metadata(event.get("headers") or {}, event.get("cookies")),
            stage,
        )

    def _segments(self, path: str, stage: Any, gateway: Mapping[str, Any]) -> Segments:
        if "%" in path and ".lambda-url." in gateway.get("domainName", ""):
            return parse_path(path)
        segments = split_path(path)
        # A named stage is part of the path on the domain that API Gateway gives, not on one's own.
        if stage != "$default" and ".execute-api." in gateway.get("domainName", ""):
            return strip_prefix(segments, (stage,))
        return segments

    def answer(self, answer: HttpAnswer) -> dict[str, Any]:
        body, is_base64 = text_body(answer)
        sent: dict[str, Any] = {"statusCode": answer.status, "body": body, "isBase64Encoded": is_base64}
        headers = answer.headers
        if len(headers) == 1 and headers[0][0] == "Content-Type":  # as in most answers
            sent["headers"] = {"Content-Type": headers[0][1]}
            return sent
        fields = grouped(headers)
        cookies = [value for name in fields if _sets_cookie(name) for value in fields[name]]
        sent["headers"] = {name: ", ".join(fields[name]) for name in fields if not _sets_cookie(name)}
        if cookies:
            sent["cookies"] = cookies
        return sent


def _sets_cookie(name: str) -> bool:
    """Cookies have a list of their own: they must not be joined (RFC 6265 §3)."""
    return name.lower() == "set-cookie"


def _metadata(headers: dict[str, str], cookies: list[str] | None) -> Metadata:
    require_text(headers.values())
    if not cookies:
        return Metadata(headers)
    if not isinstance(cookies, list):
        raise TypeError("cookies")
    require_text(cookies)
    return Metadata([*headers.items(), *(("cookie", cookie) for cookie in cookies)])
