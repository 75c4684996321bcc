"""TOKEN and REQUEST authorizer events of both payload versions."""

import logging

import pytest

from tests.lambda_adapter.service import SECRET, Context, load
from unimicro import ApiKey, App, Service, activities, entry

STAGE = "arn:aws:execute-api:eu-west-3:210987654321:shop1/live"
STAGE_V2 = "arn:aws:execute-api:eu-west-3:210987654321:shop7/live"
BOTH = ["authorizer_token", "authorizer_request_v1"]


class Orders(Service):
    @entry("GET", "/orders/{order_id}")
    def read(self, order_id: str) -> str:
        return order_id

    @entry("POST", "/orders")
    def create(self) -> str:
        return "created"

    def token_authorizer(self, token):
        if token == "raise":
            raise RuntimeError(SECRET)
        return {"good": True, "live-only": "live", "elsewhere": "other", "truthy": 1}.get(token, False)


class Stock(Service):
    @entry("DELETE", "/stock/{sku}/{place}")
    def drop(self, sku: str, place: str) -> str:
        return sku

    async def token_authorizer(self, token):
        return token in ("good", "keeper")


def ask(event, *services, **settings):
    app = App(*(services or (Orders(),)), config=settings)
    return app.lambda_handler(event, Context())


def with_token(name, token):
    event = load(name)
    if event["type"] == "TOKEN":
        event["authorizationToken"] = token
    elif "multiValueHeaders" in event:
        event["multiValueHeaders"]["Authorization"] = [token]
    else:
        event["headers"]["authorization"] = token
    return event


def statement(answer):
    assert set(answer) == {"principalId", "policyDocument"}
    assert answer["principalId"]
    assert answer["policyDocument"]["Version"] == "2012-10-17"
    (only,) = answer["policyDocument"]["Statement"]
    assert only["Action"] == "execute-api:Invoke"
    return only["Effect"], only["Resource"]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("token", ["good", "Bearer good", "live-only"])
def test_an_accepted_token_may_call_the_whole_stage(name, token):
    # Not the one method that was asked for: API Gateway keeps the policy for the others.
    assert statement(ask(with_token(name, token))) == ("Allow", [f"{STAGE}/*"])


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("token", ["bad", "elsewhere", "truthy", "raise", "", "Bearer ", "göod"])
def test_any_other_token_is_denied(name, token, caplog):
    with caplog.at_level(logging.ERROR, logger="unimicro"):
        answer = ask(with_token(name, token))
    assert statement(answer) == ("Deny", [f"{STAGE}/*"])
    assert SECRET not in str(answer)
    assert (SECRET in caplog.text) == (token == "raise")


class TestSeveralServices:
    @pytest.mark.parametrize("name", BOTH)
    def test_a_token_may_call_the_routes_of_the_services_that_accept_it(self, name):
        effect, resources = statement(ask(with_token(name, "live-only"), Orders(), Stock()))
        assert effect == "Allow"
        assert resources == [f"{STAGE}/POST/orders", f"{STAGE}/GET/orders/*", f"{STAGE}/HEAD/orders/*"]

    def test_an_async_authorizer_is_asked_too(self):
        answer = ask(with_token("authorizer_token", "keeper"), Orders(), Stock())
        assert statement(answer) == ("Allow", [f"{STAGE}/DELETE/stock/*/*"])

    def test_routes_are_allowed_with_and_without_the_base_path(self):
        event = with_token("authorizer_token", "keeper")
        _, resources = statement(ask(event, Orders(), Stock(), base_path="/api"))
        assert resources == [f"{STAGE}/DELETE/stock/*/*", f"{STAGE}/DELETE/api/stock/*/*"]

    def test_a_token_that_none_accepts_is_denied(self):
        assert statement(ask(with_token("authorizer_token", "bad"), Orders(), Stock()))[0] == "Deny"

    @pytest.mark.parametrize(
        ("token", "path", "allowed"),
        [
            ("live-only", "/live/orders/7", True),
            ("keeper", "/live/orders/7", False),
            ("good", "/live/nowhere", False),
        ],
    )
    def test_a_simple_answer_is_about_the_route_that_was_asked_for(self, token, path, allowed):
        event = {**with_token("authorizer_request_v2", token), "rawPath": path}
        assert ask(event, Orders(), Stock()) == {"isAuthorized": allowed}


class TestPayload2:
    @pytest.mark.parametrize("token", ["good", "live-only", "bad", "elsewhere", "raise", ""])
    def test_the_simple_answer(self, token):
        answer = ask(with_token("authorizer_request_v2", token))
        assert answer == {"isAuthorized": token in ("good", "live-only")}

    @pytest.mark.parametrize("token", ["good", "bad"])
    def test_the_policy_where_the_gateway_wants_one(self, token):
        answer = ask(with_token("authorizer_request_v2", token), authorizer_response="iam")
        assert statement(answer) == ("Allow" if token == "good" else "Deny", [f"{STAGE_V2}/*"])

    def test_the_default_stage_is_the_apps_own(self):
        event = with_token("authorizer_request_v2", "live-only")
        event["routeArn"] = event["routeArn"].replace("/live/", "/$default/")
        assert ask(event, stage="live") == {"isAuthorized": True}
        assert ask(event, stage="dev") == {"isAuthorized": False}


@pytest.mark.parametrize("name", [*BOTH, "authorizer_request_v2"])
@pytest.mark.parametrize("value", [None, 5, "", "arn:aws:s3:::bucket", "arn:aws:execute-api:r:1:a", []])
def test_a_malformed_arn_denies(name, value):
    event = load(name)
    event["routeArn" if "routeArn" in event else "methodArn"] = value
    assert_denied(ask(event))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("authorizer_token", "authorizationToken"),
        ("authorizer_token", "methodArn"),
        ("authorizer_request_v1", "methodArn"),
        ("authorizer_request_v1", "path"),
        ("authorizer_request_v1", "httpMethod"),
        ("authorizer_request_v2", "routeArn"),
        ("authorizer_request_v2", "rawPath"),
        ("authorizer_request_v2", "headers"),
        ("authorizer_request_v2", "requestContext"),
    ],
)
def test_whatever_is_missing_denies(name, key):
    event = load(name)
    del event[key]
    assert_denied(ask(event))


def test_a_token_of_another_type_denies():
    for token in (5, None, ["good"], {"good": 1}):
        assert_denied(ask(with_token("authorizer_token", token)))


def assert_denied(answer):
    if "isAuthorized" in answer:
        assert answer == {"isAuthorized": False}
    else:
        assert statement(answer)[0] == "Deny"


class Keyed(Service):
    policies = (ApiKey(keys={"shop": "open-sesame"}),)

    @entry("GET", "/goods")
    def goods(self) -> str:
        return "tea"

    @entry("POST", "/goods", activities=activities("goods:write"))
    def add(self) -> str:
        return "added"


class TestOtherAuthorizers:
    def test_the_authorizer_in_force_is_asked_and_names_the_caller(self):
        event = load("authorizer_request_v1")
        event["multiValueHeaders"]["X-Api-Key"] = ["open-sesame"]
        answer = ask(event, Keyed())
        assert answer["principalId"] == "shop"
        # The key comes with no activities: what needs one is not allowed.
        assert statement(answer) == ("Allow", [f"{STAGE}/GET/goods", f"{STAGE}/HEAD/goods"])

    def test_a_wrong_key_is_denied(self):
        event = load("authorizer_request_v1")
        event["multiValueHeaders"]["X-Api-Key"] = ["sesame"]
        assert statement(ask(event, Keyed()))[0] == "Deny"

    def test_an_app_that_is_open_to_everyone_allows_nobody_by_token(self):
        class Open(Service):
            @entry(no_auth=True)
            def get(self) -> str:
                return "open"

        assert statement(ask(with_token("authorizer_token", "good"), Open()))[0] == "Deny"
