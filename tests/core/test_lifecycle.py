"""Setting up, starting and stopping an app."""

import asyncio

import pytest

from unimicro import App, FrontEnd, Service, entry
from unimicro.errors import ConfigurationError
from unimicro.outcome import Left


class Recorder(Service):
    def __init__(self, log, **kwargs):
        super().__init__(**kwargs)
        self.log = log

    def setup(self):
        self.log.append(f"setup {self.name}")

    def stop(self):
        self.log.append(f"stop {self.name}")

    @entry(no_auth=True)
    def ping(self) -> str:
        return "pong"


class AsyncRecorder(Recorder):
    async def setup(self):
        await asyncio.sleep(0)
        super().setup()

    async def stop(self):
        await asyncio.sleep(0)
        super().stop()


class LoggingDoor(FrontEnd):
    name = "logging"

    def decode(self, native):
        return Left(native)

    def encode(self, native, invocation, outcome):
        return outcome

    def setup(self):
        self.app.services[0].log.append("door setup")

    def start(self):
        self.app.services[0].log.append("door start")

    def stop(self):
        self.app.services[0].log.append("door stop")

    def kill(self):
        self.app.services[0].log.append("door kill")


class Plugin:
    def __init__(self):
        from unimicro import hookimpl

        self.__name__ = "logging-door"
        self.unimicro_register_doors = hookimpl(lambda register: register("logging", LoggingDoor))


@pytest.fixture
def log():
    return []


@pytest.fixture
def app(log):
    services = Recorder(log, name="one"), AsyncRecorder(log, name="two", url_prefix="/two")
    return App(*services, plugins=[Plugin()], config={})


ORDER = [
    "door setup", "setup one", "setup two", "door start", "door stop", "stop two", "stop one",
]  # fmt: skip


def test_services_are_set_up_before_doors_start_and_stopped_after_them_in_reverse(app, log):
    app.door("logging")
    with app:
        pass
    assert log == ORDER


def test_the_same_order_holds_on_an_event_loop(app, log):
    async def live():
        await app.astart()
        await app.astop()

    app.door("logging")
    asyncio.run(live())
    assert log == ORDER


def test_starting_and_stopping_twice_does_it_once(app, log):
    app.start()
    app.start()
    app.stop()
    app.stop()
    assert log == ["setup one", "setup two", "stop two", "stop one"]


def test_a_door_made_while_the_app_runs_is_started(app, log):
    with app:
        app.door("logging")
        assert "door start" in log


def test_a_service_that_cannot_be_set_up_stops_those_before_it(log):
    class Broken(Recorder):
        def setup(self):
            raise ConnectionError("no database")

    app = App(Recorder(log, name="one"), Broken(log, name="two", url_prefix="/two"), config={})
    with pytest.raises(ConnectionError):
        app.start()
    assert log == ["setup one", "stop one"]


def test_kill_stops_doors_at_once(app, log):
    app.door("logging")
    app.start()
    app.kill()
    assert log[-1] == "door kill"


def test_the_first_request_to_a_wsgi_app_finds_the_services_set_up(app, log):
    _ = app.wsgi
    assert log == ["setup one", "setup two"]


def test_a_door_that_does_not_exist_is_an_error_with_a_suggestion(app):
    with pytest.raises(ConfigurationError, match="there is no door 'flsk'; did you mean 'flask'"):
        app.door("flsk")


def test_every_door_is_made_once(app):
    assert app.door("memory") is app.door("memory")


def test_the_test_client_finds_the_services_set_up(app, log):
    app.test_client()
    assert log == ["setup one", "setup two"]
