"""What ``/livez``, ``/readyz``, ``/startupz`` and the health of components answer."""

from __future__ import annotations

import asyncio

import pytest

from unimicro import App, Service, VirtualClock, entry
from unimicro.component import Component, component
from unimicro.errors import DefinitionError
from unimicro.health import Health, HealthStatus, Result, health, health_check, health_checks

OK, WARNING, ERROR = HealthStatus


class Shop(Service):
    @entry("GET", "/tea")
    def tea(self) -> str:
        return "tea"


@health_checks()
class Checks:
    def __init__(self, status=OK, details=""):
        self.status, self.details = status, details

    @health_check()
    def database(self, result: Result) -> None:
        result.set_status(self.status, self.details)


def app_with(*checks, config=None, **options):
    return App(Shop(), health_checks=checks, config=config or {}, **options)


def get(app, path):
    answer = app.test_client().get(path)
    return answer.status_code, answer.json


def test_an_app_without_checks_is_alive_started_and_ready():
    client = App(Shop(), config={}).test_client()
    for path in ("/livez", "/readyz", "/startupz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "pass"})
        assert answer.headers["content-type"] == "application/health+json"
        assert answer.headers["cache-control"] == "no-store"


def test_they_need_no_token_where_entries_do_and_no_policy_of_the_app_touches_them():
    from unimicro import Left, RateLimit
    from unimicro.outcome import Failure

    app = App(
        Shop(),
        policies=[RateLimit(1, 3600)],
        stages=[lambda invocation: Left(Failure("unavailable", "closed"))],
        config={},
    )
    client = app.test_client()
    assert client.get("/tea").status_code == 401
    assert [client.get("/readyz").status_code for _ in range(5)] == [200] * 5


def test_head_options_a_query_and_a_trailing_slash_work_and_other_verbs_do_not():
    client = App(Shop(), config={}).test_client()
    head = client.head("/readyz")
    assert (head.status_code, head.data) == (200, b"")
    assert client.options("/readyz").headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.get("/readyz/?verbose=1&x").status_code == 200
    assert client.post("/readyz").status_code == 405


@pytest.mark.parametrize(
    ("status", "ready", "word"), [(OK, 200, "pass"), (WARNING, 200, "warn"), (ERROR, 503, "fail")]
)
def test_a_warning_is_a_success_to_a_probe_and_an_error_is_none(status, ready, word):
    app = app_with(Checks(status))
    assert get(app, "/readyz") == (ready, {"status": word, "checks": {"database": [{"status": word}]}})
    assert get(app, "/livez") == (200, {"status": "pass"})
    assert get(app, "/startupz") == (200, {"status": "pass"})


def test_details_are_shown_only_where_the_setting_says_so():
    checks = Checks(ERROR, "host db-1 refused \udcff")
    assert "db-1" not in str(get(app_with(checks), "/readyz"))
    clock = VirtualClock(epoch=0)
    _, shown = get(app_with(checks, config={"health_details": True}, clock=clock), "/readyz")
    assert shown["checks"]["database"] == [
        {
            "status": "fail",
            "time": "1970-01-01T00:00:00.000+00:00",
            "observedValue": 0.0,
            "observedUnit": "ms",
            "output": "host db-1 refused \\udcff",
        }
    ]


def test_an_app_that_is_not_started_or_drains_is_alive_but_not_ready():
    app = App(Shop(), config={})
    door = app.door("http")

    def ask(path):
        from unimicro.routes.request import HttpRequest

        answer = door.handle(HttpRequest("GET", path, (path[1:],)))
        return answer.status, answer.body.decode()

    assert ask("/livez")[0] == 200
    assert ask("/readyz") == ask("/startupz") == (503, '{"status":"fail","notes":["not started"]}')
    app.start()
    assert ask("/readyz")[0] == ask("/startupz")[0] == 200
    app.presence.withdraw()
    assert ask("/readyz") == (503, '{"status":"fail","notes":["draining"]}')
    assert ask("/livez")[0] == ask("/startupz")[0] == 200
    app.stop()
    assert ask("/startupz")[0] == 503


@pytest.mark.parametrize("is_async", [False, True])
def test_an_app_that_was_stopped_and_is_started_again_is_ready(is_async):
    app = App(Shop(), config={})

    async def once():
        await app.astart()
        seen.append(app.presence.readiness().status)
        await app.astop()

    seen = []
    for _ in range(2):
        if is_async:
            asyncio.run(once())
        else:
            with app:
                seen.append(app.presence.readiness().status)
    assert seen == [OK, OK]


def test_it_is_not_ready_while_a_service_is_set_up():
    seen = []

    class Slow(Shop):
        def setup(self):
            seen.append(app.presence.readiness().status)

    app = App(Slow(), config={})
    with app:
        seen.append(app.presence.readiness().status)
    assert seen == [ERROR, OK]


def test_the_checks_are_not_asked_while_the_app_drains():
    asked = []

    @health_checks()
    class Counting:
        @health_check(cache=0)
        def one(self):
            asked.append(1)

    app = app_with(Counting)
    assert get(app, "/readyz")[0] == 200
    app.presence.withdraw()
    assert get(app, "/readyz")[0] == 503
    assert asked == [1]


def test_an_entry_at_such_a_path_wins_and_a_template_does_not():
    class Own(Service):
        @entry("GET", "/readyz", no_auth=True)
        def ready(self) -> str:
            return "mine"

        @entry("GET", "/{name}", no_auth=True)
        def any(self, name: str) -> str:
            return name

    client = App(Own(), config={}).test_client()
    assert client.get("/readyz").text == "mine"
    assert client.get("/livez").json == {"status": "pass"}
    assert client.get("/other").text == "other"


def test_they_can_be_switched_off():
    app = App(Shop(), config={"health": False})
    assert {get(app, path)[0] for path in ("/livez", "/readyz", "/startupz")} == {404}
    assert app.pages == {}


def test_they_are_no_operations():
    app = App(Shop(), config={})
    assert set(app.operations) == {"shop.tea"}
    assert app.routes == ["GET /tea"]
    assert app.call("page.show").monoid[0].code == "unimplemented"
    assert "/readyz" not in str(app.asgi.fastapi.openapi()["paths"])


# -- components --------------------------------------------------------------------------------


def component_app(health_status=OK, get_health=None, config=None, clock=None):
    @health("/health/shop")
    @component(services=[Bundled])
    class Shops(Component):
        @health_check()
        def stock(self, result: Result) -> None:
            result.set_status(health_status)

    if get_health is not None:
        Shops.get_health = get_health
    return App(components=[Shops], config=config or {}, clock=clock)


class Bundled(Shop):
    pass


@pytest.mark.parametrize(("status", "expected"), [(OK, 200), (WARNING, 429), (ERROR, 503)])
def test_the_health_of_a_component_is_answered_as_consul_reads_it(status, expected):
    app = component_app(status)
    code, document = get(app, "/health/shop")
    assert (code, document["checks"]["stock"]) == (expected, [{"status": status.word}])
    assert get(app, "/readyz")[0] == (503 if status is ERROR else 200)
    assert asyncio.run(app.components[0].get_health()).status is status


def test_a_component_may_have_a_health_of_its_own():
    async def get_health(self):
        return Health(WARNING, notes=("half of the shelves are empty",))

    app = component_app(get_health=get_health, config={"health_details": True})
    code, document = get(app, "/health/shop")
    assert (code, document["status"]) == (429, "warn")
    assert document["checks"]["shops"][0]["output"] == "half of the shelves are empty"


def test_a_health_of_its_own_that_raises_or_hangs_is_an_error_and_says_nothing(caplog):
    async def raises(self):
        raise OSError("secret")

    clock = VirtualClock()

    async def hangs(self):
        await clock.asleep(3600)

    code, document = get(component_app(get_health=raises, config={"health_details": True}), "/health/shop")
    assert code == 503
    assert "secret" not in str(document)
    assert "secret" in caplog.text
    assert get(component_app(get_health=hangs, clock=clock), "/health/shop")[0] == 503


def test_the_path_of_a_component_may_not_be_that_of_an_entry_or_of_another_component():
    class Clashing(Service):
        @entry("GET", "/health/shop")
        def tea(self) -> str:
            return "tea"

    @health("/health/shop")
    @component("clash", services=[Clashing])
    class Clash(Component):
        pass

    with pytest.raises(DefinitionError, match=r"component clash is at /health/shop, like clashing\.tea"):
        App(components=[Clash], config={})


@pytest.mark.parametrize("path", ["", "health", "/", "/health/", "/a b", "/{name}", "/a?b", 5, None])
def test_the_path_of_a_component_is_fixed_and_absolute(path):
    with pytest.raises(DefinitionError, match="is no fixed absolute path"):
        health(path)


def test_health_stands_on_components_only():
    with pytest.raises(DefinitionError, match="stands on a component"):
        health("/health")(Shop)
