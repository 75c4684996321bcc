"""Where a policy comes from, which one wins, and what is refused."""

from __future__ import annotations

import pytest

from unimicro import App, Breaker, Deadline, Policy, Retry, Service, Stage, Token, entry, hookimpl
from unimicro.errors import ConfigurationError, PluginError
from unimicro.pipeline.stages import ORDER


class Orders(Service):
    policies = (Deadline(3),)

    @entry(safe=True, no_auth=True, retry=Retry(attempts=4), breaker=Breaker("stock"))
    def get(self) -> str:
        return "fine"

    @entry
    def post(self) -> str:
        return "done"


def said(app, operation="orders.get"):
    return {
        name: (source.policy, source.origin)
        for name, source in app.sources_of(app.operations[operation]).items()
    }


def stage_names(app, operation="orders.get"):
    return [stage.name for stage in app.stages_of(operation)]


class Company:
    """A plugin that gives every entry its deadline and its retry."""

    @hookimpl
    def unimicro_register_policies(self, operation, register):
        register(Deadline(7))
        register(Retry(attempts=2))


def test_each_place_overrides_the_one_before_it():
    assert said(App(Orders()))["deadline"] == (Deadline(3), "service")
    assert said(App(Orders(), policies=[Deadline(1)]))["deadline"] == (Deadline(3), "service")
    assert said(App(Orders(), policies=[Breaker("x")]))["breaker"] == (Breaker("stock"), "entry")
    configured = App(Orders(), config={"policies": {"deadline": {"timeout": 5}}})
    assert said(configured)["deadline"] == (Deadline(5), "[policies]")
    both = {
        "policies": {"deadline": {"timeout": 5}},
        "entries": {"orders.get": {"deadline": {"timeout": 6}}},
    }
    assert said(App(Orders(), config=both))["deadline"] == (Deadline(6), "[entries.orders.get]")
    assert said(App(Orders(), config=both), "orders.post")["deadline"] == (Deadline(5), "[policies]")
    assert said(App(Orders(), config=both, plugins=[Company()]))["deadline"] == (
        Deadline(7),
        "plugin Company",
    )


def test_a_default_is_said_too():
    assert said(App(Orders()), "orders.post")["auth"] == (Token(), "default")


def test_a_plugin_s_retry_leaves_out_entries_that_must_not_be_repeated():
    app = App(Orders(), plugins=[Company()])
    assert said(app)["retry"] == (Retry(attempts=2), "plugin Company")
    assert "retry" not in said(app, "orders.post")


@pytest.mark.parametrize("value", [False, "off", {"mode": "off"}])
def test_off_leaves_no_stage(value):
    app = App(Orders(), config={"entries": {"orders.get": {"breaker": value}}})
    assert "breaker" not in stage_names(app)
    assert said(app)["breaker"][1] == "[entries.orders.get]"


def test_off_in_code_leaves_no_stage():
    class Quiet(Orders):
        @entry(safe=True, no_auth=True, retry=Retry(mode="off"))
        def get(self) -> str:
            return "fine"

    app = App(Quiet(name="orders"), policies=[Retry()])
    assert "retry" not in stage_names(app)


def test_a_policy_that_is_off_may_stand_on_any_entry():
    class Unsafe(Service):
        @entry(no_auth=True, retry=Retry(mode="off"))
        def post(self) -> str:
            return "done"

    assert "retry" not in stage_names(App(Unsafe()), "unsafe.post")


def test_a_mode_keeps_the_settings_of_the_code():
    app = App(Orders(), config={"entries": {"orders.get": {"retry": "shadow"}}})
    assert said(app)["retry"][0] == Retry(attempts=4, mode="shadow")
    assert "retry" not in app.policies_of(app.operations["orders.get"])


REFUSED = {
    "a mode that there is not": (
        {"breaker": "shade"},
        "breaker: the mode must be one of enforce, shadow, off",
    ),
    "a mode that there is not of a policy without defaults": (
        {"bulkhead": "shade"},
        "bulkhead: the mode must be one of enforce, shadow, off",
    ),
    "a flag in words": ({"retry": {"wait_for_probe": "no"}}, "Retry.wait_for_probe must be true or false"),
    "a thread in words": ({"auth": {"blocking": "no"}}, "Token.blocking must be true or false"),
    "a header that is none": ({"auth": {"header": 5}}, "Token.header must be text that is not empty"),
    "a header without a name": ({"auth": {"header": ""}}, "Token.header must be text that is not empty"),
    "a time without end": ({"deadline": {"timeout": float("inf")}}, "Deadline.timeout must be above 0"),
    "a time beyond numbers": ({"timeout": {"seconds": 10**400}}, "Timeout.seconds must be above 0"),
    "a wait without end": ({"retry": {"cap": float("inf")}}, "Retry.cap must be above 0 and finite"),
    "a budget without a name": ({"retry": {"budget": {"name": 5}}}, "Budget.name must be text"),
    "a mode in a table that there is not": ({"breaker": {"mode": "on"}}, "Breaker.mode must be one of"),
    "the mode of the only authorizer": ({"auth": "shadow"}, "an authorizer in shadow protects nothing"),
    "an authorizer by its kind": ({"jwt": False}, "authorizers are switched with 'auth'"),
    "a policy that there is not": ({"braker": False}, "unknown policy 'braker'; did you mean 'breaker'"),
    "a setting that there is not": ({"retry": {"attemps": 2}}, "did you mean 'attempts'"),
    "a negative time": ({"deadline": {"timeout": -1}}, "Deadline.timeout must be above 0"),
}


@pytest.mark.parametrize(("table", "text"), REFUSED.values(), ids=REFUSED)
def test_is_refused_with_its_place(table, text):
    with pytest.raises(ConfigurationError) as refused:
        App(Orders(), config={"entries": {"orders.get": table}})
    assert "entries.orders.get" in str(refused.value)
    assert text in str(refused.value)


def test_a_misspelt_entry_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match=r"'orders.gte'; did you mean 'orders.get'"):
        App(Orders(), config={"entries": {"orders.gte": {"breaker": False}}})


class Marking(Policy):
    name = "marking"

    def stage(self, operation, assembly):
        return Stage(self.name, ORDER["user"], lambda invocation: invocation)


class Kinds:
    def __init__(self, kind_name):
        self.kind_name = kind_name
        self.calls = 0

    @hookimpl
    def unimicro_register_policy_kinds(self, register):
        self.calls += 1
        register(self.kind_name, Marking)


def test_a_plugin_s_kind_of_policy_can_be_configured():
    kinds = Kinds("marking")
    app = App(Orders(), plugins=[kinds], config={"policies": {"marking": True}})
    assert "marking" in stage_names(app)
    assert kinds.calls == 1


def test_a_plugin_cannot_take_the_name_of_a_built_in_kind():
    with pytest.raises(PluginError, match="there is a kind of policy 'retry' already"):
        App(Orders(), plugins=[Kinds("retry")])


def test_a_plugin_that_registers_no_policy_is_named():
    class Odd:
        @hookimpl
        def unimicro_register_policies(self, operation, register):
            register(3)

    with pytest.raises(PluginError, match=r"plugin 'Odd'.*3 is no policy"):
        App(Orders(), plugins=[Odd()])


class AsksForAStore(Policy):
    name = "asks"

    def __init__(self, store, port="breaker"):
        object.__setattr__(self, "store", store)
        object.__setattr__(self, "port", port)
        object.__setattr__(self, "got", [])

    def stage(self, operation, assembly):
        self.got.append(assembly.store(self.port, self.store, "Asks.store"))


def store_of(store, port="breaker", **options):
    policy = AsksForAStore(store, port)
    App(Orders(), policies=[policy], **options)
    return policy.got


def test_a_store_given_to_the_app_is_found_by_its_name():
    mine = object()
    assert store_of("mine", stores={"mine": mine}) == [mine, mine]
    assert store_of(mine) == [mine, mine]


STORES_REFUSED = {
    "a misspelt setting": (
        "fleet",
        {"fleet": {"kind": "redis", "urll": "x"}},
        "unknown setting 'urll'; did you mean 'url'",
    ),
    "an unknown name": (
        "flet",
        {"fleet": {"kind": "memory"}},
        "Asks.store: there is no store 'flet'; did you mean 'fleet'",
    ),
    "a table without kind": ("fleet", {"fleet": {}}, "stores.fleet.kind must be one of"),
    "an unknown kind": ("fleet", {"fleet": {"kind": "reddis"}}, "stores.fleet.kind must be one of memory"),
    "a kind without the port": (
        "fleet",
        {"fleet": {"kind": "sqlite"}},
        "kind 'sqlite' keeps no breaker state",
    ),
}


@pytest.mark.parametrize(("name", "tables", "text"), STORES_REFUSED.values(), ids=STORES_REFUSED)
def test_a_store_is_refused_for(name, tables, text):
    with pytest.raises(ConfigurationError) as refused:
        store_of(name, config={"stores": tables})
    assert text in str(refused.value)
