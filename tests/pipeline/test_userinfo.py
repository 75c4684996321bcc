"""User information: the issuer's knowledge of a caller, asked with the caller's token."""

from __future__ import annotations

import asyncio

import pytest

from tests.pipeline.asking import app_of, ask_on_loop
from tests.pipeline.issuer import AUDIENCE, ISSUER, clock, public, rsa, signed
from unimicro.errors import DefinitionError
from unimicro.pipeline.activities import activities
from unimicro.pipeline.api_key import ApiKey
from unimicro.pipeline.jwt import Jwt
from unimicro.pipeline.userinfo import UserInfo

ANN = {"sub": "ann", "team": "blue", "activities": ["orders:*"], "scope": "more"}


def jwt():
    return Jwt(issuer=ISSUER, audience=AUDIENCE, keys=public(rsa()))


def info(issuer, **settings):
    return UserInfo(f"{issuer.url}/me", **settings)


def test_the_principal_has_what_the_issuer_adds(ask, issuer):
    issuer.answers["/me"] = (200, ANN)
    app = app_of(jwt() & info(issuer), clock=clock())
    answer = ask(app, authorization=signed(scope="own", team="red")).json
    assert answer["scopes"] == ["own", "more"]
    assert answer["activities"] == ["orders:*"]
    # What was signed wins.
    assert answer["claims"]["team"] == "red"


def test_activities_are_decided_with_it(ask, issuer):
    issuer.answers["/me"] = (200, ANN)
    app = app_of(activities("orders:create") & info(issuer) & jwt(), clock=clock())
    assert ask(app, authorization=signed()).status_code == 200
    issuer.answers["/me"] = (200, {"sub": "ann"})
    app = app_of(jwt() & info(issuer) & activities("orders:create"), clock=clock())
    assert ask(app, authorization=signed()).status_code == 403


def test_the_issuer_is_asked_with_the_callers_token(ask, issuer):
    token = signed()
    asked = []
    issuer.answers["/me"] = lambda headers, body: asked.append(headers["authorization"]) or (200, ANN)
    for value in (token, f"bearer {token}"):
        assert ask(app_of(jwt() & info(issuer), clock=clock()), authorization=value).status_code == 200
    assert asked == [f"Bearer {token}"] * 2


def test_an_answer_is_remembered_for_its_token_and_time(ask, issuer):
    issuer.answers["/me"] = lambda headers, body: (200, ANN | {"sub": "ann"})
    time = clock()
    app = app_of(jwt() & info(issuer, ttl=100), clock=time)
    for _ in range(3):
        ask(app, authorization=signed())
    assert issuer.asked["/me"] == 1
    ask(app, authorization=signed(team="other"))
    assert issuer.asked["/me"] == 2
    time.advance(101)
    ask(app, authorization=signed())
    assert issuer.asked["/me"] == 3


def test_a_token_that_is_wrong_does_not_reach_the_issuer(ask, issuer):
    app = app_of(jwt() & info(issuer), clock=clock())
    assert ask(app, authorization="x").status_code == 403
    assert ask(app).status_code == 401
    assert not issuer.asked


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((401, {}), 403),
        ((403, {}), 403),
        ((500, {}), 503),
        ((429, {}), 503),
        ((200, b"x"), 503),
        ((200, []), 503),
        ((200, {}), 403),
        ((200, {"sub": 5}), 403),
        ((200, ANN | {"sub": "bob"}), 403),
    ],
    ids=str,
)
def test_a_failure_denies_and_is_not_remembered(ask, issuer, answer, status):
    issuer.answers["/me"] = answer
    app = app_of(jwt() & info(issuer), clock=clock())
    denied = ask(app, authorization=signed())
    assert (denied.status_code, denied.json["policy"], denied.json["layer"]) == (status, "userinfo", "auth")
    issuer.answers["/me"] = (200, ANN)
    # An answer about another subject is one all the same.
    expected = 403 if answer == (200, ANN | {"sub": "bob"}) else 200
    assert ask(app, authorization=signed()).status_code == expected


def test_it_must_speak_of_whom_the_other_authorizer_knows(ask, issuer):
    issuer.answers["/me"] = (200, ANN)
    app = app_of(ApiKey(keys={"ann": "k", "bob": "l"}) & info(issuer), clock=clock())
    assert ask(app, x_api_key="k", authorization="opaque").status_code == 200
    assert ask(app, x_api_key="l", authorization="opaque").status_code == 403
    assert ask(app, x_api_key="k").status_code == 401


def test_concurrent_calls_ask_once(issuer):
    issuer.answers["/me"] = (200, ANN)
    app = app_of(jwt() & info(issuer), clock=clock())
    token = signed()

    async def many():
        return await asyncio.gather(*(ask_on_loop(app, authorization=token) for _ in range(30)))

    answers = asyncio.run(asyncio.wait_for(many(), 30))
    assert [answer.status_code for answer in answers] == [200] * 30
    assert issuer.asked["/me"] == 1


@pytest.mark.parametrize("combine", [lambda a, b: b, lambda a, b: a | b])
def test_alone_it_does_not_tell_who_calls(issuer, combine):
    with pytest.raises(DefinitionError, match="UserInfo cannot tell who calls"):
        app_of(combine(jwt(), info(issuer)))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"url": ""}, "UserInfo.url"),
        ({"url": "http://issuer.example/me"}, "https"),
        ({"ttl": 0}, "ttl"),
        ({"max_entries": -1}, "max_entries"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"header": 5}, "header"),
        ({"subject_claim": ""}, "subject_claim"),
        ({"activities_claim": None}, "activities_claim"),
        ({"url": "http://issuer.example/me", "allow_http": "false"}, "allow_http"),
    ],
)
def test_impossible_settings_are_refused_at_definition(settings, named):
    with pytest.raises(DefinitionError, match=named):
        UserInfo(**{"url": "https://issuer.example/me", **settings})


def test_callers_in_a_hurry_do_not_make_the_question_be_asked_anew(issuer):
    issuer.answers["/me"] = (200, {"sub": "ann"})
    issuer.gate.clear()
    app = app_of(jwt() & info(issuer), clock=clock())

    async def hurry():
        for _ in range(3):
            call = asyncio.create_task(ask_on_loop(app, authorization=signed()))
            await asyncio.to_thread(issuer.arrived.wait, 20)
            await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        issuer.gate.set()
        return await ask_on_loop(app, authorization=signed())

    assert asyncio.run(asyncio.wait_for(hurry(), 30)).status_code == 200
    assert issuer.asked["/me"] == 1
