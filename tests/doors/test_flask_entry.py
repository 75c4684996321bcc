"""What the Flask entry has beside the entries: Flask's own routes, hooks and context; mounting."""

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from unimicro import App, Service, entry


class Shop(Service):
    @entry(no_auth=True)
    def get_items(self, item_id: str) -> str:
        return f"item {item_id} for {flask.request.headers.get('x-tenant', 'nobody')}"

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
