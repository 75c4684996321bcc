"""Retry: how often, how long between, after what."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.helpers import failure
from tests.pipeline.conftest import sync_drive
from unimicro import (
    App,
    Breaker,
    Deadline,
    Failure,
    Invocation,
    Left,
    Retry,
    Service,
    VirtualClock,
    current_invocation,
    entry,
)
from unimicro.errors import DefinitionError, ServiceError
from unimicro.outcome import CODES
from unimicro.pipeline.policy import Bound

BY_CODE = {kind.code: kind for kind in ServiceError.__subclasses__() if kind.__module__ == "unimicro.errors"}


class Failing(Service):
    """Fails with each of ``failures``, then answers."""

    def __init__(self, *failures: Exception, retry: Retry | None = None, **options: Any) -> None:
        super().__init__()
        self.failures = list(failures)
        self.calls = 0

        def get(self):
            self.calls += 1
            if self.failures:
                raise self.failures.pop(0)
            return self.calls

        options = {"no_auth": True, "safe": True, "retry": retry or Retry(), **options}
        decorated = entry(**options)(get)
        self.__class__ = type("Failing", (Failing,), {"get": decorated})


def busy(**options: Any) -> Exception:
    return BY_CODE["unavailable"]("busy", **options)


def run(service: Failing, drive: Any = sync_drive) -> tuple[Any, VirtualClock]:
    clock = VirtualClock()
    return drive(App(service, clock=clock), "failing.get"), clock


def test_a_failure_that_passes_is_not_seen(drive):
    outcome, clock = run(Failing(busy(), busy()), drive)
    assert outcome.value == 3
    assert len(clock.waits) == 2


def test_attempts_counts_the_first_call(drive):
    service = Failing(*[busy() for _ in range(9)], retry=Retry(attempts=4))
    outcome, clock = run(service, drive)
    assert failure(outcome).code == "unavailable"
    assert (service.calls, len(clock.waits)) == (4, 3)


def test_one_attempt_is_no_retry(drive):
    service = Failing(busy(), retry=Retry(attempts=1))
    assert failure(run(service, drive)[0]).code == "unavailable"
    assert service.calls == 1


@pytest.mark.parametrize("code", sorted(CODES))
def test_only_what_may_pass_is_tried_again(drive, code):
    service = Failing(BY_CODE[code]("text"))
    run(service, drive)
    again = code in (
        "unavailable", "resource_exhausted", "deadline_exceeded", "internal", "unknown", "data_loss"
    )  # fmt: skip
    assert service.calls == (2 if again else 1)


def test_an_undeclared_exception_is_tried_again_on_a_repeatable_entry(drive):
    service = Failing(RuntimeError("once"))
    assert run(service, drive)[0].value == 2


def test_a_declared_error_is_tried_again_by_its_code(drive):
    class OutOfStock(Exception):
        code = "failed_precondition"

    service = Failing(OutOfStock(), errors=[OutOfStock])
    assert failure(run(service, drive)[0]).error_type == "OutOfStock"
    assert service.calls == 1


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.floats(0.001, 10), st.floats(0.001, 50), st.integers(2, 8), st.randoms(use_true_random=False))
def test_every_wait_is_drawn_from_nought_to_the_growing_bound(base, cap, attempts, draw):
    service = Failing(*[busy() for _ in range(attempts)], retry=Retry(attempts, base, cap))
    real, random.uniform = random.uniform, draw.uniform
    try:
        _, clock = run(service)
    finally:
        random.uniform = real
    bounds = [min(cap, base * 2.0**n) for n in range(attempts - 1)]
    assert len(clock.waits) == len(bounds)
    assert all(0 <= wait <= bound for wait, bound in zip(clock.waits, bounds, strict=True))


def test_the_jitter_is_full_at_the_cap_as_well(monkeypatch):
    drawn: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: drawn.append((low, high)) or (low + high) / 4)
    _, clock = run(Failing(*[busy() for _ in range(9)], retry=Retry(attempts=6, base=1.0, cap=3.0)))
    assert drawn == [(0, 1.0), (0, 2.0), (0, 3.0), (0, 3.0), (0, 3.0)]
    assert clock.waits == [0.25, 0.5, 0.75, 0.75, 0.75]


def test_very_many_attempts_do_not_overflow():
    retry = Retry(attempts=1101, base=1e-9, cap=1e-9, budget=None)
    outcome, clock = run(Failing(*[busy() for _ in range(1100)], retry=retry))
    assert outcome.value == 1101
    assert len(clock.waits) == 1100


@pytest.mark.parametrize("wait", [0, 0.25, 7, 1e6])
def test_retry_after_is_honoured_exactly(drive, wait):
    _, clock = run(Failing(busy(retry_after=wait), retry=Retry(cap=1.0)), drive)
    assert clock.waits == [wait]


@pytest.mark.parametrize("wait", [float("nan"), float("inf"), -1, "soon", True])
def test_a_retry_after_that_is_no_time_is_as_good_as_none(drive, wait):
    outcome, clock = run(Failing(busy(retry_after=wait), retry=Retry(cap=1.0)), drive)
    assert outcome.value == 2
    assert 0 <= clock.waits[0] <= 1.0


def test_a_wait_that_no_clock_can_wait_is_not_begun(drive):
    service = Failing(busy(retry_after=1e12))
    outcome, clock = run(service, drive)
    assert failure(outcome).code == "unavailable"
    assert (service.calls, clock.waits) == (1, [])


def test_a_wait_that_reaches_the_deadline_is_not_begun(drive):
    for wait, calls in ((0.999, 2), (1.0, 1), (5.0, 1)):
        service = Failing(busy(retry_after=wait), deadline=Deadline(1.0))
        outcome, clock = run(service, drive)
        assert service.calls == calls
        assert clock.now() < 1001.0
        assert outcome.is_right() == (calls == 2)


def test_the_rejection_of_a_breaker_is_not_tried_again(drive):
    breaker = Breaker(window=2, minimum_calls=2)
    service = Failing(*[busy() for _ in range(9)], retry=Retry(attempts=9), breaker=breaker)
    outcome, _ = run(service, drive)
    assert failure(outcome).layer == "breaker"
    assert service.calls == 2


def test_the_method_sees_attempt_and_last_failure(drive):
    seen: list[tuple[Any, ...]] = []

    class Looking(Service):
        @entry(no_auth=True, safe=True, retry=Retry())
        def get(self, invocation: Invocation, x: int = 0):
            ambient = current_invocation()
            assert ambient is not None
            seen.append((invocation.attempt, invocation.last_failure, x))
            assert (ambient.attempt, ambient.last_failure) == seen[-1][:2]
            raise busy() if invocation.attempt < 3 else BY_CODE["not_found"]("gone")

    outcome = drive(App(Looking(), clock=VirtualClock()), "looking.get", x=4)
    assert failure(outcome).code == "not_found"
    assert seen == [
        (1, None, 4),
        (2, Failure("unavailable", "busy"), 4),
        (3, Failure("unavailable", "busy"), 4),
    ]
    assert current_invocation() is None


def test_guards_outside_the_retry_run_once(drive):
    asked: list[int] = []

    def guard(invocation):
        asked.append(invocation.attempt)
        return Left(busy_failure) if len(asked) > 1 else (yield invocation)

    busy_failure = Failure("unavailable")
    service = Failing(busy(), busy(), stages=[guard])
    assert run(service, drive)[0].value == 3
    assert asked == [1]


def test_max_retries_is_attempts_without_the_first_call(drive):
    service = Failing(*[busy() for _ in range(9)], retry=Retry(max_retries=4))
    run(service, drive)
    assert service.calls == 5


def test_no_retries_are_no_retry_and_need_no_declaration(drive):
    service = Failing(*[busy() for _ in range(9)], retry=Retry(max_retries=0), safe=False)
    app = App(service, clock=VirtualClock())
    drive(app, "failing.get")
    assert service.calls == 1
    assert "retry" not in [stage.name for stage in app.stages_of("failing.get")]


@pytest.mark.parametrize("value", [-1, 1.5, True, "2"])
def test_impossible_numbers_of_calls_are_refused_by_name(value):
    with pytest.raises(DefinitionError, match=r"Retry\.max_retries must be a whole number from 0"):
        Retry(max_retries=value)
    with pytest.raises(DefinitionError, match=r"Retry\.attempts must be a whole number from 1"):
        Retry(attempts=value)


def test_attempts_and_max_retries_must_not_contradict_each_other():
    assert Retry(attempts=5, max_retries=4).attempts == 5
    with pytest.raises(DefinitionError, match="contradict"):
        Retry(attempts=5, max_retries=2)


class OutOfStock(Exception):
    """Its code, ``failed_precondition``, is not tried again."""


class SoldOut(OutOfStock):
    pass


@pytest.mark.parametrize("only", [(OutOfStock, TimeoutError), ["OutOfStock"], {OutOfStock}])
def test_only_what_is_listed_is_tried_again_whatever_its_code(drive, only):
    for error, calls in (
        (OutOfStock(), 2),
        (SoldOut(), 2),
        (busy(), 1),
        (RuntimeError(), 1),
    ):
        service = Failing(error, retry=Retry(only=only), errors=[OutOfStock])
        run(service, drive)
        assert service.calls == calls, error


def test_an_undeclared_exception_is_listed_by_its_class(drive):
    for only in ((OSError,), ("OSError",)):
        service = Failing(ConnectionResetError(), KeyError(), retry=Retry(only=only))
        run(service, drive)
        assert service.calls == 2


def test_a_failure_without_exception_is_listed_by_its_code(drive):
    class Returning(Service):
        @entry(no_auth=True, safe=True, retry=Retry(only=[BY_CODE["aborted"]]))
        def get(self):
            seen.append(1)
            return Left(Failure("aborted" if len(seen) == 1 else "unavailable"))

    seen: list[int] = []
    assert failure(drive(App(Returning(), clock=VirtualClock()), "returning.get")).code == "unavailable"
    assert len(seen) == 2


@pytest.mark.parametrize("code", ["unauthenticated", "permission_denied", "invalid_argument"])
def test_what_no_repetition_helps_cannot_be_listed(drive, code):
    with pytest.raises(DefinitionError, match=rf"Retry\.only.*{code}"):
        Retry(only=[BY_CODE[code]])
    service = Failing(BY_CODE[code]("text"), retry=Retry(only=[Exception]))
    run(service, drive)
    assert service.calls == 1


@pytest.mark.parametrize("only", [TimeoutError, "TimeoutError", [3], [int], [""]])
def test_an_allow_list_of_something_else_is_refused(only):
    with pytest.raises(DefinitionError, match=r"Retry\.only"):
        Retry(only=only)


def test_a_failure_that_says_do_not_retry_is_final(drive):
    service = Failing(busy(details={"retry": False}), retry=Retry())
    assert failure(run(service, drive)[0]).details == {"retry": False}
    assert service.calls == 1
    service = Failing(busy(details={"retry": True}), retry=Retry())
    assert run(service, drive)[0].value == 2


class Refused(Service):
    """Its breaker opens at the second failure; later calls succeed."""

    def __init__(self, **retry: Any) -> None:
        super().__init__(name="refused")
        self.calls = 0

        def get(self):
            self.calls += 1
            if self.calls <= 2:
                raise busy()
            return self.calls

        breaker = Breaker(window=2, minimum_calls=2)
        self.rejections: list[Any] = []
        decorated = entry(no_auth=True, safe=True, retry=Retry(attempts=4, **retry), breaker=breaker)(get)
        self.__class__ = type("Refused", (Refused,), {"get": decorated})

    def on_reject(self, rejection: Any) -> None:
        self.rejections.append(rejection)


def test_a_retry_that_waits_for_the_probe_comes_back_exactly_then(drive):
    service, clock = Refused(wait_for_probe=True), VirtualClock()
    assert drive(App(service, clock=clock, listeners=[service]), "refused.get").value == 3
    (rejection,) = service.rejections
    assert rejection.failure.retry_after > 0
    assert clock.waits[-1] == rejection.failure.retry_after


def test_it_does_not_wait_beyond_the_deadline(drive):
    service, clock = Refused(wait_for_probe=True), VirtualClock()
    app = App(service, clock=clock, policies=[Deadline(2.0)])
    failed = failure(drive(app, "refused.get"))
    assert (failed.layer, service.calls) == ("breaker", 2)
    assert clock.now() < 1002.0


def test_listeners_are_told_of_each_retry_before_its_wait(drive):
    heard: list[Any] = []

    class Hearing:
        def on_retry(self, retrying: Any) -> None:
            heard.append((retrying, list(clock.waits)))

    service, clock = Failing(busy(retry_after=2.0), busy(retry_after=3.0)), VirtualClock()
    drive(App(service, clock=clock, listeners=[Hearing()]), "failing.get")
    assert [(r.operation, r.attempt, r.delay, r.failure.code, waits) for r, waits in heard] == [
        ("failing.get", 1, 2.0, "unavailable", []),
        ("failing.get", 2, 3.0, "unavailable", [2.0]),
    ]


def test_in_shadow_mode_nothing_is_repeated_and_nobody_is_told(drive):
    heard: list[Any] = []

    class Hearing:
        def on_retry(self, retrying: Any) -> None:
            heard.append(retrying)

    service, clock = Failing(busy(), busy(), retry=Retry(mode="shadow")), VirtualClock()
    outcome = drive(App(service, clock=clock, listeners=[Hearing()]), "failing.get")
    assert failure(outcome).code == "unavailable"
    assert (service.calls, clock.waits, heard) == (1, [], [])


def test_the_worst_case_is_all_attempts_and_all_waits():
    assert Retry(attempts=4, base=1.0, cap=3.0).worst_case(Bound(2.0, 1)) == Bound(4 * 2.0 + 1 + 2 + 3, 4)
    assert Retry(attempts=1).worst_case(Bound(2.0, 1)) == Bound(2.0, 1)
