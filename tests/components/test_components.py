"""Interfaces, implementations and components: what is made of them, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod

import pytest

from tests.channels.http_servers import RawServer, json_answer
from unimicro import App, Service, entry
from unimicro.channels.client.http_transport import KEEPALIVE
from unimicro.component import (
    Component,
    ComponentStatus,
    component,
    get,
    implementation,
    post,
    rest,
    service,
)
from unimicro.discovery import ChannelAddress
from unimicro.errors import ConfigurationError, DefinitionError


@service(name="greetings", description="Says hello.", no_auth=True)
@rest("/api")
class Greetings(Service, ABC):
    @abstractmethod
    @get("/hello/{name}")
    def hello(self, name: str) -> str: ...


@implementation()
class GreetingsImpl(Greetings):
    def hello(self, name: str) -> str:
        return f"hello {name}"


@service()
class Orders(Service, ABC):
    @abstractmethod
    def place(self, lines: int) -> int: ...

    @abstractmethod
    async def find(self, number: int) -> str: ...


@implementation()
class OrdersImpl(Orders):
    def __init__(self, greetings: Greetings, **kwargs):
        super().__init__(**kwargs)
        self.greetings = greetings

    def place(self, lines: int) -> int:
        return lines

    async def find(self, number: int) -> str:
        return self.greetings.hello(str(number))


@component("shop", "A shop.", services=[Greetings, Orders])
class Shop(Component, ABC):
    pass


@implementation()
class ShopImpl(Shop):
    def __init__(self, greetings: Greetings):
        self.greetings = greetings


def test_a_component_brings_its_services_with_their_dependencies():
    app = App(components=[Shop], config={})
    assert [service.name for service in app.services] == ["greetings", "orders"]
    assert app.test_client().get("/api/hello/ada").text == "hello ada"
    assert asyncio.run(app.acall("orders.find", 5)).value == "hello 5"
    (shop,) = app.components
    assert (type(shop), shop.name, shop.greetings) == (ShopImpl, "shop", app.services[0])
    assert app.services[1].greetings is app.services[0]


def test_each_app_makes_its_own():
    one, two = (App(components=[Shop], config={}) for _ in range(2))
    assert one.services[0] is not two.services[0]
    assert one.components[0] is not two.components[0]


def test_a_plain_service_beside_it_and_a_component_object_work():
    class Plain(Service):
        @entry(no_auth=True)
        def get_plain(self) -> str:
            return "plain"

    shop = ShopImpl(GreetingsImpl())
    app = App(Plain(), components=[shop], config={})
    assert app.components == (shop,)
    assert [service.name for service in app.services] == ["plain", "greetings", "orders"]


def test_a_service_class_of_the_house_is_its_own_implementation():
    class House(Service):
        @entry(no_auth=True)
        def get_house(self) -> str:
            return "house"

    @component(services=[House])
    class HouseComponent(Component):
        pass

    app = App(components=[HouseComponent], config={})
    assert type(app.services[0]) is House
    assert app.components[0].name == "house_component"


def test_names_of_components_are_known_to_their_interfaces_and_who_implements_them():
    assert Greetings.__unimicro_component__ == "shop"
    assert GreetingsImpl.__unimicro_component__ == "shop"


# -- lifecycle ---------------------------------------------------------------------------------


class Kept(Service):
    @entry(no_auth=True)
    def get_kept(self) -> str:
        return "kept"

    def __init__(self, log: Log, **kwargs):
        super().__init__(**kwargs)
        self.log = log

    def setup(self):
        self.log.append("setup")

    def stop(self):
        self.log.append("stop")


class Other(Service):
    @entry(no_auth=True)
    def get_other(self) -> str:
        return "other"


class Log(list):
    """What happened, and where it is to fail."""

    fails = ""

    def append(self, what):
        super().append(what)
        if what == self.fails:
            raise OSError("no database")


class Logging(Component):
    def __init__(self, log: Log):
        self.log = log


@component("one", services=[Kept])
class One(Logging):
    def startup(self):
        self.log.append("startup one")

    def shutdown(self):
        self.log.append("shutdown one")


@component("two", services=[Other])
class Two(Logging):
    async def startup(self):
        await asyncio.sleep(0)
        self.log.append("startup two")

    async def shutdown(self):
        await asyncio.sleep(0)
        self.log.append("shutdown two")


def recording(log):
    return App(components=[One, Two], provide={Log: log}, config={})


ORDER = [
    "startup one", "startup two", "setup", "stop", "shutdown two", "shutdown one",
]  # fmt: skip


def test_components_start_before_services_and_stop_after_them():
    log = Log()
    app = recording(log)
    assert {each.get_status() for each in app.components} == {ComponentStatus.VIRGIN}
    with app:
        assert {each.get_status() for each in app.components} == {ComponentStatus.RUNNING}
    assert {each.get_status() for each in app.components} == {ComponentStatus.STOPPED}
    assert log == ORDER


def test_the_same_order_holds_on_an_event_loop():
    async def live():
        await app.astart()
        await app.astop()

    log = Log()
    app = recording(log)
    asyncio.run(live())
    assert log == ORDER


def test_a_component_that_cannot_start_takes_those_before_it_down_again():
    log = Log()
    log.fails = "startup two"
    app = recording(log)
    with pytest.raises(OSError, match="no database"):
        app.start()
    assert log == ["startup one", "startup two", "shutdown one"]
    assert [each.get_status().value for each in app.components] == ["stopped", "virgin"]
    assert app.presence.startedness().notes == ("not started",)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_app_that_cannot_start_leaves_no_connection_open(is_async):
    class Asking(Service):
        def setup(self):
            asked = app.manager.get_service(Other, "dispatch-json", address=server.address)
            assert asked.get_other() == "ok"
            used.append(asked)
            raise OSError("no database")

        @entry
        def asking(self): ...

    def script(server, connection, _):
        server.read_request(connection)
        connection.sendall(json_answer(b'{"result":"ok","exception":null}'))
        if connection.recv(1) == b"":
            ended.set()

    used, ended = [], threading.Event()
    app = App(Asking(), config={})
    with RawServer(script) as server:
        with pytest.raises(OSError, match="no database"):
            asyncio.run(app.astart()) if is_async else app.start()
        assert ended.wait(KEEPALIVE - 1)  # it would end by itself then


def test_a_service_that_cannot_be_stopped_keeps_no_component_from_it(caplog):
    log = Log()
    log.fails = "stop"
    with recording(log):
        pass
    assert log == ORDER
    assert "kept could not be stopped" in caplog.text


# -- refused -----------------------------------------------------------------------------------


class Unserved(Service, ABC):
    @abstractmethod
    @entry
    def get(self) -> str: ...


def test_an_interface_without_implementation_is_refused_by_name():
    @component(services=[Unserved])
    class Lacking(Component):
        pass

    with pytest.raises(DefinitionError, match=r"Unserved has no implementation \(it lacks get\)"):
        App(components=[Lacking], config={})


def test_an_interface_with_two_implementations_is_refused_with_both_names():
    class Twice(Service, ABC):
        @abstractmethod
        @entry
        def get(self) -> str: ...

    @implementation()
    class First(Twice):
        @entry
        def get(self) -> str:
            return "first"

    @implementation()
    class Second(Twice):
        @entry
        def get(self) -> str:
            return "second"

    @component(services=[Twice])
    class Both(Component):
        pass

    with pytest.raises(DefinitionError, match=r"Twice has several implementations: .*First and .*Second"):
        App(components=[Both], config={})


def test_an_abstract_component_needs_an_implementation_too():
    class Any(Service):
        @entry
        def get(self) -> str:
            return ""

    @component(services=[Any])
    class Abstract(Component, ABC):
        @abstractmethod
        def startup(self) -> None: ...

    with pytest.raises(DefinitionError, match=r"Abstract has no implementation \(it lacks startup\)"):
        App(components=[Abstract], config={})


def test_a_class_defined_again_takes_the_place_of_the_former_one():
    class Port(Service, ABC):
        @abstractmethod
        @entry
        def get(self) -> str: ...

    def define():
        @implementation()
        class Again(Port):
            @entry
            def get(self) -> str:
                return "again"

        return Again

    first, second = define(), define()

    @component(services=[Port])
    class Once(Component):
        pass

    assert type(App(components=[Once], config={}).services[0]) is second
    assert first is not second


def test_an_implementation_that_is_still_abstract_is_refused():
    with pytest.raises(DefinitionError, match="@implementation: Half lacks find, place"):

        @implementation()
        class Half(Orders):
            pass


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ((), "bundles nothing"),
        ([5], "takes service classes, not 5"),
        ([Component], "takes service classes"),
        ([GreetingsImpl()], "takes service classes"),
        ([Unserved, Unserved], "names a service twice"),
        (Unserved, "services takes a list"),
        ([Greetings], "Greetings belongs to the component 'shop' already"),
    ],
)
def test_what_no_component_can_bundle_is_refused(services, message):
    with pytest.raises(DefinitionError, match=message):
        component("wrong", services=services)(type("Wrong", (Component,), {}))


@pytest.mark.parametrize("name", ["a:b", "ü", "1a", "a b"])
def test_impossible_names_are_refused(name):
    with pytest.raises(DefinitionError, match="is no component name"):
        component(name, services=[Unserved])(type("Wrong", (Component,), {}))


def test_decorators_stand_where_they_belong():
    with pytest.raises(DefinitionError, match="@component stands on a class derived from Component"):
        component(services=[Orders])(Service)
    with pytest.raises(DefinitionError, match="@implementation stands on a class"):
        implementation()(5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([Component], "Component is no component yet: decorate it with @component"),
        ([Greetings], "components takes components"),
        ([5], "components takes components, not 5"),
        (Shop, "components takes a list"),
    ],
)
def test_what_is_no_component_is_refused(given, message):
    with pytest.raises(DefinitionError, match=message):
        App(components=given, config={})


def test_names_that_clash_are_named():
    class Plain(Service):
        @entry(no_auth=True)
        def get_plain(self) -> str:
            return "plain"

    with pytest.raises(
        DefinitionError, match="the service Plain and the component Shop are both called 'shop'"
    ):
        App(Plain(name="shop"), components=[Shop], config={})
    with pytest.raises(DefinitionError, match="two services are called 'greetings'"):
        App(Plain(name="greetings"), components=[Shop], config={})
    with pytest.raises(DefinitionError, match="both called 'shop'"):
        App(components=[Shop, Shop], config={})


def test_paths_that_clash_are_named():
    class Same(Service):
        @entry("GET", "/api/hello/{whom}", no_auth=True)
        def hello(self, whom: str) -> str:
            return whom

    with pytest.raises(DefinitionError, match=r"same\.hello and greetings\.hello are both GET"):
        App(Same(), components=[Shop], config={})


def test_an_app_of_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="at least one service"):
        App(components=[], config={})


def test_addresses_are_those_of_the_server_or_its_own():
    class Own(ShopImpl):
        def get_addresses(self, port):
            return [ChannelAddress("rest", f"https://shop.example:{port}")]

    app = App(components=[Shop], config={})
    (shop,) = app.components
    assert shop.get_addresses(8000) == ()
    app.presence.plan(["rest", "stream"], "http://127.0.0.1:8000")
    expected = [("rest", "http://127.0.0.1:8000"), ("stream", "http://127.0.0.1:8000")]
    assert list(shop.get_addresses(8000)) == expected
    assert Own(GreetingsImpl()).get_addresses(1) == [("rest", "https://shop.example:1")]


# -- no_auth -----------------------------------------------------------------------------------


def test_no_auth_of_an_interface_opens_what_does_not_say_itself_who_may_call():
    from unimicro import Token

    @service("mixed", no_auth=True)
    @rest("/mixed")
    class Mixed(Service):
        @get("/open")
        def open(self) -> str:
            return "open"

        @get("/said", no_auth=False)
        def said(self) -> str:
            return "said"

        @post("/token", auth=Token())
        def token(self) -> str:
            return "token"

        def bare(self) -> str:
            return "bare"

    client = App(Mixed(), config={}).test_client()
    assert client.get("/mixed/open").status_code == 200
    assert client.post("/mixed/bare").status_code == 200
    assert client.get("/mixed/said").status_code == 401
    assert client.post("/mixed/token").status_code == 401


def test_it_opens_nothing_of_other_classes_that_inherit_the_same_methods():
    class Common(Service):
        def ping(self) -> str:
            return "pong"

        @get("/status")
        def status(self) -> str:
            return "well"

    @service("open", no_auth=True)
    @rest("/open")
    class Open(Common):
        pass

    @service("closed")
    @rest("/closed")
    class Closed(Common):
        pass

    client = App(Open(), Closed(), config={}).test_client()
    assert [client.post("/open/ping").status_code, client.get("/open/status").status_code] == [200, 200]
    assert [client.post("/closed/ping").status_code, client.get("/closed/status").status_code] == [401, 401]


def test_an_interface_keeps_what_another_interface_has_said():
    @service("base")
    class Base(Service):
        def ping(self) -> str:
            return "pong"

    @service("derived", no_auth=True)
    class Derived(Base):
        def pong(self) -> str:
            return "ping"

    operations = App(Derived(), config={}).operations
    assert operations["derived.ping"].options.no_auth is False
    assert operations["derived.pong"].options.no_auth is True


def test_an_override_of_an_inherited_method_of_an_interface_is_an_entry():
    class Common(Service):
        def ping(self, times: int = 1) -> str:
            return "pong" * times

    @service("own", no_auth=True)
    class Own(Common):
        pass

    @implementation()
    class OwnImpl(Own):
        def ping(self, times: int = 2) -> str:
            return super().ping(times) + "!"

    assert App(OwnImpl(), config={}).call("own.ping", 2).value == "pongpong!"
