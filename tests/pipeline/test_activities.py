"""Activities: which grants cover which activity, alone, combined, and in code."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.pipeline.asking import app_of
from tests.pipeline.test_authorizers import Says
from unimicro import App, Invocation, Principal, Service, Token, current_invocation, entry
from unimicro.errors import DefinitionError, PermissionDenied
from unimicro.pipeline.activities import Activities, activities, authorized, caller_token, requires


def may(*grants, wanted="orders:create", namespace=""):
    return authorized(Principal("ann", activities=grants), wanted, namespace=namespace)


@pytest.mark.parametrize(
    ("grant", "granted"),
    [
        ("orders:create", True),
        ("orders:*", True),
        ("*:create", True),
        ("*:*", True),
        ("orders:**", True),
        ("**", True),
        ("orders", False),
        ("orders:", False),
        ("order", False),
        ("orders:creat", False),
        ("orders:creates", False),
        ("xorders:create", False),
        ("Orders:create", False),
        ("orders:create:bulk", False),
        ("orders:create:*", False),
        ("orders:create:**", False),
        ("*", False),
        ("orders:cre*", False),
        ("*:*:*", False),
        ("**:create", False),
        ("orders:**:create", False),
        (" orders:create", False),
        ("orders create", False),
        ("orders:create,orders:read", False),
        ("", False),
        (":", False),
    ],
)
def test_a_grant_covers_an_activity_segment_by_segment(grant, granted):
    assert may(grant) is granted


def test_the_rest_is_never_empty():
    assert not may("orders:create:**")
    assert may("orders:**", wanted="orders:create:bulk")
    assert not may("orders:**", wanted="orders")


@pytest.mark.parametrize(
    ("grant", "granted"),
    [
        ("shop:orders:create", True),
        ("shop:**", True),
        ("shop:*:create", True),
        ("orders:create", False),
        ("**", False),
        ("*:orders:create", False),
        ("shops:orders:create", False),
        ("shop", False),
        ("other:orders:create", False),
    ],
)
def test_a_namespace_is_an_exact_first_segment(grant, granted):
    assert may(grant, namespace="shop") is granted


def by_regex(grant, wanted, namespace):
    """The same rule, said in another way."""
    if namespace and not re.match(re.escape(namespace) + r"(:|\Z)", grant):
        return False
    segments = grant.split(":")
    parts = [r"[^:]+" if segment == "*" else re.escape(segment) for segment in segments]
    if segments[-1] == "**":
        parts[-1] = r"[^:]+(:[^:]+)*"
    full = f"{namespace}:{wanted}" if namespace else wanted
    return re.fullmatch(":".join(parts), full) is not None


SEGMENTS = st.sampled_from(["a", "b", "ab", "a.", "é"])
GRANTED = st.lists(st.one_of(SEGMENTS, st.sampled_from(["*", "**", "", "a*"])), min_size=1, max_size=4)


@given(
    grants=st.lists(GRANTED.map(":".join), max_size=3),
    wanted=st.lists(SEGMENTS, min_size=1, max_size=4).map(":".join),
    namespace=st.sampled_from(["", "a", "ab"]),
)
@example(grants=["a:**"], wanted="a", namespace="")
@example(grants=["*:b"], wanted="b", namespace="a")
@example(grants=["ab"], wanted="b", namespace="a")
def test_the_matcher_agrees_with_an_independent_one(grants, wanted, namespace):
    expected = any(by_regex(grant, wanted, namespace) for grant in grants)
    assert may(*grants, wanted=wanted, namespace=namespace) is expected


def test_all_that_is_required_must_be_granted():
    ann = Principal("ann", activities=("orders:*",))
    assert authorized(ann, "orders:create", "orders:read")
    assert not authorized(ann, "orders:create", "stock:read")


def test_nobody_may_do_anything():
    assert not authorized(None, "a")
    assert not authorized(Principal("", activities=("**",)), "a")
    assert not authorized(Principal("ann"), "a")
    assert not authorized(Principal("ann", scopes=("a",), claims={"activities": ["a"]}), "a")


def test_grants_that_are_no_names_grant_nothing_and_raise_nothing():
    for grants in (None, (None, 5), "*:a", [["a"]], {"a": 1}, 5):
        assert not authorized(Principal("ann", activities=grants), "a")
    assert authorized(Principal("ann", activities="a"), "a")
    assert authorized(Principal("ann", activities=(None, "a")), "a")


@pytest.mark.parametrize(
    ("required", "namespace"),
    [
        ((), ""),
        ("orders", ""),
        (("",), ""),
        (("a::b",), ""),
        (("a:*",), ""),
        (("**",), ""),
        ((5,), ""),
        (("a",), "x:y"),
        (("a",), "*"),
        (5, ""),
        (None, ""),
        (("a",), None),
        (("a",), 5),
    ],
)
def test_impossible_requirements_are_refused_at_definition(required, namespace):
    with pytest.raises(DefinitionError, match="Activities"):
        Activities(required, namespace)


# -- as a policy -----------------------------------------------------------------------------------


def test_it_stands_beside_the_authorizer_in_force(ask):
    app = app_of(Says(), activities("orders"))
    assert [stage.name for stage in app.stages_of("safe.get")][1:3] == ["auth", "activities"]
    assert ask(app, x_a="orders").status_code == 200
    assert ask(app).status_code == 401
    answer = ask(app, x_a="stock")
    assert (answer.status_code, answer.json["code"]) == (403, "permission_denied")
    assert (answer.json["layer"], answer.json["policy"]) == ("activities", "activities")
    assert answer.json["details"] == {"required": ["orders"]}


def test_a_bearer_of_the_token_has_no_activities(ask, monkeypatch):
    monkeypatch.setenv("TOKEN", "t")
    assert ask(app_of(activities("orders")), authorization="t").status_code == 403


def test_it_is_an_option_of_an_entry(ask):
    class Shop(Service):
        policies = (Says(),)

        @entry(activities=activities("orders:create", namespace="shop"))
        def get(self):
            return "in"

    assert ask(App(Shop()), x_a="shop:orders:create").status_code == 200
    assert ask(App(Shop()), x_a="orders:create").status_code == 403


def test_it_comes_from_the_configuration(ask):
    settings = {"entries": {"safe.get": {"activities": {"required": ["orders"], "namespace": "shop"}}}}
    app = app_of(Says(), config=settings)
    assert ask(app, x_a="shop:orders").status_code == 200
    assert ask(app, x_a="orders").status_code == 403


def test_in_a_combination_it_is_asked_once_it_is_known_who_calls(ask):
    for policy in (Says() & activities("orders"), activities("orders") & Says(how="await")):
        app = app_of(policy)
        assert ask(app, x_a="orders").status_code == 200
        assert ask(app).status_code == 401
        answer = ask(app, x_a="stock")
        assert (answer.status_code, answer.json["layer"], answer.json["policy"]) == (
            403,
            "auth",
            "activities",
        )


def test_either_of_two_activities(ask):
    for app in (
        app_of(Says() & (activities("orders") | activities("stock"))),
        app_of(Says(), activities("orders") | activities("stock")),
    ):
        assert ask(app, x_a="orders").status_code == 200
        assert ask(app, x_a="stock").status_code == 200
        assert ask(app, x_a="other").status_code == 403
        assert ask(app).status_code == 401


def test_grants_of_several_authorizers_add_up(ask):
    app = app_of(Says("x-a") & Says("x-b") & activities("orders", "stock"))
    assert ask(app, x_a="orders", x_b="stock").status_code == 200
    assert ask(app, x_a="orders", x_b="orders").status_code == 403


def test_code_in_the_process_needs_no_grants_but_an_equal_principal_does(drive):
    app = app_of(Token(), activities("orders"), activities("a") | activities("b"))
    assert drive(app, "safe.get").is_right()
    app = app_of(activities("orders"))
    assert drive(app, "safe.get").is_right()
    forged = Invocation("safe.get", principal=Principal("in-process"))
    assert app.run(forged).monoid[0].code == "permission_denied"
    granted = Invocation("safe.get", principal=Principal("ann", activities=("orders",)))
    assert app.run(granted).is_right()


def test_an_open_entry_cannot_require_activities():
    with pytest.raises(DefinitionError, match="no_auth"):
        entry(no_auth=True, policies=[activities("a")])

    class Open(Service):
        policies = (activities("a"),)

        @entry(no_auth=True)
        def get(self):
            return "open"

    assert App(Open()).test_client().get("/").text == "open"


# -- in code ---------------------------------------------------------------------------------------


class Desk(Service):
    policies = (Says(),)

    @requires("orders:read")
    def read(self):
        """Read."""
        return "read"

    @requires("orders:write", namespace="shop")
    async def write(self):
        await asyncio.sleep(0)
        return "written"

    @entry
    def get(self):
        return self.read()

    @entry
    async def get_async(self):
        return await self.write()

    @entry("GET", "/both")
    @requires("orders:read")
    def both(self, *, again: int = 1):
        return "both" * again


def test_a_decorated_function_asks_who_the_current_call_is_for():
    client = App(Desk()).test_client()
    assert client.get("/", headers={"x-a": "orders:*"}).text == "read"
    answer = client.get("/", headers={"x-a": "orders"})
    assert (answer.status_code, answer.json["code"]) == (403, "permission_denied")
    assert client.get("/async", headers={"x-a": "shop:orders:write"}).text == "written"
    assert client.get("/async", headers={"x-a": "orders:write"}).status_code == 403


def test_an_entry_can_be_decorated_and_keeps_its_signature():
    client = App(Desk()).test_client()
    assert client.get("/both?again=2", headers={"x-a": "**"}).text == "bothboth"
    assert client.get("/both?again=x", headers={"x-a": "**"}).status_code == 422
    assert client.get("/both", headers={"x-a": "orders"}).status_code == 403
    assert Desk.read.__doc__ == "Read."


def test_outside_of_a_call_nobody_is_there_to_be_allowed():
    assert current_invocation() is None
    with pytest.raises(PermissionDenied):
        Desk().read()
    with pytest.raises(PermissionDenied):
        asyncio.run(Desk().write())


def test_a_decorator_refuses_impossible_requirements_when_it_decorates():
    with pytest.raises(DefinitionError):
        requires("a:*")


def test_the_token_of_the_caller_can_be_handed_on(monkeypatch):
    monkeypatch.setenv("TOKEN", "t")

    class Relay(Service):
        @entry
        def get(self):
            return [caller_token(), caller_token("X-Other"), caller_token("x-none")]

    client = App(Relay()).test_client()
    headers = {"Authorization": "Bearer t", "x-other": "o"}
    assert client.get("/", headers=headers).json == ["Bearer t", "o", None]
    assert caller_token() is None
