"""Rate limit: who may call how often, and when to come back."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.helpers import code_of, failure
from tests.pipeline.conftest import sync_drive
from unimicro import App, Service, VirtualClock, entry
from unimicro.errors import DefinitionError
from unimicro.pipeline.rate_limit import RateLimit


class Limited(Service):
    """Counts the calls that got through."""

    def __init__(self, limit: RateLimit, **options: Any) -> None:
        super().__init__(name="limited")
        self.calls = 0

        def get(self, number: int = 0):
            self.calls += 1
            return self.calls

        def get_other(self):
            return "other"

        options = {"no_auth": True, "rate_limit": limit, **options}
        entries = {"get": entry(**options)(get), "get_other": entry(**options)(get_other)}
        self.__class__ = type("Limited", (Limited,), entries)

    def token_authorizer(self, token: str) -> bool:
        return True


def app_of(limit: RateLimit, **options: Any) -> tuple[App, VirtualClock, Limited]:
    clock, service = VirtualClock(), Limited(limit, **options)
    return App(service, clock=clock, config={}), clock, service


def test_a_burst_passes_and_the_next_is_told_exactly_when(drive):
    app, clock, service = app_of(RateLimit(4, per=2.0, burst=3))
    assert [drive(app, "limited.get").value for _ in range(3)] == [1, 2, 3]
    failed = failure(drive(app, "limited.get"))
    assert (failed.code, failed.layer, failed.policy) == (
        "resource_exhausted", "rate_limit", "limited.get"
    )  # fmt: skip
    assert failed.retry_after == pytest.approx(0.5)
    clock.advance(0.2)
    assert failure(drive(app, "limited.get")).retry_after == pytest.approx(0.3)
    clock.advance(0.3)
    assert drive(app, "limited.get").value == 4
    assert failure(drive(app, "limited.get")).retry_after == pytest.approx(0.5)
    assert service.calls == 4


@pytest.mark.parametrize(("rate", "burst"), [(3, 3), (2.5, 3), (0.5, 1)])
def test_without_a_burst_the_rate_is_one(rate, burst):
    app, _, service = app_of(RateLimit(rate))
    for _ in range(10):
        app.call("limited.get")
    assert service.calls == burst


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.floats(0.1, 50), st.integers(1, 9), st.lists(st.floats(0, 3), min_size=1, max_size=80))
def test_no_stretch_of_time_has_more_than_burst_and_rate_allow(rate, burst, gaps):
    app, clock, _ = app_of(RateLimit(rate, burst=burst))
    passed: list[float] = []
    for gap in gaps:
        clock.advance(gap)
        outcome = sync_drive(app, "limited.get")
        if outcome.is_right():
            passed.append(clock.now())
            continue
        wait = failure(outcome).retry_after
        clock.advance(wait)
        assert sync_drive(app, "limited.get").is_right(), "who waits as told must pass"
        passed.append(clock.now())
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - begin) + 1e-6


def test_http_says_429_and_when_to_come_back():
    app, _, _ = app_of(RateLimit(1, per=30.0))
    client = app.test_client()
    assert client.get("/").status_code == 200
    answer = client.get("/")
    assert code_of(answer) == (429, "resource_exhausted")
    assert answer.headers["retry-after"] == "30"
    assert answer.json["retry_after_ms"] == 30_000


def test_nothing_is_parsed_for_a_caller_who_is_over_the_limit():
    app, _, _ = app_of(RateLimit(1))
    client = app.test_client()
    assert client.get("/?number=no").status_code == 422
    assert client.get("/?number=no").status_code == 429


def test_each_principal_has_a_limit_of_its_own(drive):
    app, _, _ = app_of(RateLimit(1), no_auth=False)
    client = app.test_client()
    assert client.get("/", headers={"authorization": "a"}).status_code == 200
    assert client.get("/", headers={"authorization": "a"}).status_code == 429
    # In-process calls have a principal of their own.
    assert drive(app, "limited.get").is_right()
    assert failure(drive(app, "limited.get")).layer == "rate_limit"


def test_a_header_can_tell_callers_apart():
    app, _, _ = app_of(RateLimit(1, key="X-Api-Key"))
    client = app.test_client()
    long = "x" * 5000

    def status(key: str) -> int:
        return client.get("/", headers={"x-api-key": key} if key else {}).status_code

    assert [status(key) for key in ("a", "b", "a", "b")] == [200, 200, 429, 429]
    assert [status(key) for key in (long, long + "y", long)] == [200, 200, 429]
    assert [status(""), status("")] == [200, 429]


def test_all_is_one_limit_for_everybody():
    app, _, _ = app_of(RateLimit(1, key="all"), no_auth=False)
    client = app.test_client()
    assert client.get("/", headers={"authorization": "a"}).status_code == 200
    assert app.call("limited.get").is_left()


def test_each_operation_has_its_own_limit_unless_it_is_named():
    app, _, _ = app_of(RateLimit(1))
    assert [app.call(f"limited.{name}").is_right() for name in ("get", "get_other")] == [True, True]
    app, _, _ = app_of(RateLimit(1, limiter="all of it"))
    assert [app.call(f"limited.{name}").is_right() for name in ("get", "get_other")] == [True, False]


def test_a_shared_limit_has_one_set_of_settings():
    class Two(Service):
        @entry(rate_limit=RateLimit(1, limiter="one"))
        def get(self): ...

        @entry(rate_limit=RateLimit(2, limiter="one"))
        def get_other(self): ...

    with pytest.raises(DefinitionError, match=r"rate limit 'one' has other settings"):
        App(Two(), config={})


def test_the_memory_of_callers_is_bounded():
    app, _, _ = app_of(RateLimit(1, per=1000, key="x-key", max_entries=2))
    client = app.test_client()

    def status(key: str) -> int:
        return client.get("/", headers={"x-key": key}).status_code

    assert [status(key) for key in ("a", "b", "a")] == [200, 200, 429]
    # "b" was not seen for longest: it makes room.
    assert [status(key) for key in ("c", "a", "b")] == [200, 429, 200]


def test_threads_together_get_no_more_than_the_burst():
    app, _, _ = app_of(RateLimit(1, burst=50))
    passed: list[bool] = []

    def many() -> None:
        passed.extend(app.call("limited.get").is_right() for _ in range(50))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(passed), sum(passed)) == (400, 50)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rate", 0), ("rate", -1), ("rate", float("nan")), ("rate", "5"), ("rate", float("inf")), ("per", 0),
        ("burst", 0), ("burst", 1.5), ("max_entries", 0), ("key", ""), ("key", None), ("rate", 10**400),
        ("limiter", 5), ("limiter", None), ("limiter", ["x"]),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused_by_name(setting, value):
    with pytest.raises(DefinitionError, match=rf"RateLimit.*{setting}"):
        RateLimit(**{"rate": 1, setting: value})


def test_a_header_that_is_no_unicode_is_a_caller_like_others():
    app, _, _ = app_of(RateLimit(1, key="x-k"))
    client = app.test_client()
    for odd in ("\udc80" * 80, "\udc80"):
        assert [client.get("/", headers={"x-k": odd}).status_code for _ in range(2)] == [200, 429]
