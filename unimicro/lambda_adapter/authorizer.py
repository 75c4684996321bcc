"""Lambda authorizers: the authorizers of the app's entries, asked by API Gateway.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.invocation import Invocation, new_id
from unimicro.lambda_adapter.events import EventKind, LambdaCall
from unimicro.lambda_adapter.http_events import MALFORMED
from unimicro.metadata import Metadata
from unimicro.outcome import Failure
from unimicro.routes.table import split_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from unimicro.app import App
    from unimicro.invocation import Principal
    from unimicro.lambda_adapter.http_v1 import HttpV1
    from unimicro.lambda_adapter.http_v2 import HttpV2
    from unimicro.operation import HttpBinding, Operation
    from unimicro.pipeline.stages import Runner
    from unimicro.routes.http import HttpDoor
    from unimicro.routes.request import HttpRequest


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


class Group(NamedTuple):
    """Operations of one service with the same authorizers: to ask one is to ask all.

    Attributes:
        authorize: Asks them, for the first of the operations.
        operations: There is one at least.
        routes: ``GET/orders/*`` of each.
    """

    authorize: Runner
    operations: list[Operation]
    routes: list[str]


class AuthorizerEvents(EventKind):
    """TOKEN and REQUEST events of payload 1.0 and 2.0. Whatever is missing or malformed denies.

    API Gateway keeps a policy for a token and applies it to every method, so a policy names all that the
    token may call: the whole stage where that is all there is, else the routes whose authorizers accept it,
    a path parameter being ``*`` (which matches ``/`` too: the pipeline still asks the entry's authorizer).
    A simple answer is about the route that was asked for: where answers are cached, ``$context.routeKey``
    must be one of the identity sources. A TOKEN event has no header fields: its token counts as that of
    ``Authorization`` and of the service's own field.
    """

    def __init__(self, app: App, http: HttpDoor, v1: HttpV1, v2: HttpV2) -> None:
        self.app = app
        self._is_iam = app.settings.authorizer_response == "iam"
        self._table = http.table
        self._v1 = v1
        self._v2 = v2
        self._groups = list(self._grouped())

    def _grouped(self) -> Iterator[Group]:
        known: list[tuple[Any, Group]] = []
        for operation in self.app.operations.values():
            policies = self.app.policies_of(operation)
            if operation.http is None or "auth" not in policies:
                continue
            # Settings may be unhashable: they are compared.
            alike = operation.service, policies["auth"], policies.get("activities")
            group = next((group for other, group in known if other == alike), None)
            if group is None:
                group = Group(self.app.authorization_of(operation.name), [], [])
                known.append((alike, group))
            group.operations.append(operation)
            group.routes.extend(self._routes_of(operation.http))
        return (group for _, group in known)

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
        accepted = list(self._accepted(event, request, arn))
        groups = [group for group, _ in accepted]
        if self._is_simple(event):
            return {"isAuthorized": self._is_authorized(request, groups)}
        if not accepted:
            return _policy("Deny", [f"{arn.api}/{arn.stage}/*"])
        return _policy("Allow", self._resources(arn, groups), accepted[0][1])

    def _request(self, native: LambdaCall) -> HttpRequest:
        family = self._v2 if native.event.get("version") == "2.0" else self._v1
        return family.request(native)

    def _is_simple(self, event: Mapping[str, Any]) -> bool:
        return event.get("version") == "2.0" and not self._is_iam

    def _accepted(
        self, event: Mapping[str, Any], request: HttpRequest | None, arn: Arn
    ) -> Iterator[tuple[Group, Principal]]:
        """The groups whose authorizers accept the caller for the stage, and whom they see in him."""
        stage = self.app.settings.stage if arn.stage == "$default" else arn.stage
        for group in self._groups:
            operation = group.operations[0]
            if request is None:
                token = event["authorizationToken"]
                metadata = Metadata({"authorization": token, operation.service.token_header.lower(): token})
            else:
                metadata = request.metadata
            caller = Invocation(operation.name, metadata=metadata, door="lambda", stage=stage, id=new_id())
            outcome = group.authorize(caller)
            if outcome.is_right():
                yield group, outcome.value

    def _is_authorized(self, request: HttpRequest | None, accepted: list[Group]) -> bool:
        if len(self._groups) == 1 or request is None:
            return bool(accepted)
        match = self._table.match(request.method, request.segments)
        if isinstance(match, Failure):
            return False
        return any(match.operation in group.operations for group in accepted)

    def _resources(self, arn: Arn, accepted: list[Group]) -> list[str]:
        stage = f"{arn.api}/{arn.stage}"
        if len(self._groups) == 1:
            return [f"{stage}/*"]
        return [f"{stage}/{route}" for group in accepted for route in group.routes]

    def _routes_of(self, http: HttpBinding) -> Iterator[str]:
        """``GET/orders/*``; with and without the base path, which a domain mapping removes."""
        bases = sorted({(), split_path(self.app.settings.base_path)})
        segments = ["*" if s.startswith("{") else s for s in split_path(http.template)]
        verbs = ("GET", "HEAD") if http.verb == "GET" else (http.verb,)
        for verb in verbs:
            for base in bases:
                yield "/".join([verb, *([*base, *segments] or [""])])


def _policy(effect: str, resources: list[str], principal: Principal | None = None) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resources}
    return {
        "principalId": "anonymous" if principal is None else principal.subject,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }
