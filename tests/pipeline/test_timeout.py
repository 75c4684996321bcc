"""Timeout: the bound of one attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.core.helpers import failure
from unimicro import App, Breaker, Deadline, Retry, Service, VirtualClock, current_invocation, entry
from unimicro.errors import DefinitionError
from unimicro.pipeline.policy import Bound
from unimicro.pipeline.timeout import Timeout


class Slow(Service):
    """Takes ``seconds`` of virtual time, the next of them with each attempt."""

    def __init__(self, *seconds: float, **options: Any) -> None:
        super().__init__(name="slow")
        self.clock = VirtualClock()
        self.seconds = list(seconds)
        self.begun: list[float] = []
        self.deadlines: list[float | None] = []

        def begin() -> float:
            self.begun.append(self.clock.now())
            self.deadlines.append(current_invocation().deadline)
            return self.seconds[min(len(self.begun), len(self.seconds)) - 1]

        def get(self):
            self.clock.sleep(begin())
            return len(self.begun)

        async def aget(self):
            await self.clock.asleep(begin())
            return len(self.begun)

        options = {"no_auth": True, "safe": True, "timeout": Timeout(2.0), **options}
        entries = {"get": entry(**options)(get), "aget": entry("GET", "/async", **options)(aget)}
        self.__class__ = type("Slow", (Slow,), entries)

    def call(self, drive: Any, operation: str = "slow.aget", **settings: Any) -> Any:
        return drive(App(self, clock=self.clock, config={}, **settings), operation)


def test_an_async_attempt_is_cancelled_after_its_seconds(drive):
    service = Slow(5.0)
    failed = failure(service.call(drive))
    assert (failed.code, failed.layer, failed.message) == (
        "deadline_exceeded", "timeout", "no answer within 2 s"
    )  # fmt: skip
    assert isinstance(failed.cause, TimeoutError)
    assert service.clock.now() == pytest.approx(1002.0)


def test_the_late_result_of_a_sync_attempt_is_dropped(drive, caplog):
    service = Slow(5.0)
    assert failure(service.call(drive, "slow.get")).layer == "timeout"
    assert "answered after its deadline" in caplog.text


def test_an_attempt_in_time_answers(drive):
    assert Slow(1.9).call(drive).value == 1
    assert Slow(1.9).call(drive, "slow.get").value == 1


def test_a_retry_outside_makes_another_attempt_with_seconds_of_its_own(drive):
    service = Slow(5.0, 5.0, 1.0, retry=Retry(base=0.5, backoff="constant"))
    assert service.call(drive).value == 3
    assert service.begun == pytest.approx([1000.0, 1002.5, 1005.0])
    assert service.deadlines == pytest.approx([1002.0, 1004.5, 1007.0])


def test_it_can_be_all_that_a_retry_repeats(drive):
    service = Slow(5.0, 1.0, retry=Retry(only=[TimeoutError]))
    assert service.call(drive).value == 2


def test_a_sooner_deadline_holds_instead(drive):
    service = Slow(5.0, deadline=Deadline(1.0))
    failed = failure(service.call(drive))
    assert failed.layer == "deadline"
    assert service.deadlines == [1001.0]


def test_the_deadline_of_all_attempts_stays(drive):
    service = Slow(5.0, retry=Retry(attempts=9, base=1e-9), deadline=Deadline(5.0))
    failed = failure(service.call(drive))
    assert failed.layer == "deadline"
    assert service.deadlines == pytest.approx([1002.0, 1004.0, 1005.0])


def test_a_breaker_counts_an_attempt_that_took_too_long(drive):
    service = Slow(5.0, breaker=Breaker(window=2, minimum_calls=2))
    app = App(service, clock=service.clock, config={})
    layers = [failure(drive(app, "slow.aget")).layer for _ in range(3)]
    assert layers == ["timeout", "timeout", "breaker"]


def test_a_failure_of_the_method_in_time_stays_as_it_is(drive):
    class Wrong(Service):
        @entry(no_auth=True, timeout=Timeout(30))
        async def get(self):
            raise TimeoutError("of a database")

    failed = failure(drive(App(Wrong(), config={}), "wrong.get"))
    assert (failed.code, failed.layer) == ("internal", "")


@pytest.mark.timeout(20)
def test_it_cancels_in_real_time_as_well(drive):
    ended: list[str] = []

    class Real(Service):
        @entry(no_auth=True, timeout=Timeout(0.05))
        async def get(self):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

    assert failure(drive(App(Real(), config={}), "real.get")).layer == "timeout"
    assert ended == ["cancelled"]


def test_in_shadow_mode_it_only_tells_who_took_too_long(drive, caplog):
    service = Slow(5.0, timeout=Timeout(2.0, mode="shadow"))
    assert service.call(drive).value == 1
    assert service.deadlines == [None]
    assert "it would have answered deadline_exceeded" in caplog.text


def test_the_worst_case_is_no_more_than_its_seconds():
    assert Timeout(2.0).worst_case(Bound(30.0, 1)) == Bound(2.0, 1)
    assert Timeout(2.0).worst_case(Bound(1.0, 1)) == Bound(1.0, 1)
    assert Deadline(2.0).worst_case(Bound(30.0, 3)) == Bound(2.0, 3)
    assert Deadline().worst_case(Bound(30.0, 3)) == Bound(30.0, 3)


@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "1", None])
def test_an_impossible_time_is_refused_by_name(value):
    with pytest.raises(DefinitionError, match=r"Timeout\.seconds must be above 0"):
        Timeout(value)
