"""The token authorizer: deny by default, the same on both drivers."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

import pytest

from unimicro import App, Service, Token, entry
from unimicro.routes.http import HttpDoor
from unimicro.routes.request import HttpRequest


def app_of(authorizer: Any = None, *, stage: str = "dev", **attributes: Any) -> App:
    def get(self):
        return "in"

    if authorizer is not None:
        attributes["token_authorizer"] = authorizer
    return App(type("Safe", (Service,), {"get": entry(get), **attributes})(), stage=stage)


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """``ask(app, headers)`` → the HTTP answer, by either driver."""

    def asked(app: App, **headers: str) -> Any:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        client = app.test_client()
        if request.param == "sync":
            return client.get("/", headers=fields)
        door = app.door("http")
        assert isinstance(door, HttpDoor)
        sent = client._request("GET", "/", None, fields, b"")
        assert isinstance(sent, HttpRequest)
        answer = asyncio.run(asyncio.wait_for(door.ahandle(sent), 10))
        return type(client.get("/"))(answer.status, type(sent.metadata)(answer.headers), answer.body)

    return asked


def test_no_credentials_are_401_with_a_challenge(ask):
    answer = ask(app_of(lambda self, token: True))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="safe"'
    assert (answer.json["code"], answer.json["layer"]) == ("unauthenticated", "auth")


@pytest.mark.parametrize("value", ["", " ", "Bearer", "Bearer ", "bearer   "])
def test_an_empty_token_is_no_token(ask, value):
    assert ask(app_of(lambda self, token: True), authorization=value).status_code == 401


@pytest.mark.parametrize("value", ["x", " x ", "Bearer x", "bearer x", "BEARER  x "])
def test_the_token_is_bare_or_after_bearer(ask, value):
    seen: list[str] = []
    app = app_of(lambda self, token: bool(seen.append(token) or True))
    assert ask(app, authorization=value).text == "in"
    assert seen == ["x"]


def test_another_scheme_is_part_of_the_token(ask):
    assert ask(app_of(lambda self, token: token == "x"), authorization="Basic x").status_code == 403


@pytest.mark.parametrize("accident", [1, "yes", object(), [True], (), None, 0, "", b"dev", 1.0, "DEV", "de"])
def test_a_truthy_accident_denies(ask, accident):
    answer = ask(app_of(lambda self, token: accident), authorization="x")
    assert (answer.status_code, answer.json["code"]) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("answer", "stage", "status"),
    [
        ("dev", "dev", 200),
        ("dev", "prod", 403),
        ("prod", "prod", 200),
        (True, "prod", 200),
        (False, "dev", 403),
    ],
)
def test_a_stage_name_allows_that_stage_only(ask, answer, stage, status):
    app = app_of(lambda self, token: answer, stage=stage)
    assert ask(app, authorization="x").status_code == status


def test_an_empty_stage_name_never_allows(ask):
    assert ask(app_of(lambda self, token: "", stage=""), authorization="x").status_code == 403


def test_an_async_authorizer_is_awaited(ask):
    async def authorizer(self, token):
        await asyncio.sleep(0)
        return token == "right"

    assert ask(app_of(authorizer), authorization="right").status_code == 200
    assert ask(app_of(authorizer), authorization="wrong").status_code == 403


async def araise(self, token):
    raise RuntimeError(f"secret {token}")


def raises(self, token):
    raise RuntimeError(f"secret {token}")


def stops(self, token):
    raise StopIteration


@pytest.mark.parametrize("authorizer", [raises, araise, stops])
def test_an_authorizer_that_raises_denies_and_is_logged(ask, authorizer, caplog):
    answer = ask(app_of(authorizer), authorization="x")
    assert answer.status_code == 403
    assert b"secret" not in answer.data
    assert len(caplog.records) == 1
    assert "safe" in caplog.records[0].getMessage()


def test_an_authorizer_that_is_declared_not_to_block_runs_inline(ask):
    policies = (Token(blocking=False),)
    for authorizer, status in ((raises, 403), (lambda self, token: True, 200)):
        app = app_of(authorizer, policies=policies)
        assert [stage.kind for stage in app.stages_of("safe.get") if stage.name == "auth"] == ["guard"]
        assert ask(app, authorization="x").status_code == status


def test_without_the_variable_the_default_denies(ask, monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    assert ask(app_of(), authorization="x").status_code == 403
    monkeypatch.setenv("TOKEN", "")
    assert ask(app_of(), authorization="x").status_code == 403
    assert Service().token_authorizer("") is False


@pytest.mark.parametrize("token", ["token", "tökén", "🎉", "a b"])
def test_the_default_compares_with_the_variable(ask, monkeypatch, token):
    monkeypatch.setenv("TOKEN", token)
    assert ask(app_of(), authorization=token).status_code == 200
    assert ask(app_of(), authorization="Bearer " + token).status_code == 200
    assert ask(app_of(), authorization=token + "x").status_code == 403
    assert ask(app_of(), authorization=token[:-1] + "?").status_code == 403


def test_a_token_that_is_no_unicode_denies(ask, monkeypatch):
    monkeypatch.setenv("TOKEN", "x")
    assert ask(app_of(), authorization="\udcff").status_code == 403


def test_the_default_compares_in_constant_time(ask, monkeypatch):
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    monkeypatch.setenv("TOKEN", "right")
    ask(app_of(), authorization="wrong")
    assert compared == [(b"wrong", b"right")]


def test_another_header_may_hold_the_token(ask):
    def authorizer(self, token):
        return token == "x"

    app = app_of(authorizer, token_header="X-Api-Token")
    assert ask(app, x_api_token="x").status_code == 200
    assert ask(app, authorization="x").status_code == 401
    app = app_of(authorizer, policies=(Token(header="X-Other"),))
    assert ask(app, x_other="x").status_code == 200


def test_a_repeated_header_is_not_its_first_value():
    app = app_of(lambda self, token: token == "right")
    metadata = type(app.test_client().get("/").headers)
    request = HttpRequest("GET", "/", (), (), metadata([("Authorization", "right"), ("Authorization", "x")]))
    assert app.door("http").handle(request).status == 403


def test_an_open_entry_asks_nobody(ask):
    class Open(Service):
        def token_authorizer(self, token):
            raise AssertionError

        @entry(no_auth=True)
        def get(self):
            return "open"

    assert ask(App(Open())).text == "open"
    assert ask(App(Open()), authorization="x").text == "open"


def test_nothing_is_parsed_before_the_caller_is_authorized():
    class Strict(Service):
        def token_authorizer(self, token):
            return token == "right"

        @entry
        def post(self, a: int):
            return a

    client = App(Strict()).test_client()
    assert client.post("/x", data=b"{").status_code == 401
    assert client.post("/x", data=b"{", headers={"Authorization": "wrong"}).status_code == 403
    assert client.post("/x", headers={"Authorization": "right"}).status_code == 422


def test_code_in_the_process_needs_no_token(drive):
    app = app_of(lambda self, token: False)
    assert drive(app, "safe.get").value == "in"


def test_the_method_sees_who_calls(ask):
    from unimicro import current_invocation

    class Who(Service):
        def token_authorizer(self, token):
            return True

        @entry
        def get(self):
            return current_invocation().principal.subject

    assert ask(App(Who()), authorization="x").text == "token"


def test_only_true_configuration_opens_an_entry():
    app = app_of(lambda self, token: False)
    opened = App(app.services[0], config={"entries": {"safe.get": {"auth": False}}})
    assert opened.test_client().get("/").text == "in"
    assert app.test_client().get("/").status_code == 401
