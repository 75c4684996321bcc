"""Application Load Balancer: one class for each setting of the target group's multi-value headers.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from unimicro.lambda_adapter.events import request_context
from unimicro.lambda_adapter.http_events import HttpEvents, grouped, pairs_of, single_metadata, text_body
from unimicro.metadata import Metadata
from unimicro.routes.request import parse_path, parse_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from unimicro.lambda_adapter.events import LambdaCall
    from unimicro.routes.answers import HttpAnswer
    from unimicro.routes.request import HttpRequest


def is_alb(event: Mapping[str, Any]) -> bool:
    """Only a load balancer writes ``elb`` into the context."""
    return "elb" in request_context(event)


def is_alb_multi(event: Mapping[str, Any]) -> bool:
    """Multi-value headers are on: the event has them, even when there are none."""
    return "multiValueHeaders" in event and is_alb(event)


class AlbSingle(HttpEvents):
    """The balancer decodes neither path nor query. A key it does not know makes the answer a 502."""

    def request(self, native: LambdaCall) -> HttpRequest:
        event = native.event
        query = (event.get("queryStringParameters") or {}).items()
        return self._request(native, single_metadata(event.get("headers")), query)

    def _request(
        self, native: LambdaCall, metadata: Metadata, query: Iterable[tuple[str, str]]
    ) -> HttpRequest:
        path = native.event["path"]
        query_string = "&".join([f"{name}={value}" for name, value in query])
        return self.build(
            native,
            native.event["httpMethod"],
            path,
            parse_path(path),
            parse_query(query_string, self._max_fields),
            metadata,
            None,
        )

    def answer(self, answer: HttpAnswer) -> dict[str, Any]:
        return {**self._without_headers(answer), "headers": _one_value_each(answer.headers)}

    def _without_headers(self, answer: HttpAnswer) -> dict[str, Any]:
        body, is_base64 = text_body(answer)
        return {
            "statusCode": answer.status,
            "statusDescription": self._descriptions.get(answer.status, str(answer.status)),
            "body": body,
            "isBase64Encoded": is_base64,
        }

    @cached_property
    def _descriptions(self) -> dict[int, str]:
        from http import HTTPStatus

        known = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
        return {**known, 499: "499 Client Closed Request"}


class AlbMulti(AlbSingle):
    """With multi-value headers on, both query and headers are lists, and so must the answer's be."""

    def request(self, native: LambdaCall) -> HttpRequest:
        event = native.event
        query = pairs_of(event.get("multiValueQueryStringParameters"))
        return self._request(native, Metadata(pairs_of(event["multiValueHeaders"])), query)

    def answer(self, answer: HttpAnswer) -> dict[str, Any]:
        return {**self._without_headers(answer), "multiValueHeaders": grouped(answer.headers)}


def _one_value_each(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Cookies must not be joined (RFC 6265 §3): each gets a spelling of the name of its own."""
    single: dict[str, str] = {}
    for name, values in grouped(headers).items():
        if name.lower() == "set-cookie":
            single.update((_spelling(index), value) for index, value in enumerate(values))
        else:
            single[name] = ", ".join(values)
    return single


def _spelling(index: int) -> str:
    """``set-cookie`` with the letters in upper case that the bits of ``index`` name."""
    letters = [letter.upper() if index >> bit & 1 else letter for bit, letter in enumerate("setcookie")]
    return f"{''.join(letters[:3])}-{''.join(letters[3:])}"
