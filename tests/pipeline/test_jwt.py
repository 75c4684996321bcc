"""JSON web tokens: what is accepted, and every way in which a token can be wrong."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwk, jws

from tests.pipeline.asking import app_of, ask_on_loop, sync_ask
from tests.pipeline.issuer import AUDIENCE, EPOCH, ISSUER, clock, ec, public, rsa, signed
from unimicro import App, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.pipeline.jwt import Jwt


def jwt_of(**settings):
    """A policy that holds its keys."""
    given = {"issuer": ISSUER, "audience": AUDIENCE, "keys": public(rsa(), ec())}
    return Jwt(**{**given, **settings})


def fetching(issuer, **settings):
    return Jwt(issuer=ISSUER, audience=AUDIENCE, jwks_uri=f"{issuer.url}/jwks", **settings)


def app_with_keys(**settings):
    return app_of(jwt_of(**settings), clock=clock())


def unsigned(header, payload=None):
    """A token without signature."""
    body = payload or {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": EPOCH + 600}
    parts = (json.dumps(header).encode(), json.dumps(body).encode(), b"")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def raw(header, sign):
    """A token that the library would not make: ``sign`` gets what is to be signed."""
    start = unsigned(header)[:-1]
    return start + "." + base64.urlsafe_b64encode(sign(start.encode())).rstrip(b"=").decode()


def with_public_key_as_secret(key, algorithm="HS256"):
    """HS256 with the public key as its secret: the attack on verifiers that let a token choose."""
    digest = {"HS256": "sha256", "HS512": "sha512"}[algorithm]
    secret = key.as_pem(private=False)
    return raw({"alg": algorithm, "kid": key.kid}, lambda text: hmac.digest(secret, text, digest))


def with_critical_extension():
    """Signed by the right key, but with a rule that nobody here understands."""
    header = {"alg": "RS256", "kid": "r1", "crit": ["own"], "own": 1}
    return raw(header, lambda text: rsa().private_key.sign(text, padding.PKCS1v15(), hashes.SHA256()))


# -- accepted --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm"), [(rsa(), "RS256"), (ec(), "ES256")], ids=lambda value: str(value)[:5]
)
@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer  {}"])
def test_a_good_token_is_accepted(ask, key, algorithm, form):
    answer = ask(app_with_keys(), authorization=form.format(signed(key, algorithm)))
    assert (answer.status_code, answer.json["subject"]) == (200, "ann")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_other_asymmetric_algorithms_are_accepted_where_they_are_allowed(algorithm):
    token = signed(rsa(), algorithm)
    assert sync_ask(app_with_keys(), authorization=token).status_code == 403
    assert sync_ask(app_with_keys(algorithms=[algorithm]), authorization=token).status_code == 200


def test_keys_of_other_curves_are_accepted():
    for curve, algorithm in (("P-384", "ES384"), ("P-521", "ES512")):
        key = jwk.ECKey.generate_key(curve, {"kid": "c"})
        app = app_with_keys(keys=public(key), algorithms=[algorithm])
        assert sync_ask(app, authorization=signed(key, algorithm)).status_code == 200
    key = jwk.OKPKey.generate_key("Ed25519", {"kid": "c"})
    app = app_with_keys(keys=public(key), algorithms=["Ed25519"])
    assert sync_ask(app, authorization=signed(key, "Ed25519")).status_code == 200


@pytest.mark.parametrize(
    "keys",
    [
        public(rsa()),
        public(rsa())["keys"],
        public(rsa())["keys"][0],
        rsa().as_pem(private=False),
        rsa().as_pem(private=False).decode(),
        [rsa().as_pem(private=False), ec().as_pem(private=False)],
    ],
    ids=["set", "list", "jwk", "pem", "text", "pems"],
)
def test_keys_come_as_a_set_or_a_pem_text(keys):
    assert sync_ask(app_with_keys(keys=keys), authorization=signed()).status_code == 200


def test_the_principal_has_what_the_claims_say(ask):
    app = app_with_keys()
    token = signed(scope="read write", activities=["orders:create", 7], team="blue")
    answer = ask(app, authorization=token).json
    assert answer["scopes"] == ["read", "write"]
    assert answer["activities"] == ["orders:create"]
    assert answer["claims"]["team"] == "blue"
    assert ask(app, authorization=signed(scp=["a", "b"])).json["scopes"] == ["a", "b"]
    assert ask(app, authorization=signed(scope=5, activities={"a": 1})).json["activities"] == []


def test_the_claims_of_subject_activities_and_audience_can_have_other_names(ask):
    app = app_with_keys(subject_claim="email", activities_claim="roles", audience_claim="client_id")
    token = signed(email="a@b.c", roles="x y", client_id=AUDIENCE, aud=None)
    assert ask(app, authorization=token).json["subject"] == "a@b.c"
    assert ask(app, authorization=token).json["activities"] == ["x", "y"]
    assert ask(app, authorization=signed(email="a@b.c")).status_code == 403


def test_one_of_several_audiences_is_enough(ask):
    app = app_with_keys(audience=("orders", "stock"))
    assert ask(app, authorization=signed(aud=["x", "stock"])).status_code == 200
    assert ask(app, authorization=signed(aud="stock")).status_code == 200
    assert ask(app, authorization=signed(aud=["x", "stoc"])).status_code == 403


def test_another_header_may_hold_the_token(ask):
    assert ask(app_with_keys(header="X-Jwt"), x_jwt=signed()).status_code == 200
    assert ask(app_with_keys(header="X-Jwt"), authorization=signed()).status_code == 401


def test_a_lone_key_verifies_tokens_that_name_none():
    token = signed(header={"kid": None})
    assert sync_ask(app_with_keys(keys=public(rsa())), authorization=token).status_code == 200
    several = app_with_keys(keys=public(rsa(), rsa("r2")))
    assert sync_ask(several, authorization=token).status_code == 403


# -- denied ----------------------------------------------------------------------------------------


def test_no_token_is_401_with_a_challenge(ask):
    answer = ask(app_with_keys())
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert (answer.json["layer"], answer.json["policy"]) == ("auth", "jwt")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="safe"'
    assert ask(app_with_keys(), authorization="Bearer ").status_code == 401


WRONG = {
    "alg none": lambda: unsigned({"alg": "none"}),
    "alg None": lambda: unsigned({"alg": "None", "kid": "r1"}),
    "no alg": lambda: unsigned({"typ": "JWT"}),
    "alg list": lambda: unsigned({"alg": ["RS256"]}),
    "alg null": lambda: unsigned({"alg": None}),
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "HS256 with the public key": lambda: with_public_key_as_secret(rsa()),
    "HS512 with the public key": lambda: with_public_key_as_secret(rsa(), "HS512"),
    "RS256 of another key": lambda: signed(jwk.RSAKey.generate_key(2048, {"kid": "r1"})),
    "ES256 of another key": lambda: signed(jwk.ECKey.generate_key("P-256", {"kid": "e1"}), "ES256"),
    "algorithm of another key type": lambda: signed(rsa(), header={"kid": "e1"}),
    "algorithm not allowed": lambda: signed(rsa(), "RS384"),
    "unknown kid": lambda: signed(rsa(), header={"kid": "r9"}),
    "kid that is no text": lambda: unsigned({"alg": "RS256", "kid": 5}),
    "kid that is a path": lambda: signed(rsa(), header={"kid": "../r1"}),
    "another issuer": lambda: signed(iss="https://issuer.example/"),
    "no issuer": lambda: signed(iss=None),
    "issuer list": lambda: signed(iss=[ISSUER]),
    "another audience": lambda: signed(aud="ordersx"),
    "no audience": lambda: signed(aud=None),
    "empty audience": lambda: signed(aud=[]),
    "audience object": lambda: signed(aud={AUDIENCE: 1}),
    "not yet valid": lambda: signed(nbf=EPOCH + 100),
    "nbf that is no number": lambda: signed(nbf="soon"),
    "issued in the future": lambda: signed(iat=EPOCH + 100),
    "no expiry": lambda: signed(exp=None),
    "expiry that is no number": lambda: signed(exp="never"),
    "expiry true": lambda: signed(exp=True),
    "expiry beyond numbers": lambda: signed(exp=10**400),
    "expiry NaN": lambda: signed(
        payload=b'{"iss":"%b","aud":"orders","sub":"a","exp":NaN}' % ISSUER.encode()
    ),
    "no subject": lambda: signed(sub=None),
    "empty subject": lambda: signed(sub=""),
    "subject that is no text": lambda: signed(sub=5),
    "payload list": lambda: signed(payload=b"[]"),
    "payload that is no JSON": lambda: signed(payload=b"{"),
    "payload that is no text": lambda: signed(payload=b"\xff"),
    "critical extension": with_critical_extension,
    "unencoded payload": lambda: unsigned({"alg": "RS256", "kid": "r1", "b64": False, "crit": ["b64"]}),
    "malformed": lambda: "x",
    "dots": lambda: "..",
    "four parts": lambda: signed() + ".x",
    "header that is no JSON": lambda: "e30x.e30.x",
    "header list": lambda: unsigned(["alg"]),
    "no Unicode": lambda: "\udcff",
    "encrypted": lambda: "a.b.c.d.e",
    "endless": lambda: signed(claim="x" * 20_000),
    "repeated": lambda: signed() + ", " + signed(),
    "changed": lambda: signed().replace(".e", ".f", 1),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_token_is_403_and_says_invalid(ask, wrong, caplog):
    answer = ask(app_with_keys(), authorization="Bearer " + WRONG[wrong]())
    assert (answer.status_code, answer.json["code"]) == (403, "permission_denied")
    assert answer.json["details"] == {"reason": "invalid"}
    assert (answer.json["layer"], answer.json["policy"]) == ("auth", "jwt")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert not caplog.records


def test_an_expired_token_is_told_apart(ask):
    answer = ask(app_with_keys(), authorization=signed(exp=EPOCH - 61))
    assert answer.status_code == 403
    assert answer.json["details"] == {"reason": "expired"}
    expected = 'Bearer realm="safe", error="invalid_token", error_description="the token has expired"'
    assert answer.headers["WWW-Authenticate"] == expected


def test_an_expired_token_of_another_key_is_only_invalid(ask):
    stranger = jwk.RSAKey.generate_key(2048, {"kid": "r1"})
    answer = ask(app_with_keys(), authorization=signed(stranger, exp=EPOCH - 61))
    assert answer.json["details"] == {"reason": "invalid"}


def test_clocks_may_differ_by_the_leeway(ask):
    assert ask(app_with_keys(), authorization=signed(exp=EPOCH - 59)).status_code == 200
    assert ask(app_with_keys(), authorization=signed(nbf=EPOCH + 59)).status_code == 200
    assert ask(app_with_keys(leeway=0), authorization=signed(exp=EPOCH)).status_code == 403


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_token_cannot_bring_its_own_key(ask, issuer, name):
    stranger = jwk.RSAKey.generate_key(2048, {"kid": "own"})
    issuer.publish(stranger)
    value = {
        "jku": f"{issuer.url}/jwks",
        "x5u": f"{issuer.url}/jwks",
        "jwk": stranger.as_dict(private=False),
        "x5c": ["x" * 2000],
    }[name]
    forged = signed(stranger, header={name: value})
    assert ask(app_with_keys(), authorization=forged).status_code == 403
    # In a token that is good it makes no difference.
    assert ask(app_with_keys(), authorization=signed(header={name: value})).status_code == 200
    assert not issuer.asked


def test_nothing_of_a_token_is_logged_or_shown(ask, caplog):
    caplog.set_level("DEBUG")
    token = signed(rsa("other"))
    app = app_with_keys()
    answer = ask(app, authorization=token)
    assert token.split(".")[2] not in caplog.text + answer.text
    assert "keys" not in repr(jwt_of())


# -- remembered ------------------------------------------------------------------------------------


def verifications(monkeypatch):
    """How often a signature was verified from now on."""
    seen = []
    real = jws.validate_compact
    monkeypatch.setattr(jws, "validate_compact", lambda *a, **k: seen.append(1) or real(*a, **k))
    return seen


def test_a_verified_token_is_remembered_until_it_expires(ask, monkeypatch):
    time, token, seen = clock(), signed(), verifications(monkeypatch)
    app = app_of(jwt_of(), clock=time)
    assert [ask(app, authorization=token).status_code for _ in range(3)] == [200] * 3
    assert len(seen) == 1
    time.advance(659)
    assert ask(app, authorization=token).status_code == 200
    time.advance(2)
    assert ask(app, authorization=token).json["details"] == {"reason": "expired"}


def test_wrong_tokens_are_not_remembered(ask, monkeypatch):
    seen = verifications(monkeypatch)
    app = app_with_keys()
    for _ in range(2):
        assert ask(app, authorization=signed(aud="x")).status_code == 403
    assert len(seen) == 2


def test_no_more_tokens_are_remembered_than_allowed(monkeypatch):
    seen = verifications(monkeypatch)
    app = app_with_keys(max_entries=2)
    tokens = [signed(sub=name) for name in "abc"]
    for token in [*tokens, tokens[2], tokens[1], tokens[0]]:
        assert sync_ask(app, authorization=token).status_code == 200
    assert len(seen) == 4
    none = app_with_keys(max_entries=0)
    for _ in range(2):
        assert sync_ask(none, authorization=tokens[0]).status_code == 200
    assert len(seen) == 6


def test_a_token_is_remembered_for_its_policy_only():
    class Two(Service):
        @entry(auth=jwt_of())
        def get_a(self):
            return "a"

        @entry(auth=jwt_of(audience="b"))
        def get_b(self):
            return "b"

    client = App(Two(), clock=clock()).test_client()
    headers = {"authorization": signed()}
    assert client.get("/a", headers=headers).status_code == 200
    assert client.get("/b", headers=headers).status_code == 403


# -- fetched keys ----------------------------------------------------------------------------------


def test_keys_are_fetched_once_for_many_calls(ask, issuer):
    issuer.publish(rsa(), ec())
    app = app_of(fetching(issuer), clock=clock())
    assert not issuer.asked
    for token in (signed(), signed(), signed(ec(), "ES256"), signed(sub="bob")):
        assert ask(app, authorization=token).status_code == 200
    assert issuer.asked["/jwks"] == 1


def test_entries_share_the_keys_of_an_issuer(issuer):
    issuer.publish(rsa())

    class Two(Service):
        @entry(auth=fetching(issuer))
        def get_a(self):
            return "a"

        @entry(auth=fetching(issuer))
        def get_b(self):
            return "b"

    client = App(Two(), clock=clock()).test_client()
    for path in ("/a", "/b"):
        assert client.get(path, headers={"authorization": signed()}).status_code == 200
    assert issuer.asked["/jwks"] == 1


def test_a_rotated_key_is_found_with_one_refresh(ask, issuer):
    issuer.publish(rsa())
    app = app_of(fetching(issuer), clock=clock())
    assert ask(app, authorization=signed()).status_code == 200
    issuer.publish(rsa("r2"))
    assert ask(app, authorization=signed(rsa("r2"))).status_code == 200
    assert ask(app, authorization=signed(rsa("r2"), sub="bob")).status_code == 200
    assert issuer.asked["/jwks"] == 2
    # The old one is withdrawn, also for the token that was accepted before.
    assert ask(app, authorization=signed()).status_code == 403
    assert issuer.asked["/jwks"] == 2


def test_unknown_keys_fetch_once_per_cool_down(ask, issuer):
    issuer.publish(rsa())
    time = clock()
    app = app_of(fetching(issuer, cool_down=30), clock=time)
    assert ask(app, authorization=signed()).status_code == 200
    for seconds, fetches in ((0, 2), (29, 2), (1, 3), (29, 3)):
        time.advance(seconds)
        for number in range(3):
            assert ask(app, authorization=signed(rsa("r2"), sub=str(number))).status_code == 403
        assert issuer.asked["/jwks"] == fetches


def test_what_is_wrong_in_another_way_fetches_nothing(ask, issuer):
    issuer.publish(rsa())
    app = app_of(fetching(issuer), clock=clock())
    for wrong in (unsigned({"alg": "none", "kid": "x"}), with_public_key_as_secret(rsa("r2")), "x"):
        assert ask(app, authorization=wrong).status_code == 403
    assert not issuer.asked


def test_concurrent_threads_fetch_once(issuer):
    issuer.publish(rsa())
    issuer.gate.clear()
    app = app_of(fetching(issuer), clock=clock())
    app.test_client()
    tokens = [signed(sub=str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(sync_ask, app, authorization=token) for token in tokens]
        assert issuer.arrived.wait(20)
        issuer.gate.set()
        assert [call.result(20).status_code for call in calls] == [200] * 8
    assert issuer.asked["/jwks"] == 1


def test_concurrent_tasks_fetch_a_rotated_key_once(issuer):
    issuer.publish(rsa())
    app = app_of(fetching(issuer), clock=clock())
    assert sync_ask(app, authorization=signed()).status_code == 200
    issuer.publish(rsa(), rsa("r2"))

    async def many():
        tokens = [signed(rsa("r2"), sub=str(number)) for number in range(50)]
        return await asyncio.gather(*(ask_on_loop(app, authorization=token) for token in tokens))

    answers = asyncio.run(asyncio.wait_for(many(), 30))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert issuer.asked["/jwks"] == 2


def test_a_cancelled_call_leaves_the_fetch_to_the_next(issuer):
    issuer.publish(rsa())
    issuer.gate.clear()
    app = app_of(fetching(issuer), clock=clock())

    async def cancel_the_first():
        first = asyncio.create_task(ask_on_loop(app, authorization=signed()))
        await asyncio.to_thread(issuer.arrived.wait, 20)
        second = asyncio.create_task(ask_on_loop(app, authorization=signed()))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        issuer.gate.set()
        return await second

    assert asyncio.run(asyncio.wait_for(cancel_the_first(), 30)).status_code == 200


def test_who_gives_up_waiting_does_not_disturb_the_fetch(issuer):
    issuer.publish(rsa())
    issuer.gate.clear()
    app = app_of(fetching(issuer), clock=clock())

    async def cancel_the_second():
        first = asyncio.create_task(ask_on_loop(app, authorization=signed()))
        await asyncio.to_thread(issuer.arrived.wait, 20)
        second = asyncio.create_task(ask_on_loop(app, authorization=signed()))
        third = asyncio.create_task(ask_on_loop(app, authorization=signed()))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        issuer.gate.set()
        return await first, await third

    answers = asyncio.run(asyncio.wait_for(cancel_the_second(), 30))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert issuer.asked["/jwks"] == 1


class Interrupted(VirtualClock):
    """A clock at which another call comes between, once."""

    between = None

    def now(self):
        between, self.between = self.between, None
        if between is not None:
            between()
        return super().now()


@pytest.mark.parametrize("looks", range(1, 8))
def test_a_call_between_any_two_steps_makes_no_difference(issuer, looks):
    issuer.publish(rsa())
    time = Interrupted(epoch=EPOCH)
    app = app_of(fetching(issuer), clock=time)
    assert sync_ask(app, authorization=signed()).status_code == 200
    issuer.publish(rsa("r2"))
    with ThreadPoolExecutor(1) as threads:
        others = []

        def come_between(left):
            """At the last of so many looks at the clock: a call that ends here, or waits for this one."""
            if left:
                time.between = lambda: come_between(left - 1)
                return
            others.append(threads.submit(sync_ask, app, authorization=signed(rsa("r2"), sub="bob")))
            wait(others, timeout=0.5)

        time.between = lambda: come_between(looks - 1)
        assert sync_ask(app, authorization=signed(rsa("r2"))).status_code == 200
        time.between = None
        assert [other.result(20).status_code for other in others] in ([200], [])
    assert issuer.asked["/jwks"] == 2


def test_threads_that_race_fetch_once(issuer):
    issuer.publish(rsa())
    tokens = [signed(sub=str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            app, start = app_of(fetching(issuer), clock=clock()), threading.Barrier(8)
            app.test_client()

            def ask(token, app=app, start=start):
                start.wait(20)
                return sync_ask(app, authorization=token).status_code

            assert list(threads.map(ask, tokens, timeout=30)) == [200] * 8
    assert issuer.asked["/jwks"] == 20


def test_whoever_has_keys_does_not_wait_for_newer_ones(issuer):
    issuer.publish(rsa())
    time = clock()
    app = app_of(fetching(issuer, refresh_after=300), clock=time)
    assert sync_ask(app, authorization=signed()).status_code == 200
    time.advance(301)
    issuer.gate.clear()
    issuer.arrived.clear()
    first = threading.Thread(target=sync_ask, args=(app,), kwargs={"authorization": signed()}, daemon=True)
    first.start()
    assert issuer.arrived.wait(20)
    assert sync_ask(app, authorization=signed(sub="bob")).status_code == 200
    assert first.is_alive()
    issuer.gate.set()
    first.join(20)
    assert issuer.asked["/jwks"] == 2


TOO_LONG = (200, public(rsa()) | {"padding": "x" * 2_000_000})
OUTAGES = [(500, {}), (200, {"keys": []}), (200, b"{"), (200, []), (302, {}), TOO_LONG]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: str(outage)[:20])
def test_the_last_good_keys_serve_until_their_age_while_no_new_ones_come(ask, issuer, outage, caplog):
    issuer.publish(rsa())
    time = clock()
    app = app_of(fetching(issuer, refresh_after=300, max_age=1000), clock=time)
    late = EPOCH + 10_000
    assert ask(app, authorization=signed(exp=late)).status_code == 200
    issuer.answers["/jwks"] = outage
    time.advance(999)
    assert ask(app, authorization=signed(exp=late)).status_code == 200
    assert ask(app, authorization=signed(exp=late, sub="bob")).status_code == 200
    assert issuer.asked["/jwks"] == 2
    time.advance(32)
    answer = ask(app, authorization=signed(exp=late))
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert (answer.json["policy"], answer.json["retry_after_ms"]) == ("jwt", 30_000)
    assert answer.headers["Retry-After"] == "30"
    # Not fetched for every call; and a failure is not remembered beyond its cool-down.
    assert ask(app, authorization=signed(exp=late)).status_code == 503
    assert issuer.asked["/jwks"] == 3
    issuer.publish(rsa())
    time.advance(30)
    assert ask(app, authorization=signed(exp=late)).status_code == 200
    assert "no keys from" in caplog.text


def test_an_issuer_that_was_never_there_is_503(ask):
    policy = Jwt(issuer=ISSUER, audience=AUDIENCE, jwks_uri="http://127.0.0.1:1/jwks")
    assert ask(app_of(policy, clock=clock()), authorization=signed()).status_code == 503
    assert ask(app_of(policy, clock=clock())).status_code == 401


def test_a_broken_key_does_not_spoil_the_set(ask, issuer):
    odd = [{"kty": "RSA", "n": "!", "e": 5}, {"kty": "oct", "k": "AAAA"}, {}, "x", {"kty": "new"}, None]
    issuer.answers["/jwks"] = (200, {"keys": [*odd, *public(rsa())["keys"]]})
    assert ask(app_of(fetching(issuer), clock=clock()), authorization=signed()).status_code == 200


def test_symmetric_encryption_private_and_short_keys_of_a_set_verify_nothing(issuer):
    secret = jwk.OctKey.generate_key(256, {"kid": "s"})
    short = short_key()
    encrypting = rsa("enc").as_dict(private=False) | {"use": "enc"}
    issuer.answers["/jwks"] = (
        200,
        {
            "keys": [
                secret.as_dict(),
                short,
                encrypting,
                rsa("p").as_dict(private=True),
                *public(ec())["keys"],
            ]
        },
    )
    app = app_of(fetching(issuer), clock=clock())
    registry = jws.JWSRegistry(algorithms=["HS256"])
    forged = jws.serialize_compact({"alg": "HS256", "kid": "s"}, b"{}", secret, registry=registry)
    for token in (forged, signed(rsa("enc")), signed(rsa("p"))):
        assert sync_ask(app, authorization=token).status_code == 403
    assert sync_ask(app, authorization=signed(ec(), "ES256")).status_code == 200


def test_a_payload_that_is_not_encoded_is_refused():
    """RFC 7797 changes what is signed; nobody here asked for it."""
    key, header = rsa(), {"alg": "RS256", "kid": "r1", "b64": False, "crit": ["b64"]}
    body = json.dumps({"iss": "issuer", "aud": AUDIENCE, "sub": "ann", "exp": EPOCH + 600})
    start = unsigned(header).partition(".")[0] + "." + body
    signature = key.private_key.sign(start.encode(), padding.PKCS1v15(), hashes.SHA256())
    token = start + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    assert sync_ask(app_with_keys(issuer="issuer"), authorization=token).status_code == 403


def short_key():
    from cryptography.hazmat.primitives.asymmetric import rsa as generator

    numbers = generator.generate_private_key(65537, 1024).public_key().public_numbers()

    def text(number):
        return (
            base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            .rstrip(b"=")
            .decode()
        )

    return {"kty": "RSA", "kid": "short", "n": text(numbers.n), "e": text(numbers.e)}


def test_a_redirect_is_not_followed(issuer):
    issuer.publish(rsa())
    issuer.answers["/moved"] = (302, {})
    issuer.headers["location"] = f"{issuer.url}/jwks"
    policy = Jwt(issuer=ISSUER, audience=AUDIENCE, jwks_uri=f"{issuer.url}/moved")
    assert sync_ask(app_of(policy, clock=clock()), authorization=signed()).status_code == 503
    assert issuer.asked["/jwks"] == 0


def test_a_slow_issuer_is_given_up_on(issuer):
    issuer.publish(rsa())
    issuer.gate.clear()
    answer = sync_ask(app_of(fetching(issuer, timeout=0.2), clock=clock()), authorization=signed())
    assert answer.status_code == 503


# -- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"issuer": ""}, "issuer"),
        ({"audience": ()}, "audience"),
        ({"audience": ""}, "audience"),
        ({"audience": (5,)}, "audience"),
        ({"keys": None}, "jwks_uri"),
        ({"jwks_uri": "https://issuer.example/jwks"}, "keys"),
        ({"keys": None, "jwks_uri": "http://issuer.example/jwks"}, "jwks_uri must be https"),
        ({"keys": None, "jwks_uri": "file:///etc/keys"}, "jwks_uri"),
        ({"keys": None, "jwks_uri": "jwks"}, "jwks_uri"),
        ({"keys": None, "jwks_uri": "https://me:secret@issuer.example/"}, "password"),
        ({"algorithms": ("HS256",)}, "HS256"),
        ({"algorithms": ("none",)}, "none"),
        ({"algorithms": ("RS25",)}, "did you mean 'RS256'"),
        ({"algorithms": "RS256"}, "algorithms"),
        ({"algorithms": ()}, "algorithms"),
        ({"leeway": -1}, "leeway"),
        ({"leeway": 1.5}, "leeway"),
        ({"refresh_after": 0}, "refresh_after"),
        ({"max_age": 299}, "max_age"),
        ({"cool_down": 0}, "cool_down"),
        ({"timeout": 0}, "timeout"),
        ({"max_entries": -1}, "max_entries"),
        ({"audience": 5}, "Jwt.audience"),
        ({"audience": None}, "Jwt.audience"),
        ({"algorithms": 5}, "Jwt.algorithms"),
        ({"algorithms": (["RS256"],)}, "Jwt.algorithms"),
        ({"max_age": "3600"}, "Jwt.max_age"),
        ({"max_age": True}, "Jwt.max_age"),
        ({"timeout": float("inf")}, "timeout"),
        ({"header": 5}, "Jwt.header"),
        ({"header": ""}, "Jwt.header"),
        ({"subject_claim": 5}, "Jwt.subject_claim"),
        ({"activities_claim": []}, "Jwt.activities_claim"),
        ({"audience_claim": 5}, "Jwt.audience_claim"),
        ({"keys": None, "jwks_uri": "http://issuer.example/x", "allow_http": "false"}, "Jwt.allow_http"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused_at_definition(settings, named):
    with pytest.raises(DefinitionError, match=named) as refused:
        jwt_of(**settings)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "keys",
    [
        [],
        {"keys": []},
        "no pem",
        5,
        rsa().as_pem(private=True),
        rsa().as_dict(private=True),
        {"kty": "oct", "k": "AAAA"},
        short_key(),
        [public(rsa())["keys"][0], {}],
    ],
    ids=lambda keys: str(keys)[:12],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_keys_that_are_no_public_keys_are_refused_at_assembly(keys):
    with pytest.raises(ConfigurationError, match=r"safe.get: Jwt.keys"):
        app_with_keys(keys=keys)


def test_plain_http_is_for_loopback_or_for_who_asks_for_it():
    for url in ("http://127.0.0.1/x", "http://localhost:8/x", "http://[::1]/x", "https://issuer.example"):
        jwt_of(keys=None, jwks_uri=url)
    jwt_of(keys=None, jwks_uri="http://issuer.example", allow_http=True)


def test_no_token_is_remembered_beyond_the_age_of_its_keys(ask, issuer):
    issuer.publish(rsa())
    time = clock()
    app = app_of(fetching(issuer, refresh_after=300, max_age=1000, cool_down=500), clock=time)
    token = signed(exp=EPOCH + 10_000)
    assert ask(app, authorization=token).status_code == 200
    issuer.answers["/jwks"] = (500, {})
    time.advance(999)
    assert ask(app, authorization=token).status_code == 200
    time.advance(1)
    assert ask(app, authorization=token).status_code == 503


async def given_up(app, begun, **headers):
    """A call whose caller goes away while the issuer has not answered."""
    call = asyncio.create_task(ask_on_loop(app, **headers))
    await asyncio.to_thread(begun.wait, 20)
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_callers_in_a_hurry_do_not_make_the_fetch_begin_anew(issuer):
    issuer.publish(rsa())
    issuer.gate.clear()
    app = app_of(fetching(issuer), clock=clock())

    async def hurry():
        for _ in range(5):
            await given_up(app, issuer.arrived, authorization=signed())
        issuer.gate.set()
        return await ask_on_loop(app, authorization=signed())

    assert asyncio.run(asyncio.wait_for(hurry(), 30)).status_code == 200
    assert issuer.asked["/jwks"] == 1


def test_a_fetch_that_was_given_up_before_its_thread_began_is_made_by_the_next(issuer):
    issuer.publish(rsa())
    begun, release = threading.Event(), threading.Event()

    class Busy(Service):
        @entry(auth=fetching(issuer))
        def get(self):
            return "in"

        @entry("POST", "/block", no_auth=True)
        def block(self):
            begun.set()
            release.wait(20)

    app = App(Busy(), clock=clock(), config={"threads": 1})

    async def queue():
        blocking = asyncio.create_task(app.acall("busy.block"))
        await given_up(app, begun, authorization=signed())
        release.set()
        await blocking
        return await ask_on_loop(app, authorization=signed())

    assert asyncio.run(asyncio.wait_for(queue(), 30)).status_code == 200
    assert issuer.asked["/jwks"] == 1
