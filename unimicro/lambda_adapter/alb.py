"""Application Load Balancer, with multi-value headers on or off.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from unimicro.invocation import Metadata
from unimicro.lambda_adapter.http_events import HttpEvents, grouped, pairs_of, single_metadata, text_body
from unimicro.routes.request import parse_path, parse_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from unimicro.lambda_adapter.events import LambdaCall
    from unimicro.lambda_adapter.http_events import Query
    from unimicro.outcome import Failure
    from unimicro.routes.answers import HttpAnswer
    from unimicro.routes.request import HttpRequest


class Alb(HttpEvents):
    """The balancer decodes neither path nor query. A key it does not know makes the answer a 502."""

    def matches(self, event: Mapping[str, Any]) -> bool:
        return "elb" in (event.get("requestContext") or ()) and "type" not in event

    def request(self, native: LambdaCall) -> HttpRequest:
        event = native.event
        path = event["path"]
        if "multiValueHeaders" in event:
            metadata = Metadata(pairs_of(event["multiValueHeaders"]))
        else:
            metadata = single_metadata(event.get("headers"))
        return self.build(
            native, event["httpMethod"], path, parse_path(path), self._query(event), metadata, None
        )

    def _query(self, event: Mapping[str, Any]) -> Query | Failure:
        many = event.get("multiValueQueryStringParameters")
        pairs = pairs_of(many) if many else (event.get("queryStringParameters") or {}).items()
        return parse_query("&".join([f"{name}={value}" for name, value in pairs]), self._max_fields)

    def answer(self, native: LambdaCall, answer: HttpAnswer) -> dict[str, Any]:
        body, is_base64 = text_body(answer)
        sent: dict[str, Any] = {
            "statusCode": answer.status,
            "statusDescription": self._descriptions.get(answer.status, str(answer.status)),
            "body": body,
            "isBase64Encoded": is_base64,
        }
        if isinstance(native.event, dict) and "multiValueHeaders" in native.event:
            sent["multiValueHeaders"] = grouped(answer.headers)
        else:
            sent["headers"] = _single(answer.headers)
        return sent

    @cached_property
    def _descriptions(self) -> dict[int, str]:
        from http import HTTPStatus

        known = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
        return {**known, 499: "499 Client Closed Request"}


def _single(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name. Cookies must not be joined (RFC 6265 §3): each gets a spelling of its own."""
    single: dict[str, str] = {}
    for name, values in grouped(headers).items():
        if name.lower() == "set-cookie":
            single.update((_spelling(index), value) for index, value in enumerate(values))
        else:
            single[name] = ", ".join(values)
    return single


def _spelling(index: int) -> str:
    """``set-cookie`` with the letters in upper case that the bits of ``index`` name."""
    letters = (char.upper() if index >> bit & 1 else char for bit, char in enumerate("setcookie"))
    text = "".join(letters)
    return f"{text[:3]}-{text[3:]}"
