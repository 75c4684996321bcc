"""Authorizers decide alike behind every door, over real sockets where there are some."""

import json
import logging

import pytest

from tests.parity.doors import OverSocket, on_uvicorn, on_werkzeug, through_lambda, through_test_client
from tests.pipeline.issuer import AUDIENCE, ISSUER, clock, issuer_on_loopback, rsa, signed
from unimicro import App, Service, current_invocation, entry
from unimicro.pipeline.activities import activities
from unimicro.pipeline.api_key import ApiKey
from unimicro.pipeline.jwt import Jwt
from unimicro.pipeline.userinfo import UserInfo
from unimicro.routes.memory import Message


def app_of(issuer):
    jwt = Jwt(issuer=ISSUER, audience=AUDIENCE, jwks_uri=f"{issuer.url}/jwks")

    class Shop(Service):
        policies = (jwt & UserInfo(f"{issuer.url}/me") | ApiKey(keys={"robot": "key"}),)

        @entry(activities=activities("orders:create"))
        def post_order(self):
            return current_invocation().principal.subject

        @entry
        async def post_look(self):
            return current_invocation().principal.subject

    return App(Shop(), clock=clock())


@pytest.fixture(scope="module")
def doors():
    logging.disable(logging.CRITICAL)
    try:
        with issuer_on_loopback() as issuer:
            issuer.publish(rsa())
            issuer.answers["/me"] = (200, {"sub": "ann", "activities": ["orders:*"]})
            with on_uvicorn(app_of(issuer)) as asgi, on_werkzeug(app_of(issuer)) as wsgi:
                yield {
                    "http": through_test_client(app_of(issuer)),
                    "fastapi": OverSocket(asgi),
                    "flask": OverSocket(wsgi),
                    "lambda": through_lambda(app_of(issuer)),
                    "memory": app_of(issuer),
                }
    finally:
        logging.disable(logging.NOTSET)


CASES = [
    ("order", {"authorization": f"Bearer {signed()}"}, 200, "ann"),
    ("look", {"authorization": signed()}, 200, "ann"),
    ("look", {"x-api-key": "key"}, 200, "robot"),
    ("order", {"x-api-key": "key"}, 403, "activities"),
    ("order", {}, 401, "jwt|api_key"),
    ("order", {"authorization": "x"}, 403, "jwt"),
    ("look", {"authorization": signed(sub="bob")}, 403, "userinfo"),
    ("look", {"authorization": signed(exp=1)}, 403, "jwt"),
    ("look", {"x-api-key": "other"}, 403, "api_key"),
]


@pytest.mark.parametrize(("path", "headers", "status", "said"), CASES)
def test_every_door_decides_alike(doors, path, headers, status, said):
    for name, send in doors.items():
        if name == "memory":
            continue
        got, fields, body = send("POST", f"/{path}", headers, b"")
        assert got == status, name
        assert (body.decode() if status == 200 else json.loads(body)["policy"]) == said, name
        assert ("www-authenticate" in dict(fields)) is (status == 401 or said == "jwt"), name
    reply = doors["memory"].door("memory").handle(Message(f"shop.post_{path}", headers=headers))
    body = json.loads(reply.body)
    assert (body["result"] if status == 200 else body["error"]["failure"]["policy"]) == said
