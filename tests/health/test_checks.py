"""How health checks are run: results kept, one run at a time, timeouts, errors."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from unimicro import App, Service, VirtualClock, entry
from unimicro.errors import DefinitionError
from unimicro.health import HealthStatus, Result, health_check, health_checks

OK, WARNING, ERROR = HealthStatus
LIMIT = 20


class Shop(Service):
    @entry
    def tea(self) -> str:
        return "tea"


def ready(app):
    return app.test_client().get("/readyz")


def status_of(*owners, **options):
    answer = ready(App(Shop(), health_checks=owners, config={}, **options))
    return answer.status_code, answer.json["status"]


def checks(**methods):
    return health_checks()(type("Checks", (), methods))()


def counted(result=None, **options):
    """A check that counts its runs."""
    runs = []

    @health_check(**options)
    def one(self):
        runs.append(1)
        return result

    return checks(one=one), runs


@pytest.mark.parametrize("status", [OK, WARNING, ERROR])
def test_a_check_may_fill_a_result_or_return_one_sync_or_async(status):
    @health_check()
    def fills(self, result):
        result.set_status(status, "filled")

    @health_check()
    def returns(self):
        return Result(status, "returned")

    @health_check()
    async def afills(self, result: Result):
        await asyncio.sleep(0)
        result.set_status(status)

    @health_check()
    async def areturns(self, result: Result):
        return Result(status)

    for method in (fills, returns, afills, areturns):
        assert status_of(checks(method=method))[1] == status.word


def test_a_check_that_says_nothing_is_well():
    owner, _ = counted()
    assert status_of(owner) == (200, "pass")


def test_the_worst_counts():
    one, _ = counted(Result(WARNING), name="one")
    two, _ = counted(Result(OK), name="two")
    assert status_of(one, two) == (200, "warn")
    three, _ = counted(Result(ERROR), name="three")
    assert status_of(one, two, three) == (503, "fail")


def test_one_that_is_not_critical_makes_nothing_unready_and_is_not_even_asked():
    owner, runs = counted(Result(ERROR), critical=False)
    assert status_of(owner) == (200, "pass")
    assert runs == []


def test_a_result_is_kept_for_so_many_seconds():
    clock = VirtualClock()
    owner, runs = counted(cache=5)
    client = App(Shop(), health_checks=[owner], config={}, clock=clock).test_client()
    for seconds, expected in ((0, 1), (4.9, 1), (0.2, 2), (5, 3)):
        clock.advance(seconds)
        client.get("/readyz")
        assert len(runs) == expected


def test_an_error_is_kept_too():
    owner, runs = counted(Result(ERROR), cache=5)
    app = App(Shop(), health_checks=[owner], config={}, clock=VirtualClock())
    assert [ready(app).status_code for _ in range(3)] == [503] * 3
    assert len(runs) == 1


def test_without_a_cache_it_is_run_each_time():
    owner, runs = counted(cache=0)
    app = App(Shop(), health_checks=[owner], config={}, clock=VirtualClock())
    for _ in range(3):
        ready(app)
    assert len(runs) == 3


def test_one_run_serves_all_who_ask_meanwhile():
    begun, go, runs = threading.Event(), threading.Event(), []

    @health_check(cache=0, timeout=LIMIT)
    def slow(self):
        runs.append(1)
        begun.set()
        assert go.wait(LIMIT)

    app = App(Shop(), health_checks=[checks(slow=slow)], config={})
    app.test_client()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(ready, app)
        assert begun.wait(LIMIT)
        others = [threads.submit(ready, app) for _ in range(7)]
        go.set()
        assert {each.result(LIMIT).status_code for each in (first, *others)} == {200}
    # Those who came after its end have begun another one; never one each.
    assert len(runs) < 8


def test_one_that_hangs_is_an_error_after_its_timeout_and_is_not_begun_again():
    go, runs = threading.Event(), []

    @health_check(cache=0, timeout=0.05)
    def hangs(self):
        runs.append(1)
        assert go.wait(LIMIT)

    app = App(Shop(), health_checks=[checks(hangs=hangs)], config={"health_details": True})
    try:
        for _ in range(3):
            answer = ready(app)
            assert answer.status_code == 503
            assert answer.json["checks"]["hangs"][0]["output"] == "no result within 0.05 s"
        assert runs == [1]
    finally:
        go.set()


def test_an_async_one_is_cancelled_at_its_timeout():
    ends = []

    @health_check(timeout=3, cache=0)
    async def hangs(self):
        try:
            await clock.asleep(3600)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    clock = VirtualClock()
    app = App(Shop(), health_checks=[checks(hangs=hangs)], config={}, clock=clock)
    assert ready(app).status_code == 503
    assert ready(app).status_code == 503
    assert ends == ["cancelled"] * 2


def test_one_that_is_slower_than_it_may_be_is_an_error():
    clock, pauses = VirtualClock(), [0.4, 0.6]

    @health_check(fail_if_slower_than=0.5, timeout=10, cache=0)
    async def slow(self):
        await clock.asleep(pauses.pop(0))

    app = App(Shop(), health_checks=[checks(slow=slow)], config={}, clock=clock)
    assert [ready(app).status_code for _ in range(2)] == [200, 503]


def test_one_that_raises_is_an_error_whose_text_stays_here_and_is_logged_once_an_outage(caplog):
    broken = [True]

    @health_check(cache=0)
    def fails(self):
        if broken[0]:
            raise OSError("secret host")

    app = App(Shop(), health_checks=[checks(fails=fails)], config={"health_details": True})
    for _ in range(3):
        answer = ready(app)
        assert (answer.status_code, "secret" in answer.text) == (503, False)
    assert caplog.text.count("OSError: secret host") == 1
    broken[0] = False
    assert ready(app).status_code == 200
    broken[0] = True
    assert ready(app).status_code == 503
    assert caplog.text.count("OSError: secret host") == 2


@pytest.mark.parametrize("returned", [True, "OK", 5, HealthStatus.OK])
def test_what_is_no_result_is_an_error(returned, caplog):
    owner, _ = counted(returned)
    assert status_of(owner) == (503, "fail")
    assert "returns a Result or nothing" in caplog.text


def test_a_blocking_check_does_not_hold_up_the_event_loop():
    go = threading.Event()

    @health_check(timeout=LIMIT)
    def blocks(self):
        assert go.wait(LIMIT)

    async def main():
        app = App(Shop(), health_checks=[checks(blocks=blocks)], config={})
        await app.astart()
        from unimicro.routes.request import HttpRequest

        door = app.door("http")
        asked = asyncio.ensure_future(door.ahandle(HttpRequest("GET", "/readyz", ("readyz",))))
        live = await door.ahandle(HttpRequest("GET", "/livez", ("livez",)))
        assert (live.status, asked.done()) == (200, False)
        go.set()
        assert (await asyncio.wait_for(asked, LIMIT)).status == 200
        await app.astop()

    asyncio.run(main())


def test_one_who_gives_up_does_not_end_the_run_of_the_others():
    async def main():
        go = asyncio.Event()

        @health_check(timeout=LIMIT, cache=0)
        async def waits(self):
            await go.wait()

        app = App(Shop(), health_checks=[checks(waits=waits)], config={})
        await app.astart()
        from unimicro.routes.request import HttpRequest

        door, request = app.door("http"), HttpRequest("GET", "/readyz", ("readyz",))
        one, two = (asyncio.ensure_future(door.ahandle(request)) for _ in range(2))
        await asyncio.sleep(0.01)
        one.cancel()
        await asyncio.sleep(0)
        go.set()
        assert (await asyncio.wait_for(two, LIMIT)).status == 200
        await app.astop()

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(5))
def test_a_run_that_ends_with_its_loop_does_not_stop_the_next(steps):
    @health_check(cache=0)
    async def waits(self):
        await asyncio.sleep(0)

    app = App(Shop(), health_checks=[checks(waits=waits)], config={})
    client = app.test_client()

    async def left():
        from unimicro.routes.request import HttpRequest

        request = HttpRequest("GET", "/readyz", ("readyz",))
        asked = asyncio.ensure_future(app.door("http").ahandle(request))
        for _ in range(steps):
            await asyncio.sleep(0)
        assert not asked.done()

    asyncio.run(left())
    assert client.get("/readyz").status_code == 200
    app.stop()


def test_checks_stand_on_services_too():
    class Checked(Shop):
        @health_check()
        def shelves(self):
            return Result(ERROR)

    assert ready(App(Checked(), config={})).json["checks"] == {"shelves": [{"status": "fail"}]}


def test_an_override_is_a_check_without_a_decorator():
    @health_checks()
    class Base:
        @health_check("shelves")
        def check(self):
            return Result(OK)

    @health_checks()
    class Derived(Base):
        def check(self):
            return Result(ERROR)

    assert status_of(Derived) == (503, "fail")


def test_two_of_the_same_name_are_refused():
    one, two = counted(name="same")[0], counted(name="same")[0]
    with pytest.raises(DefinitionError, match="two health checks are called 'same', in Checks and Checks"):
        App(Shop(), health_checks=[one, two], config={})


def test_one_that_takes_too_much_is_refused():
    @health_check()
    def greedy(self, result, other): ...

    with pytest.raises(DefinitionError, match="takes a Result or nothing, not result, other"):
        App(Shop(), health_checks=[checks(greedy=greedy)], config={})


@pytest.mark.parametrize(
    "options",
    [
        {"cache": -1},
        {"cache": "5"},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": True},
        {"fail_if_slower_than": 0},
        {"fail_if_slower_than": float("nan")},
        {"critical": 1},
    ],
    ids=str,
)
def test_impossible_options_are_refused(options):
    with pytest.raises(DefinitionError, match=next(iter(options))):
        health_check(**options)


def test_a_decorator_without_parentheses_is_refused():
    with pytest.raises(DefinitionError, match="with parentheses"):
        health_check(lambda self: None)


def test_a_class_without_checks_is_refused():
    with pytest.raises(DefinitionError, match="Empty has no method with @health_check"):
        health_checks()(type("Empty", (), {}))
    with pytest.raises(DefinitionError, match="takes classes decorated with @health_checks"):
        App(Shop(), health_checks=[object()], config={})


@pytest.mark.parametrize("arguments", [("OK",), (1,), (OK, None), (None,)])
def test_a_status_is_one_of_three_and_details_are_text(arguments):
    with pytest.raises(TypeError, match="takes a HealthStatus and text"):
        Result().set_status(*arguments)
