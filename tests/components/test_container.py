"""What the constructors of services, components and checks are given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import pytest

from unimicro import App, Service, entry
from unimicro.component import Component, component, implementation, service
from unimicro.config import Settings  # noqa: TC001 - the container reads the hints
from unimicro.errors import ConfigurationError, DefinitionError
from unimicro.health import health_check, health_checks
from unimicro.pipeline.ports import Clock  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from decimal import Decimal


class Repository(ABC):
    @abstractmethod
    def find(self) -> str: ...


class InMemory(Repository):
    def find(self) -> str:
        return "in memory"


class Base(Service):
    @entry(no_auth=True)
    def get(self) -> str:
        return "base"


def app_of(kind, *services, **options):
    """An app of one component with one service."""
    made = component(kind.__name__.lower() + "_component", services=[kind])(type("One", (Component,), {}))
    return App(*services, components=[made], config=options.pop("config", {}), **options)


def service_of(kind, *services, **options):
    return app_of(kind, *services, **options).services[-1]


def wanting(hint, default=...):
    """A service whose constructor has one parameter."""

    class Wanting(Base):
        def __init__(self, wanted, **kwargs):
            super().__init__(**kwargs)
            self.wanted = wanted

    if default is not ...:
        Wanting.__init__.__defaults__ = (default,)
    if hint is not None:
        Wanting.__init__.__annotations__ = {"wanted": hint}
    return Wanting


def test_an_object_that_was_given_is_taken():
    given = InMemory()
    assert service_of(wanting(Repository), provide={Repository: given}).wanted is given


def test_a_class_or_a_function_makes_it_once_and_gets_its_own_parameters():
    made = []

    class Counted(InMemory):
        def __init__(self, settings: Settings, size: int = 5):
            made.append(size)
            self.settings = settings

    def make(settings: Settings) -> Repository:
        return Counted(settings, 7)

    class Two(wanting(Repository)):
        def __init__(self, one: Repository, two: Repository, **kwargs):
            super().__init__(one, **kwargs)
            assert one is two

    for maker, size in ((Counted, 5), (make, 7), (partial(make), 7), (lambda: Counted(None, 9), 9)):
        made.clear()
        app = app_of(Two, provide={Repository: maker})
        assert made == [size]
        assert app.services[0].wanted.settings in (app.settings, None)


def test_the_only_implementation_that_was_imported_is_made():
    class Port:
        pass

    @implementation()
    class Made(Port):
        pass

    assert type(service_of(wanting(Port)).wanted) is Made
    assert type(service_of(wanting(Annotated[Port, "a note"])).wanted) is Made
    assert type(service_of(wanting(Port | None)).wanted) is Made
    assert type(service_of(wanting(Port, None)).wanted) is Made


def test_what_was_given_goes_before_an_implementation():
    class Port:
        pass

    @implementation()
    class Made(Port):
        pass

    given = Port()
    assert service_of(wanting(Port), provide={Port: given}).wanted is given


def test_defaults_are_kept_where_nothing_is_given():
    class Unknown:
        pass

    assert service_of(wanting(Unknown, 5)).wanted == 5
    assert service_of(wanting(None, 5)).wanted == 5
    assert service_of(wanting(str, "text")).wanted == "text"
    assert service_of(wanting(Unknown | None)).wanted is None
    assert service_of(wanting(Any, 1)).wanted == 1


def test_name_and_url_prefix_of_a_service_are_never_filled():
    made = service_of(Base, provide={str: "wrong"})
    assert (made.name, made.url_prefix) == ("base", "")


def test_the_app_its_settings_and_its_clock_can_be_had():
    class All(Base):
        def __init__(self, app: App, settings: Settings, clock: Clock, **kwargs):
            super().__init__(**kwargs)
            self.all = app, settings, clock

    app = app_of(All)
    assert app.services[0].all == (app, app.settings, app.clock)


def test_positional_and_keyword_only_parameters_are_filled():
    class Odd(Base):
        def __init__(self, first: Repository, /, *rest, second: Repository, **kwargs):
            super().__init__(**kwargs)
            assert first is second

    service_of(Odd, provide={Repository: InMemory})


@implementation()
@dataclass
class Pair:
    one: Repository
    two: Settings


@implementation()
class Newly:
    def __new__(cls, pair: Pair):
        made = super().__new__(cls)
        made.pair = pair
        return made


def test_dataclasses_and_classes_with_new_are_filled():
    assert type(service_of(wanting(Newly), provide={Repository: InMemory}).wanted.pair.one) is InMemory


@pytest.mark.parametrize("decorate", [lambda kind: kind, runtime_checkable], ids=["static", "at run time"])
def test_a_protocol_is_provided_by_object_or_by_maker(decorate):
    @decorate
    class Finds(Protocol):
        def find(self) -> str: ...

    given = InMemory()
    assert service_of(wanting(Finds), provide={Finds: given}).wanted is given
    assert type(service_of(wanting(Finds), provide={Finds: InMemory}).wanted) is InMemory


def test_plain_services_of_the_app_are_given_and_two_that_fit_are_refused():
    class Plain(Service):
        @entry(no_auth=True)
        def get_plain(self) -> str:
            return "plain"

    one, two = Plain(), Plain(name="second", url_prefix="/second")
    assert service_of(wanting(Plain), one).wanted is one
    with pytest.raises(DefinitionError, match="parameter 'wanted': the app has 2 objects that are a Plain"):
        service_of(wanting(Plain), one, two)


def test_health_checks_get_what_they_want():
    @health_checks()
    class Checks:
        def __init__(self, repository: Repository):
            self.repository = repository

        @health_check()
        def finds(self):
            assert self.repository.find() == "in memory"

    app = app_of(Base, health_checks=[Checks], provide={Repository: InMemory})
    assert app.test_client().get("/readyz").json["status"] == "pass"


# -- refused -----------------------------------------------------------------------------------


class Lonely:
    pass


class Needs(Base):
    def __init__(self, lonely: Lonely, **kwargs):
        super().__init__(**kwargs)


def test_what_nothing_provides_is_named_with_class_and_parameter():
    with pytest.raises(
        ConfigurationError,
        match=r"Needs.__init__: parameter 'lonely': nothing provides Lonely; give it with App\(provide=",
    ):
        service_of(Needs)


def test_a_parameter_without_hint_is_named():
    with pytest.raises(DefinitionError, match=r"Wanting.__init__: parameter 'wanted' has no type hint"):
        service_of(wanting(None))


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (Any, "Any names no one class"),
        (InMemory | Lonely, r"InMemory \| Lonely names no one class"),
        (list[int], r"list\[int\] names no one class"),
        (int, "nothing provides int"),
        (object, "nothing provides object"),
    ],
)
def test_hints_that_name_no_one_class_are_named(hint, message):
    with pytest.raises(ConfigurationError, match=f"parameter 'wanted': {message}"):
        service_of(wanting(hint), Base(name="another", url_prefix="/another"))


def test_a_hint_that_only_the_type_checker_knows_is_named():
    class Late(Base):
        def __init__(self, price: Decimal, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(
        DefinitionError, match=r"Late.__init__: its type hints name 'Decimal', which its module does not know"
    ):
        service_of(Late)


def test_circles_are_drawn():
    class A:
        def __init__(self, b: B): ...

    class B:
        def __init__(self, a: A): ...

    A.__init__.__annotations__["b"], B.__init__.__annotations__["a"] = B, A
    implementation()(A), implementation()(B)
    with pytest.raises(
        DefinitionError, match=r"A.__init__ needs itself: A.__init__ → B.__init__ → A.__init__"
    ):
        service_of(wanting(A))


def test_circles_through_makers_are_drawn():
    def make(repository: Repository) -> Repository:
        return repository

    with pytest.raises(DefinitionError, match=r"make\(\) needs itself: make\(\) → make\(\)"):
        service_of(wanting(Repository), provide={Repository: make})


def test_several_implementations_are_named_at_the_parameter():
    class Port:
        pass

    implementation()(type("One", (Port,), {}))
    implementation()(type("Two", (Port,), {}))
    with pytest.raises(DefinitionError, match="parameter 'wanted': Port has several implementations"):
        service_of(wanting(Port))


def test_provide_is_a_mapping():
    with pytest.raises(DefinitionError, match="provide takes a mapping from types"):
        service_of(Base, provide=[InMemory()])


async def make_later() -> Repository:
    return InMemory()


@pytest.mark.parametrize(
    ("provide", "message"),
    [
        ({"Repository": InMemory()}, "'Repository' is no type"),
        ({Repository: 5}, "5 is no Repository, nor does it make one"),
        ({Repository: lambda: 5}, "made 5, which is no Repository"),
        ({Repository: Lonely}, "Lonely made .* which is no Repository"),
        ({Repository: make_later}, "cannot be async"),
    ],
)
def test_what_provides_nothing_of_the_kind_is_refused(provide, message):
    with pytest.raises(ConfigurationError, match=message):
        service_of(wanting(Repository), provide=provide)


def test_what_a_constructor_raises_comes_through():
    class Broken(Base):
        def __init__(self, **kwargs):
            raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        service_of(Broken)


# -- services of other programs ----------------------------------------------------------------


@service("billing")
class Billing(Service, ABC):
    @abstractmethod
    def charge(self, amount: int) -> int: ...


@implementation()
class BillingImpl(Billing):
    def charge(self, amount: int) -> int:
        return amount


def test_an_interface_that_no_component_has_is_refused_unless_something_says_where_it_is():
    with pytest.raises(
        ConfigurationError,
        match=r"parameter 'wanted': no component of this app has Billing, .*\[clients.<service>\] address",
    ):
        service_of(wanting(Billing))
    assert service_of(wanting(Billing, None)).wanted is None


@pytest.mark.parametrize(
    "clients", [{"billing": {"address": "http://127.0.0.1:1"}}, {"address": "http://127.0.0.1:1"}]
)
def test_it_becomes_a_proxy_where_an_address_is_configured(clients):
    app = app_of(wanting(Billing), config={"clients": clients})
    proxy = app.services[0].wanted
    assert isinstance(proxy, Billing)
    assert not isinstance(proxy, BillingImpl)
    app.stop()
