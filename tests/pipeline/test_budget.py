"""Retry budgets: what a failing dependency gets on top of its requests."""

from __future__ import annotations

import asyncio
import threading
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.helpers import failure
from tests.pipeline.conftest import sync_drive
from unimicro import App, Retry, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, DefinitionError, Unavailable
from unimicro.pipeline.budget import Budget


class Dependency(Service):
    """Fails while ``down``; counts its calls."""

    def __init__(self, retry: Retry | None = None, **options: Any) -> None:
        super().__init__(name="dependency")
        self.down = True
        self.attempts = 0

        def answer() -> None:
            self.attempts += 1
            if self.down:
                raise Unavailable("down")

        def get(self):
            answer()

        async def aget(self):
            answer()

        def other(self):
            answer()

        options = {"no_auth": True, "safe": True, **options}
        entries = {
            "get": entry(retry=retry or Retry(), **options)(get),
            "aget": entry("GET", "/async", retry=retry or Retry(), **options)(aget),
            "other": entry("GET", "/other", retry=retry or Retry(), **options)(other),
        }
        self.__class__ = type("Dependency", (Dependency,), entries)

    def retries(
        self, app: App, calls: int, operation: str = "dependency.get", drive: Any = sync_drive
    ) -> int:
        """Retries that so many calls get."""
        before = self.attempts
        for _ in range(calls):
            drive(app, operation)
        return self.attempts - before - calls


QUICK = {"base": 1e-9, "cap": 1e-9}
"""Waits that leave the clock where it is, so that the trickle of ``per_second`` brings nothing."""


def app_of(service: Service, **settings: Any) -> tuple[App, VirtualClock]:
    clock = VirtualClock()
    return App(service, clock=clock, **{"config": {}, **settings}), clock


def test_a_dependency_that_is_down_gets_a_tenth_more_attempts_than_requests():
    service = Dependency()
    app, _ = app_of(service)
    for _ in range(100_000):
        app.call("dependency.get")
    assert 1.09 <= service.attempts / 100_000 <= 1.1


def test_so_does_one_that_is_called_by_many_tasks_at_once():
    service = Dependency()
    app, _ = app_of(service)

    async def flood() -> None:
        for _ in range(100):
            await asyncio.gather(*(app.acall("dependency.aget") for _ in range(1000)))

    asyncio.run(asyncio.wait_for(flood(), 50))
    assert 1.09 <= service.attempts / 100_000 <= 1.1


def test_time_between_the_calls_makes_no_difference_while_they_are_many():
    for rate in (100, 1000):
        service = Dependency()
        app, clock = app_of(service)
        for _ in range(20_000):
            clock.advance(1 / rate)
            app.call("dependency.get")
        assert 1.0 <= service.attempts / 20_000 <= 1.1


def test_waits_are_spread_at_every_attempt():
    service = Dependency(Retry(attempts=5, base=1.0, cap=3.0, budget=None))
    app, clock = app_of(service)
    for _ in range(25_000):
        app.call("dependency.get")
    assert len(clock.waits) == 100_000
    for attempt in range(4):
        drawn = clock.waits[attempt::4]
        assert stdev(drawn) / mean(drawn) >= 0.5


def test_few_requests_may_all_be_retried(drive):
    service = Dependency(Retry(**QUICK))
    app, clock = app_of(service)
    assert service.retries(app, 15, drive=drive) == 30
    assert service.retries(app, 15, drive=drive) == 0
    clock.advance(2.0)
    assert service.retries(app, 15, drive=drive) == 6


def test_what_succeeded_counts_as_a_request(drive):
    service = Dependency()
    app, _ = app_of(service)
    service.down = False
    assert service.retries(app, 1000) == 0
    service.down = True
    assert 99 <= service.retries(app, 60, drive=drive) <= 106


def test_requests_older_than_the_ttl_count_no_more():
    service = Dependency(Retry(**QUICK))
    app, clock = app_of(service)
    service.down = False
    service.retries(app, 1000)
    clock.advance(10.1)
    service.down = True
    assert service.retries(app, 60) == 30


def test_only_the_last_seconds_of_long_health_count():
    service = Dependency(Retry(budget=Budget(ttl=2.0)))
    app, clock = app_of(service)
    service.down = False
    for _ in range(10_000):
        clock.advance(0.01)
        app.call("dependency.get")
    service.down = True
    assert 15 <= service.retries(app, 60) <= 26


def test_a_spent_budget_hands_the_failure_on_as_it_is(drive, caplog):
    heard: list[Any] = []

    class Hearing:
        def on_reject(self, rejection):
            heard.append(rejection)

    service = Dependency(Retry(budget=Budget(per_second=0.1)))
    app, _ = app_of(service, listeners=[Hearing()])
    assert service.retries(app, 9, drive=drive) == 1
    failed = failure(drive(app, "dependency.get"))
    assert (failed.code, failed.message, failed.layer) == ("unavailable", "down", "")
    assert {(r.operation, r.layer, r.failure.message) for r in heard} == {("dependency.get", "retry", "down")}
    assert len(heard) == 10
    assert [record.getMessage() for record in caplog.records] == [
        "the retry budget of dependency.get is spent: failures go back without a retry"
    ]


def test_the_log_tells_again_after_the_ttl(caplog):
    service = Dependency(Retry(budget=Budget(ratio=0.0, per_second=0.01, ttl=5.0)))
    app, clock = app_of(service)
    for _ in range(3):
        service.retries(app, 20)
        clock.advance(6.0)
    assert len(caplog.records) == 3


def test_each_operation_has_its_own_budget_unless_it_is_named():
    service = Dependency(Retry(**QUICK))
    app, _ = app_of(service)
    assert service.retries(app, 100) == 30
    assert service.retries(app, 100, "dependency.other") == 30

    service = Dependency(Retry(**QUICK, budget=Budget(name="warehouse")))
    app, _ = app_of(service)
    assert service.retries(app, 100) == 30
    assert service.retries(app, 100, "dependency.other") == 0


def test_a_shared_budget_has_one_set_of_settings():
    class Two(Service):
        @entry(safe=True, retry=Retry(budget=Budget(name="one")))
        def get(self): ...

        @entry(safe=True, retry=Retry(budget=Budget(ratio=0.5, name="one")))
        def get_other(self): ...

    with pytest.raises(DefinitionError, match=r"two\.get_other.*budget of retry 'one' has other settings"):
        App(Two(), config={})


def test_without_a_budget_every_failure_is_retried(drive):
    service = Dependency(Retry(budget=None))
    app, _ = app_of(service)
    assert service.retries(app, 200, drive=drive) == 400


def test_the_configuration_sets_a_budget_and_takes_it_away():
    for value, retries in ((False, 400), (True, 30), ({"per_second": 1.0}, 20), ({"ratio": 1.0}, 200)):
        service = Dependency()
        settings = {**QUICK, "budget": value}
        app, _ = app_of(service, config={"entries": {"dependency.get": {"retry": settings}}})
        assert service.retries(app, 200) == retries


@pytest.mark.parametrize("value", [{"rate": 1}, 3, "none", [1]])
def test_a_configured_budget_that_is_none_is_refused_with_its_place(value):
    with pytest.raises(ConfigurationError, match=r"entries\.dependency\.get\.retry.*budget"):
        App(Dependency(), config={"entries": {"dependency.get": {"retry": {"budget": value}}}})


@pytest.mark.parametrize("setting", ["ratio", "per_second", "ttl"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), True, "1"])
def test_impossible_settings_are_refused_by_name(setting, value):
    with pytest.raises(DefinitionError, match=rf"Budget\.{setting} must be"):
        Budget(**{setting: value})


def test_a_budget_that_never_lets_anything_through_is_refused():
    with pytest.raises(DefinitionError, match="never"):
        Budget(ratio=0, per_second=0)
    with pytest.raises(DefinitionError, match=r"Budget\.ttl"):
        Budget(ttl=0)


STEP = st.tuples(st.sampled_from(["wait", "works", "fails"]), st.integers(1, 120))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(STEP, max_size=25), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.7, 3.0]))
def test_retries_are_never_more_than_share_reserve_and_trickle(steps, ratio, per_second):
    if ratio == per_second == 0:
        return
    service = Dependency(Retry(backoff="constant", base=1e-9, budget=Budget(ratio, per_second)))
    app, clock = app_of(service)
    begin, requests, retries = clock.now(), 0, 0
    for kind, amount in steps:
        if kind == "wait":
            clock.advance(amount / 10)
            continue
        service.down = kind == "fails"
        retries += service.retries(app, amount)
        requests += amount
        reserve = max(1.0, per_second * 10.0) if per_second else 0.0
        trickle = per_second * (clock.now() - begin)
        assert retries <= ratio * requests + reserve + trickle + 1e-6


def test_threads_together_get_no_more_than_one_would():
    counted = threading.Lock()
    total = [0]

    def attempt() -> None:
        with counted:
            total[0] += 1
        raise Unavailable("down")

    class Shared(Service):
        @entry(no_auth=True, safe=True, retry=Retry(**QUICK))
        def get(self):
            attempt()

    app, _ = app_of(Shared())
    threads = [
        threading.Thread(target=lambda: [app.call("shared.get") for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 4_000 + 370 <= total[0] <= 4_000 + 400
