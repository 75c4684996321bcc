"""Lambda authorizers: the token authorizers of the app's services, asked by API Gateway.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.lambda_adapter.events import EventKind, LambdaCall
from unimicro.lambda_adapter.http_events import MALFORMED
from unimicro.outcome import Failure
from unimicro.pipeline.decision import bearer
from unimicro.pipeline.token import TOKEN_BEARER, accepts_token
from unimicro.routes.table import split_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from unimicro.app import App
    from unimicro.lambda_adapter.http_v1 import HttpV1
    from unimicro.lambda_adapter.http_v2 import HttpV2
    from unimicro.routes.http import HttpDoor
    from unimicro.routes.request import HttpRequest
    from unimicro.service import Service


class Arn(NamedTuple):
    """``arn:aws:execute-api:region:account:api/stage/VERB/path``, as far as a policy needs it."""

    api: str
    stage: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Split an ARN.

        Raises:
            AttributeError, ValueError: It is none of API Gateway's.
        """
        api, _, rest = text.partition("/")
        stage = rest.partition("/")[0]
        if not (api.startswith("arn:") and ":execute-api:" in api and stage):
            raise ValueError("no ARN of an API")
        return cls(api, stage)


def is_authorizer(event: Mapping[str, Any]) -> bool:
    """Only authorizer events have one of these types."""
    return event.get("type") in ("TOKEN", "REQUEST")


class AuthorizerEvents(EventKind):
    """TOKEN and REQUEST events of payload 1.0 and 2.0. Whatever is missing or malformed denies.

    API Gateway keeps a policy for a token and applies it to every method, so a policy names all that the
    token may call: with one service the whole stage; with several the routes of those that accept it, a
    path parameter being ``*`` (which matches ``/`` too: the pipeline still asks the entry's authorizer).
    A simple answer is about the route that was asked for: where answers are cached, ``$context.routeKey``
    must be one of the identity sources.
    """

    def __init__(self, app: App, http: HttpDoor, v1: HttpV1, v2: HttpV2) -> None:
        self.app = app
        self._is_iam = app.settings.authorizer_response == "iam"
        self._table = http.table
        self._v1 = v1
        self._v2 = v2
        self._services = [(service, accepts_token(service, app.clock)) for service in app.services]
        self._routes = {service.name: list(self._routes_of(service)) for service in app.services}

    def handle(self, native: LambdaCall) -> dict[str, Any]:
        try:
            return self._answer(native)
        except MALFORMED:
            return self._deny(native.event)

    def refuse(self, native: LambdaCall, failure: Failure) -> dict[str, Any]:  # noqa: ARG002 - every kind's
        return self._deny(native.event)

    def _deny(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return {"isAuthorized": False} if self._is_simple(event) else _policy("Deny", ["*"])

    def _answer(self, native: LambdaCall) -> dict[str, Any]:
        event = native.event
        request = None if event["type"] == "TOKEN" else self._request(native)
        arn = Arn.parse(event["routeArn"] if event.get("version") == "2.0" else event["methodArn"])
        accepted = self._accepted(event, request, arn)
        if self._is_simple(event):
            return {"isAuthorized": self._is_authorized(request, accepted)}
        resources = self._resources(arn, accepted)
        return _policy("Allow", resources) if resources else _policy("Deny", [f"{arn.api}/{arn.stage}/*"])

    def _request(self, native: LambdaCall) -> HttpRequest:
        family = self._v2 if native.event.get("version") == "2.0" else self._v1
        return family.request(native)

    def _is_simple(self, event: Mapping[str, Any]) -> bool:
        return event.get("version") == "2.0" and not self._is_iam

    def _accepted(self, event: Mapping[str, Any], request: HttpRequest | None, arn: Arn) -> list[str]:
        """Names of the services that accept the token for the stage."""
        stage = self.app.settings.stage if arn.stage == "$default" else arn.stage
        accepted = []
        for service, accepts in self._services:
            if request is None:
                value = event["authorizationToken"]
            else:
                value = request.metadata.get(service.token_header.lower())
            if accepts(bearer(value), stage):
                accepted.append(service.name)
        return accepted

    def _is_authorized(self, request: HttpRequest | None, accepted: list[str]) -> bool:
        if len(self._services) == 1 or request is None:
            return bool(accepted)
        match = self._table.match(request.method, request.segments)
        return not isinstance(match, Failure) and match.operation.service.name in accepted

    def _resources(self, arn: Arn, accepted: list[str]) -> list[str]:
        stage = f"{arn.api}/{arn.stage}"
        if len(self._services) == 1:
            return [f"{stage}/*"] if accepted else []
        return [f"{stage}/{route}" for name in accepted for route in self._routes[name]]

    def _routes_of(self, service: Service) -> Iterator[str]:
        """``GET/orders/*`` for each route; with and without the base path, which a domain mapping removes."""
        bases = sorted({(), split_path(self.app.settings.base_path)})
        for operation in self.app.operations.values():
            if operation.service is not service or operation.http is None:
                continue
            segments = ["*" if s.startswith("{") else s for s in split_path(operation.http.template)]
            verbs = ("GET", "HEAD") if operation.http.verb == "GET" else (operation.http.verb,)
            for verb in verbs:
                for base in bases:
                    yield "/".join([verb, *([*base, *segments] or [""])])


def _policy(effect: str, resources: list[str]) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resources}
    return {
        "principalId": TOKEN_BEARER.subject if effect == "Allow" else "anonymous",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }
