"""What the Flask entry has beside the entries: Flask's own routes, hooks and context; mounting."""

import io
from typing import Annotated

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from unimicro import App, Service, entry
from unimicro.signature import Body


class Shop(Service):
    @entry(no_auth=True)
    def get_items(self, item_id: str) -> str:
        return f"item {item_id} for {flask.request.headers.get('x-tenant', 'nobody')}"

    @entry(no_auth=True)
    def upload(self, body: Annotated[bytes, Body] = b"") -> str:
        return str(len(body))

    @entry(no_auth=True)
    def get_cookies(self) -> tuple[str, int, list[tuple[str, str]]]:
        return "two", 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


@pytest.fixture
def app():
    return App(Shop(), config={})


def test_flasks_request_is_there_while_an_entry_runs(app):
    assert Client(app.wsgi).get("/items/1", headers={"x-tenant": "t"}).text == "item 1 for t"


def test_flask_routes_and_hooks_of_the_user_work_beside_the_entries(app):
    native = app.wsgi

    @native.get("/native")
    def native_route():
        return "native"

    @native.after_request
    def stamp(response):
        response.headers["X-Stamp"] = "1"
        return response

    client = Client(native)
    assert client.get("/native").text == "native"
    assert client.get("/items/1").headers["X-Stamp"] == "1"


def test_a_hook_that_answers_keeps_the_request_from_the_service(app):
    @app.wsgi.before_request
    def closed():
        return "closed", 503

    assert Client(app.wsgi).get("/items/1").status_code == 503


def test_an_entry_can_build_the_url_of_a_flask_route():
    class Linking(Service):
        @entry(no_auth=True)
        def get_link(self) -> str:
            return flask.url_for("native_route")

    native = App(Linking(), config={}).wsgi

    @native.get("/native")
    def native_route():
        return "native"

    assert Client(native).get("/link").text == "/native"


def test_the_handler_of_a_url_that_cannot_be_built_is_asked():
    class Linking(Service):
        @entry(no_auth=True)
        def get_link(self) -> str:
            return flask.url_for("elsewhere")

    native = App(Linking(), config={}).wsgi
    native.url_build_error_handlers.append(lambda error, endpoint, values: f"/outside/{endpoint}")
    assert Client(native).get("/link").text == "/outside/elsewhere"


def test_a_hook_can_rely_on_the_trusted_hosts(app):
    app.wsgi.config["TRUSTED_HOSTS"] = ["shop.example"]

    @app.wsgi.before_request
    def look_at_the_host():
        assert flask.request.host

    client = Client(app.wsgi)
    assert client.get("/items/1", base_url="http://shop.example").status_code == 200
    assert client.get("/items/1", base_url="http://evil.example").status_code == 400


def test_a_wsgi_middleware_can_wrap_the_app(app):
    def middleware(environ, start_response):
        environ["HTTP_X_TENANT"] = "from the middleware"
        return app.wsgi(environ, start_response)

    assert Client(middleware).get("/items/1").text == "item 1 for from the middleware"


def test_a_mounted_app_serves_the_paths_below_its_mount(app):
    outer = Client(DispatcherMiddleware(flask.Flask("outer"), {"/shop": app.wsgi}))
    assert outer.get("/shop/items/a%2Fb").text == "item a/b for nobody"
    assert outer.get("/items/1").status_code == 404


def test_a_server_that_gives_no_request_target_still_serves(app):
    environ = {"PATH_INFO": "/items/caf\xc3\xa9", "REQUEST_URI": "", "RAW_URI": ""}
    assert Client(app.wsgi).get("/", environ_overrides=environ).text == "item café for nobody"


def test_a_request_target_in_absolute_form_is_understood(app):
    target = "http://example.com/items/a%2Fb?x=1"
    environ = {"PATH_INFO": "/items/a/b", "REQUEST_URI": target, "RAW_URI": target, "QUERY_STRING": ""}
    assert Client(app.wsgi).get("/", environ_overrides=environ).text == "item a/b for nobody"


def test_repeated_headers_are_kept_apart(app):
    assert Client(app.wsgi).get("/cookies").headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_the_app_itself_is_a_wsgi_application(app):
    assert Client(app).get("/items/1").status_code == 200


class Torn(io.RawIOBase):
    """A body that breaks off as each server has it."""

    def __init__(self, error):
        self.error = error

    def readable(self):
        return True

    def readinto(self, _):
        raise self.error


class InvalidChunk(Exception):
    """As gunicorn raises, which is neither an OSError nor a ValueError."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidChunk(), 400),
        (ConnectionResetError(), 499),
        (TimeoutError(), 499),
    ],
)
def test_a_body_that_cannot_be_read_is_answered(app, error, status):
    environ = {"wsgi.input": Torn(error), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    reply = Client(app.wsgi).post("/items", environ_overrides=environ)
    assert (reply.status_code, reply.mimetype) == (status, "application/problem+json")


@pytest.mark.parametrize("length", ["-5", "+3", "abc", "\xb2", "3, 3", "9" * 5000])
def test_a_body_of_no_possible_length_is_refused(app, length):
    """To werkzeug it is no body at all: the service would be called without its arguments."""
    environ = {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"abc")}
    assert Client(app.wsgi).post("/upload", environ_overrides=environ).status_code == 400


def test_a_body_in_a_coding_that_the_server_left_alone_is_refused(app):
    environ = {"HTTP_TRANSFER_ENCODING": "gzip", "CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(b"abc")}
    assert Client(app.wsgi).post("/upload", environ_overrides=environ).status_code == 400


def test_a_body_that_the_server_has_decoded_is_read_to_its_end(app):
    environ = {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_LENGTH": "",
        "wsgi.input": io.BytesIO(b"abc"),
        "wsgi.input_terminated": True,
    }
    assert Client(app.wsgi).post("/upload", environ_overrides=environ).text == "3"


@pytest.mark.parametrize("target", ["http://[::1/items/1", "http://", "*", "http://[/x"])
def test_a_request_target_that_is_no_url_is_answered(app, target):
    environ = {"PATH_INFO": "/nowhere", "REQUEST_URI": target, "RAW_URI": target}
    assert Client(app.wsgi).get("/", environ_overrides=environ).status_code == 404


def test_a_host_that_is_not_trusted_is_refused(app):
    app.wsgi.config["TRUSTED_HOSTS"] = ["shop.example"]
    client = Client(app.wsgi)
    assert client.get("/items/1", base_url="http://shop.example").status_code == 200
    assert client.get("/items/1", base_url="http://evil.example").status_code == 400
