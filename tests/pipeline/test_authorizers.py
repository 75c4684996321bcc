"""Authorizers: API keys, combinations, and what every authorizer has in common."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipeline.asking import app_of
from unimicro import App, Await, Do, Failure, Principal, Service, Token, entry
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.invocation import IN_PROCESS, Invocation
from unimicro.pipeline.activities import activities
from unimicro.pipeline.api_key import ApiKey
from unimicro.pipeline.authorizer import Authorizer
from unimicro.pipeline.decider import Decider, challenge
from unimicro.pipeline.jwt import Jwt
from unimicro.pipeline.policy import Bound

if TYPE_CHECKING:
    from unimicro.pipeline.listeners import Rejection

KEYS = {"ann": "key-of-ann", "bob": "key-of-bob"}
NO_KEY = {"x_none": "1"}


# -- API keys --------------------------------------------------------------------------------------


def test_a_key_is_accepted_and_names_its_holder(ask):
    for name, key in KEYS.items():
        answer = ask(app_of(ApiKey(keys=KEYS)), x_api_key=key)
        assert (answer.status_code, answer.json["subject"]) == (200, name)


def test_no_key_is_401_and_another_403(ask):
    app = app_of(ApiKey(keys=KEYS))
    answer = ask(app)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'ApiKey realm="safe", header="x-api-key"'
    assert (answer.json["layer"], answer.json["policy"]) == ("auth", "api_key")
    for wrong in ("key-of-an", "key-of-annx", "KEY-OF-ANN", "ann", "key-of-ann, key-of-bob", "\udcff", "é"):
        answer = ask(app, x_api_key=wrong)
        assert (answer.status_code, answer.json["code"]) == (403, "permission_denied")


def test_a_digest_stands_for_its_key_but_does_not_open(ask):
    digest = "sha256:" + sha256(b"key-of-ann").hexdigest()
    app = app_of(ApiKey(keys={"ann": digest}, header="X-Key"))
    assert ask(app, x_key="key-of-ann").json["subject"] == "ann"
    assert ask(app, x_key=digest).status_code == 403


def test_every_key_is_compared_in_constant_time(ask, monkeypatch):
    app = app_of(ApiKey(keys=KEYS))
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(len(b)) or real(a, b))
    for key in ("key-of-ann", "key-of-bob", "x"):
        ask(app, x_api_key=key)
    assert compared == [32] * 6


def test_keys_of_the_environment_may_change_while_the_app_runs(ask, monkeypatch, caplog):
    monkeypatch.delenv("KEYS", raising=False)
    app = app_of(ApiKey(env="KEYS"))
    assert ask(app, x_api_key="one").status_code == 403
    monkeypatch.setenv("KEYS", "ann=one, bob=two=2\n" + "eve=sha256:" + sha256(b"three").hexdigest())
    for key, name in (("one", "ann"), ("two=2", "bob"), ("three", "eve")):
        assert ask(app, x_api_key=key).json["subject"] == name
    monkeypatch.setenv("KEYS", "ann=new")
    assert ask(app, x_api_key="one").status_code == 403
    assert ask(app, x_api_key="new").status_code == 200
    for malformed in ("secret", "ann=", "=secret", "a=secret b=secret", "a=sha256:secret"):
        monkeypatch.setenv("KEYS", malformed)
        assert ask(app, x_api_key="new").status_code == 403
        assert "KEYS" in caplog.text
        assert "secret" not in caplog.text
    monkeypatch.setenv("KEYS", "ann=new")
    assert ask(app, x_api_key="new").status_code == 200


def test_given_keys_outlive_a_malformed_variable(ask, monkeypatch):
    monkeypatch.setenv("KEYS", "eve=three")
    app = app_of(ApiKey(keys=KEYS, env="KEYS"))
    assert ask(app, x_api_key="three").json["subject"] == "eve"
    monkeypatch.setenv("KEYS", "eve")
    assert ask(app, x_api_key="three").status_code == 403
    assert ask(app, x_api_key="key-of-ann").json["subject"] == "ann"


def test_a_malformed_variable_is_refused_at_assembly(monkeypatch):
    monkeypatch.setenv("KEYS", "secret")
    with pytest.raises(ConfigurationError, match=r"safe.get: ApiKey.env: KEYS must hold name=key") as refused:
        app_of(ApiKey(env="KEYS"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "keys"),
        ({"keys": {}}, "keys"),
        ({"keys": ["x"]}, "mapping"),
        ({"keys": {"ann": ""}}, "ann"),
        ({"keys": {"": "secret"}}, "name"),
        ({"keys": {"ann": 5}}, "ann"),
        ({"keys": {"ann": "secret", "bob": "secret"}}, "bob"),
        ({"keys": {"ann": "sha256:12"}}, "64"),
        ({"keys": {"ann": "sha256:" + "x" * 64}}, "64"),
        ({"keys": KEYS, "header": ""}, "header"),
    ],
)
def test_impossible_keys_are_refused_at_definition(settings, named):
    with pytest.raises(DefinitionError, match=named) as refused:
        ApiKey(**settings)
    assert "secret" not in str(refused.value)


def test_keys_are_shown_nowhere():
    policy = ApiKey(keys=KEYS)
    assert "key-of" not in repr(policy) + str(vars(policy)) + repr(replace(policy, mode="shadow"))
    assert replace(policy, mode="shadow").keys == policy.keys


def test_keys_come_from_the_configuration(ask):
    settings = {"entries": {"safe.get": {"api_key": {"keys": KEYS, "header": "x-key"}}}}
    assert ask(app_of(config=settings), x_key="key-of-bob").json["subject"] == "bob"


# -- combinations ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Says(Authorizer):
    """Accepts who names the right one in its header; by a plain function, or by steps."""

    header: str = "x-a"
    how: str = "plain"
    principal: Principal | None = None
    label = "says"

    def decider(self, operation, assembly):
        def verdict(value):
            if value is None:
                headers = challenge("Says", self.header)
                return Failure("unauthenticated", f"no {self.header}", policy=self.header, headers=headers)
            if value == "raise":
                raise RuntimeError("secret")
            if value in ("denied", "late"):
                code = {"denied": "permission_denied", "late": "unavailable"}[value]
                return Failure(code, f"{self.header} {value}", policy=self.header)
            if value == "odd":
                return True
            return self.principal or Principal(self.header, ("s-" + value,), (value,), {self.header: value})

        def plain(invocation):
            return verdict(invocation.metadata.get(self.header))

        async def awaited(value):
            await asyncio.sleep(0)
            return verdict(value)

        def steps(invocation):
            value = invocation.metadata.get(self.header)
            return (yield Await(awaited, value) if self.how == "await" else Do(verdict, value))

        return Decider(plain) if self.how == "plain" else Decider(None, steps)


HOWS = ["plain", "do", "await"]


@pytest.fixture(params=[(one, two) for one in HOWS for two in HOWS], ids="-".join)
def both(request):
    one, two = request.param
    return Says("x-a", one), Says("x-b", two)


def test_all_of_a_conjunction_must_accept(ask, both):
    app = app_of(both[0] & both[1])
    assert ask(app, x_a="1", x_b="2").status_code == 200
    for headers in ({"x_a": "1"}, {"x_b": "1"}, {}):
        assert ask(app, **headers, **NO_KEY).status_code == 401
    for headers in (
        {"x_a": "denied", "x_b": "1"},
        {"x_a": "1", "x_b": "denied"},
        {"x_a": "raise", "x_b": "1"},
    ):
        answer = ask(app, **headers)
        assert (answer.status_code, answer.json["layer"]) == (403, "auth")


def test_the_principal_of_a_conjunction_is_that_of_all(ask, both):
    answer = ask(app_of(both[0] & both[1]), x_a="1", x_b="2").json
    assert answer["subject"] == "x-a"
    assert answer["scopes"] == ["s-1", "s-2"]
    assert answer["activities"] == ["1", "2"]
    assert answer["claims"] == {"x-a": "1", "x-b": "2"}
    assert ask(app_of(both[0] & both[1]), x_a="1", x_b="1").json["activities"] == ["1"]


def test_one_of_a_disjunction_is_enough(ask, both):
    app = app_of(both[0] | both[1])
    assert ask(app, x_a="1").json["subject"] == "x-a"
    assert ask(app, x_b="1").json["subject"] == "x-b"
    assert ask(app, x_a="denied", x_b="1").json["subject"] == "x-b"
    assert ask(app, x_a="raise", x_b="1").json["subject"] == "x-b"
    assert ask(app, x_a="1", x_b="denied").json["subject"] == "x-a"


def test_a_disjunction_denies_if_one_branch_denies(ask, both):
    app = app_of(both[0] | both[1])
    for headers in ({"x_a": "denied"}, {"x_b": "denied"}, {"x_a": "late", "x_b": "denied"}, {"x_b": "raise"}):
        assert ask(app, **headers).status_code == 403
    assert ask(app, x_a="denied").json["policy"] == "x-a"
    assert ask(app, x_b="denied").json["policy"] == "x-b"


def test_a_disjunction_without_credentials_challenges_for_all(ask, both):
    answer = ask(app_of(both[0] | both[1]), **NO_KEY)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Says realm="x-a", Says realm="x-b"'
    assert (answer.json["layer"], answer.json["policy"]) == ("auth", "x-a|x-b")


def test_a_branch_that_could_not_decide_says_so_rather_than_ask_for_credentials(ask, both):
    assert ask(app_of(both[0] | both[1]), x_a="late").status_code == 503
    assert ask(app_of(both[0] | both[1]), x_b="late").status_code == 503


def test_three_and_nested_ones_combine(ask):
    a, b, c = (Says(f"x-{name}") for name in "abc")
    assert ask(app_of(a & b & c), x_a="1", x_b="1").status_code == 401
    assert ask(app_of(a & b & c), x_a="1", x_b="1", x_c="1").status_code == 200
    assert ask(app_of(a | b | c), x_c="1").status_code == 200
    app = app_of(a & (b | c))
    assert ask(app, x_a="1", x_c="1").status_code == 200
    assert ask(app, x_b="1", x_c="1").status_code == 401
    app = app_of(a & b | c)
    assert ask(app, x_c="1").status_code == 200
    assert ask(app, x_a="1").status_code == 401


def test_plain_members_make_a_plain_stage_and_waiting_ones_a_flow():
    def kind(policy):
        return next(stage.kind for stage in app_of(policy).stages_of("safe.get") if stage.name == "auth")

    assert kind(Token() & ApiKey(keys=KEYS)) == "guard"
    assert kind(Says(how="do") | ApiKey(keys=KEYS)) == "flow"


def test_a_blocking_token_authorizer_combines(ask):
    class Safe(Service):
        def token_authorizer(self, token: str) -> bool | str:
            return {"right": True, "staged": "dev", "elsewhere": "prod"}.get(token, False)

        @entry(auth=Token() & ApiKey(keys=KEYS))
        def get(self):
            return "in"

    app = App(Safe())
    for token, status in (("right", 200), ("staged", 200), ("elsewhere", 403), ("wrong", 403)):
        assert ask(app, authorization=token, x_api_key="key-of-ann").status_code == status
        assert ask(app, authorization=token).status_code == (401 if status == 200 else status)


# -- every authorizer ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("value", ["raise", "odd"])
def test_what_raises_or_answers_nonsense_denies_and_is_logged(ask, how, value, caplog):
    answer = ask(app_of(Says(how=how)), x_a=value)
    assert (answer.status_code, answer.json["code"]) == (403, "permission_denied")
    assert b"secret" not in answer.data
    assert [record.getMessage() for record in caplog.records] == ["Says of safe.get raised; denied"]


@pytest.mark.parametrize("policy", [Says(), Says(how="await"), Says() | Says("x-b"), ApiKey(keys=KEYS)])
def test_code_in_the_process_needs_no_credentials(drive, policy):
    assert drive(app_of(policy), "safe.get").value["subject"] == "in-process"


def test_an_authorizer_in_shadow_opens_nothing():
    app = app_of(ApiKey(keys=KEYS), Says(mode="shadow"))
    client = app.test_client()
    assert client.get("/", headers={"x-a": "1"}).status_code == 401
    assert client.get("/", headers={"x-api-key": "key-of-ann"}).status_code == 200
    assert app.listeners.shadowed["safe.get", "auth"] == 1


class Ears:
    def __init__(self):
        self.heard: list[Any] = []

    def on_reject(self, rejection: Rejection) -> None:
        self.heard.append(rejection)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("combine", [lambda a, b: a & b, lambda a, b: b & a, lambda a, b: a | b])
def test_a_member_in_shadow_only_looks_on(ask, how, combine, caplog):
    ears = Ears()
    app = app_of(combine(Says("x-a"), Says("x-b", how, mode="shadow")), listeners=[ears])
    assert ask(app, x_a="1", x_b="1").json["subject"] == "x-a"
    assert not app.listeners.shadowed
    answer = ask(app, x_a="1", x_b="denied")
    assert (answer.status_code, answer.json["activities"]) == (200, ["1"])
    assert app.listeners.shadowed == {("safe.get", "auth"): 1}
    assert (ears.heard[0].shadow, ears.heard[0].failure.policy) == (True, "x-b")
    assert "shadow" in caplog.text
    assert ask(app, x_a="1", x_b="raise").status_code == 200
    # It never lets pass whom the others refuse.
    assert ask(app, x_b="1").status_code == 401
    assert app.listeners.shadowed == {("safe.get", "auth"): 2}


def test_a_member_that_is_off_is_not_asked(ask):
    app = app_of(Says("x-a") & Says("x-b", mode="off"))
    assert ask(app, x_a="1", x_b="denied").status_code == 200
    app = app_of(Says("x-a") | Says("x-b", mode="off"))
    assert ask(app, x_b="1").status_code == 401


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_a_combination_in_which_nobody_decides_is_refused(mode):
    with pytest.raises(DefinitionError, match="at least one"):
        Says(mode=mode) | Says("x-b", mode=mode)


def test_only_authorizers_combine():
    from unimicro import Retry

    for other in (Retry(), None, Says):
        with pytest.raises(DefinitionError, match="authorizers"):
            Says() & other


def test_a_combination_as_a_whole_may_look_on():
    whole = replace(Says("x-a") & Says("x-b"), mode="shadow")
    app = app_of(ApiKey(keys=KEYS), whole)
    assert app.test_client().get("/", headers={"x-api-key": "key-of-ann"}).status_code == 200
    assert app.listeners.shadowed["safe.get", "auth"] == 1


def test_what_cannot_tell_who_calls_is_refused_as_the_authorizer():
    for policy in (activities("a") | Says(), Says() | activities("a")):
        with pytest.raises(DefinitionError, match=r"safe.get: .*Activities.* cannot tell who calls"):
            app_of(policy)


@pytest.mark.parametrize("combine", [lambda a, b: a & b, lambda a, b: b & a, lambda a, b: a | b])
def test_a_member_whose_mode_is_misspelt_is_refused(combine):
    with pytest.raises(DefinitionError, match=r"Says\.mode must be one of .* got 'enforced'"):
        combine(Says("x-a"), Says("x-b", mode="enforced"))


def test_an_authorizer_that_is_off_does_not_open_what_another_protects():
    off = ApiKey(keys=KEYS, mode="off")
    with pytest.raises(DefinitionError, match=r"safe.get: ApiKey is off, but Token protects .* no_auth=True"):
        app_of(off)
    with pytest.raises(DefinitionError, match=r"Token is off, but ApiKey protects"):
        app_of(ApiKey(keys=KEYS), Token(mode="off"))
    table = {"policies": {"api_key": {"keys": KEYS, "mode": "off"}}}
    with pytest.raises(ConfigurationError, match=r"policies.api_key: authorizers are switched with 'auth'"):
        app_of(config=table)
    app = app_of(ApiKey(keys=KEYS), off)
    assert "auth" not in app.policies_of(app.operations["safe.get"])

    class Open(Service):
        @entry(no_auth=True)
        def get(self):
            return "open"

    assert App(Open(), policies=[off]).test_client().get("/").status_code == 200


@pytest.mark.parametrize("how", HOWS)
def test_who_comes_with_a_principal_is_asked_what_a_combination_requires(how):
    app = app_of(Says("x-a", how) & activities("orders"))

    def code(principal):
        outcome = app.run(Invocation("safe.get", principal=principal))
        return "" if outcome.is_right() else outcome.monoid[0].code

    assert code(Principal("ann", activities=("orders",))) == ""
    assert code(IN_PROCESS) == ""
    assert code(Principal("ann")) == "permission_denied"
    # One that could come in by the other branch is not asked.
    app = app_of(Says("x-a", how) & activities("orders") | Says("x-b"))
    assert code(Principal("ann")) == ""


def test_a_member_that_is_off_adds_no_time():
    slow = Jwt("i", "a", jwks_uri="https://issuer.example/jwks", timeout=5.0)
    assert (ApiKey(keys=KEYS) & slow).worst_case(Bound(1.0, 1)) == Bound(6.0, 1)
    assert (ApiKey(keys=KEYS) & replace(slow, mode="off")).worst_case(Bound(1.0, 1)) == Bound(1.0, 1)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"env": 5}, "env"),
        ({"env": ["KEYS"]}, "env"),
        ({"keys": KEYS, "env": True}, "env"),
    ],
)
def test_a_variable_that_has_no_name_is_refused(settings, named):
    with pytest.raises(DefinitionError, match=rf"ApiKey\.{named} must be text"):
        ApiKey(**settings)
