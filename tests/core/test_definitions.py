"""What cannot work is refused while the app is defined, and the error names it."""

from __future__ import annotations

import re
import threading  # noqa: TC003 - read by the binder
from dataclasses import dataclass
from types import FunctionType
from typing import Annotated, Any

import pytest

from unimicro import App, Body, Breaker, Cors, Deadline, Path, Retry, Service, Token, entry, event, every
from unimicro.errors import ConfigurationError, DefinitionError


def entry_of(method: Any, *args: Any, **options: Any) -> Service:
    """A service ``s`` whose only entry is ``method``, under that function's name."""
    own = FunctionType(method.__code__, globals(), method.__name__, method.__defaults__, method.__closure__)
    own.__annotations__, own.__kwdefaults__ = method.__annotations__, method.__kwdefaults__
    decorated = entry(*args, **options)(own) if args or options else entry(own)
    return type("S", (Service,), {method.__name__: decorated})()


def refused(*services: Any, **options: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        App(*services, **options)
    return str(caught.value)


def nothing(self): ...


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/a{b}", "a{b}"),
        ("/{a}-{b}", "{a}-{b}"),
        ("/{}", "{}"),
        ("/{a", "{a"),
        ("/{a b}", "{a b}"),
        ("/{a}/{a}", "{a}"),
        ("/{missing}", "missing"),
        ("no/slash", "no/slash"),
    ],
)
def test_a_bad_template_is_refused(path, told):
    def get_it(self, a: str = "", b: str = ""): ...

    text = refused(entry_of(get_it, "GET", path))
    assert "s.get_it" in text
    assert told in text


def test_star_args_are_refused():
    def get_it(self, *numbers: int): ...

    assert "s.get_it: *numbers" in refused(entry_of(get_it))


@pytest.mark.parametrize("hint", ["Missing", "re.Missing", "1 +", "int[5]"])
def test_a_hint_that_cannot_be_resolved_is_refused(hint):
    def get_it(self, x): ...

    get_it.__annotations__ = {"x": hint}
    assert "s.get_it: a type hint cannot be resolved" in refused(entry_of(get_it))


@dataclass
class Holder:
    lock: threading.Lock


class Plain:
    pass


@pytest.mark.parametrize("kind", [Plain, list[Plain], Holder, Plain | None, re.Pattern])
def test_a_type_without_wire_form_is_refused(kind):
    def post_it(self, x): ...

    post_it.__annotations__ = {"x": kind}
    text = refused(entry_of(post_it))
    assert "s.post_it" in text
    assert "'x'" in text


def test_two_operations_on_one_route_are_refused_and_both_named():
    class First(Service):
        @entry("GET", "/orders/{order_id}")
        def get_one(self, order_id: str): ...

    class Second(Service):
        @entry("GET", "/orders/{number}")
        def get_other(self, number: int): ...

    text = refused(First(), Second())
    assert "first.get_one" in text
    assert "second.get_other" in text
    App(First(), Second(url_prefix="/second"))


def test_two_functions_of_one_service_on_one_route_are_refused():
    class Twice(Service):
        @entry
        def get_item(self, a: str): ...

        @entry
        def get_item_(self, b: str): ...

    assert "twice.get_item" in refused(Twice())


def test_two_services_of_one_name_are_refused():
    assert "'s'" in refused(entry_of(nothing), entry_of(nothing))


@pytest.mark.parametrize("options", [{}, {"safe": False}, {"key": ""}])
def test_a_retry_on_an_entry_that_may_not_be_repeated_is_refused(options):
    with pytest.raises(DefinitionError, match="safe=True"):
        entry(retry=Retry(), **options)


@pytest.mark.parametrize("options", [{"safe": True}, {"idempotent": True}])
def test_a_retry_on_a_repeatable_entry_is_fine(options):
    App(entry_of(nothing, retry=Retry(), **options))


def test_a_retry_that_the_configuration_gives_to_an_unsafe_entry_is_refused_as_well():
    config = {"entries": {"s.nothing": {"retry": {"attempts": 2}}}}
    assert "s.nothing" in refused(entry_of(nothing), config=config)


@pytest.mark.parametrize(
    "options",
    [{"policies": [Retry()]}, {"config": {"policies": {"retry": True}}}],
    ids=["app", "configuration"],
)
def test_a_retry_for_all_entries_leaves_out_those_that_must_not_be_repeated(options):
    class Mixed(Service):
        @entry
        def unsafe(self) -> None: ...

        @entry(safe=True)
        def harmless(self) -> None: ...

    class Wide(Mixed):
        policies = (Retry(),)

    for app in (App(Mixed(name="m"), **options), App(Wide(name="m"), config={})):
        retried = {name: "retry" in app.policies_of(operation) for name, operation in app.operations.items()}
        assert retried == {"m.unsafe": False, "m.harmless": True}


def test_an_object_that_no_path_can_hold_is_refused_on_a_verb_without_a_body():
    def get(self, wanted: dict[str, int]) -> None: ...

    assert "'wanted' fits no path segment and a GET has no body" in refused(entry_of(get))


def test_a_list_without_default_is_read_from_repeated_query_values():
    class Tags(Service):
        @entry(no_auth=True)
        def get(self, tag: list[str]) -> list[str]:
            return tag

    client = App(Tags(), config={}).test_client()
    assert client.get("/?tag=a&tag=b").json == ["a", "b"]
    assert client.get("/").status_code == 422


@pytest.mark.parametrize("option", [{"key": "order"}, {"sensitive": ["card"]}])
def test_key_and_sensitive_must_name_parameters(option):
    text = refused(entry_of(nothing, **option))
    assert "s.nothing" in text
    assert str(next(iter(option))) in text


def test_cors_with_credentials_needs_named_origins():
    with pytest.raises(DefinitionError, match="credentials"):
        Cors(credentials=True)
    Cors(origins=("https://a.example",), credentials=True)


def test_a_cors_origin_given_as_one_string_is_refused():
    """``"https://a" in "https://a.example"`` holds: part of an origin must not pass for it."""
    with pytest.raises(DefinitionError, match="origins"):
        Cors(origins="https://a.example")


@pytest.mark.parametrize("verb", ["FETCH", "/path", 5])
def test_an_unknown_verb_is_refused(verb):
    with pytest.raises(DefinitionError, match=re.escape(repr(verb))):
        entry(verb)


def test_a_service_class_instead_of_an_instance_is_refused():
    assert "S()" in refused(type(entry_of(nothing)))


@pytest.mark.parametrize("given", [(), (5,)])
def test_an_app_needs_services(given):
    assert "service" in refused(*given)


@pytest.mark.parametrize("has_name", [False, True])
def test_a_missing_super_init_is_told(has_name):
    class Forgets(Service):
        def __init__(self):
            if has_name:
                self.name = "forgets"

        @entry
        def get(self): ...

    assert "Forgets.__init__ must call super().__init__" in refused(Forgets())


def test_a_service_without_entries_is_refused():
    assert "Service has no entries" in refused(Service())


def test_a_static_method_is_no_entry():
    class Static(Service):
        @staticmethod
        @entry
        def get(): ...

    assert "static.get" in refused(Static())
    with pytest.raises(DefinitionError, match="decorate a method"):
        entry(staticmethod(nothing))


@pytest.mark.parametrize("name", ["", "a b", "1a", "a.b", "a/b", "é"])
def test_a_service_name_is_a_name(name):
    if name:
        with pytest.raises(DefinitionError, match="service name"):
            Service(name=name)


def test_a_url_prefix_must_be_static_and_begin_with_a_slash():
    with pytest.raises(DefinitionError, match="admin"):
        Service(url_prefix="admin")
    prefixed = entry_of(nothing)
    prefixed.url_prefix = "/{tenant}"
    assert "url_prefix" in refused(prefixed)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_an_interval_is_above_zero(seconds):
    with pytest.raises(DefinitionError, match="interval"):
        every(seconds)


def test_declared_errors_are_exception_classes_with_a_code_of_the_table():
    class Odd(Exception):
        code = "oops"

    class Stranger(Exception):
        code = ["not_found"]  # noqa: RUF012 - what a stranger's class may look like

    for error, told in (
        (Odd, "oops"),
        (Stranger, "not_found"),
        (ValueError(), "exception classes"),
        (5, "5"),
    ):
        with pytest.raises(DefinitionError, match=told):
            entry(errors=[error])
    with pytest.raises(DefinitionError):
        entry(errors=[KeyboardInterrupt])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Retry(attempts=0),
        lambda: Retry(attempts=True),
        lambda: Retry(attempts=1.5),
        lambda: Retry(base=0),
        lambda: Retry(cap=float("nan")),
        lambda: Breaker(failure_rate=0),
        lambda: Breaker(failure_rate=1.1),
        lambda: Breaker(window=5, minimum_calls=6),
        lambda: Breaker(window=20.5),
        lambda: Breaker(open_seconds="5"),
        lambda: Deadline(0),
        lambda: Deadline(True),
    ],
)
def test_impossible_settings_of_a_policy_are_refused(make):
    with pytest.raises(DefinitionError, match=r"(Retry|Breaker|Deadline)\.\w+"):
        make()


def test_a_path_parameter_that_the_template_lacks_is_refused():
    def get_it(self, a: Annotated[str, Path]): ...

    assert "'a'" in refused(entry_of(get_it, "GET", "/it"))


def test_a_whole_body_needs_a_verb_with_a_body():
    def get_it(self, *, a: Annotated[str, Body] = ""): ...

    assert "GET" in refused(entry_of(get_it))


def test_a_whole_body_leaves_no_room_for_members():
    def post_it(self, a: Annotated[dict, Body], b: int = 0): ...

    def post_two(self, a: Annotated[dict, Body], b: Annotated[dict, Body]): ...

    assert "whole body" in refused(entry_of(post_it))
    assert "whole body" in refused(entry_of(post_two))


@pytest.mark.parametrize("stage", ["text", 5, lambda: None])
def test_a_stage_must_take_the_invocation(stage):
    assert "s.nothing" in refused(entry_of(nothing, stages=[stage]))


@pytest.mark.parametrize("path", ["/caf%C3%A9", "/a?b=c", "/a#b", "/100%"])
def test_a_path_is_written_decoded_and_without_query(path):
    assert path in refused(entry_of(nothing, "GET", path))
    App(entry_of(nothing, "GET", "/café/a b"))


def test_decorators_of_one_method_have_the_same_options():
    class Twice(Service):
        @event("a", "b", retry=Retry())
        @event("c", "d")
        def on_either(self): ...

    class Alike(Service):
        @event("a", "b")
        @event("c", "d")
        @every(5)
        def on_either(self): ...

    assert "twice.on_either" in refused(Twice())
    operation = App(Alike()).operations["alike.on_either"]
    assert (len(operation.events), operation.interval) == (2, 5.0)


def test_all_of_them_are_configuration_errors():
    assert issubclass(DefinitionError, ConfigurationError)


def test_an_override_without_its_decorator_is_refused():
    class Base(Service):
        @entry(no_auth=True)
        def ping(self) -> str:
            return "pong"

    class Derived(Base):
        def ping(self) -> str:
            return "other"

    with pytest.raises(
        DefinitionError, match=r"Derived\.ping overrides an entry: decorate it with @entry too"
    ):
        App(Derived(), config={})


def test_a_class_attribute_names_the_service():
    class Shop(Service):
        name = "store"

        @entry
        def ping(self) -> str:
            return "pong"

    assert list(App(Shop(), config={}).operations) == ["store.ping"]
    assert list(App(Shop(name="third"), config={}).operations) == ["third.ping"]


def test_an_open_entry_with_an_authorizer_is_refused():
    with pytest.raises(DefinitionError, match="contradict"):
        entry(no_auth=True, auth=Token())


def test_two_circuits_of_one_name_with_other_settings_are_refused():
    class Two(Service):
        @entry(breaker=Breaker("stock", window=20))
        def one(self) -> None: ...

        @entry(breaker=Breaker("stock", window=30))
        def two(self) -> None: ...

    with pytest.raises(DefinitionError, match="circuit 'stock' has other settings elsewhere"):
        App(Two(), config={})


def test_an_entry_of_another_stage_may_be_configured():
    class Staged(Service):
        @entry(no_auth=True)
        def ping(self) -> None: ...

        @entry(stage="prod")
        def only_prod(self) -> None: ...

    app = App(Staged(), stage="dev", config={"entries": {"staged.only_prod": {"breaker": False}}})
    assert list(app.operations) == ["staged.ping"]


def test_the_configuration_of_all_operations_does_not_close_an_open_entry():
    class Open(Service):
        @entry(no_auth=True)
        def ping(self) -> str:
            return "pong"

    assert App(Open(), config={"policies": {"auth": True}}).test_client().post("/ping").status_code == 200
    closed = App(Open(), config={"entries": {"open.ping": {"auth": True}}})
    assert closed.test_client().post("/ping").status_code == 401
