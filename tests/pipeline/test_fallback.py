"""Fallback: what is answered instead, and after what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.helpers import failure
from unimicro import App, Deadline, Failure, Left, Retry, Service, VirtualClock, entry
from unimicro.errors import ConfigurationError, DefinitionError, ServiceError
from unimicro.outcome import CODES
from unimicro.pipeline.bulkhead import Bulkhead
from unimicro.pipeline.fallback import Fallback

BY_CODE = {kind.code: kind for kind in ServiceError.__subclasses__() if kind.__module__ == "unimicro.errors"}


class Wrong(Service):
    """Always raises ``error``."""

    def __init__(self, error: Exception, fallback: Fallback | None = None, **options: Any) -> None:
        super().__init__(name="wrong")
        self.calls = 0
        self.clock = VirtualClock()

        def get(self):
            self.calls += 1
            raise error

        options = {"no_auth": True, "safe": True, "fallback": fallback, **options}
        self.__class__ = type("Wrong", (Wrong,), {"get": entry(**options)(get)})

    def call(self, drive: Any) -> Any:
        return drive(App(self, clock=self.clock, config={}), "wrong.get")


DOWN = BY_CODE["unavailable"]("down")


@pytest.mark.parametrize("code", sorted(CODES))
def test_it_stands_in_for_the_faults_of_the_server_only(drive, code):
    outcome = Wrong(BY_CODE[code]("text"), Fallback("instead")).call(drive)
    if code in ("unavailable", "deadline_exceeded", "internal", "unknown", "data_loss"):
        assert outcome.value == "instead"
    else:
        assert failure(outcome).code == code


def test_an_undeclared_exception_is_a_fault_too(drive):
    assert Wrong(RuntimeError("secret"), Fallback([])).call(drive).value == []


def test_none_is_an_answer(drive):
    outcome = Wrong(DOWN, Fallback(None)).call(drive)
    assert (outcome.is_right(), outcome.value) == (True, None)


def test_the_codes_can_be_named(drive):
    fallback = Fallback("instead", on=["not_found"])
    assert Wrong(BY_CODE["not_found"](), fallback).call(drive).value == "instead"
    assert failure(Wrong(DOWN, fallback).call(drive)).code == "unavailable"


def test_a_function_sees_the_failure(drive):
    def instead(failed):
        return f"{failed.code}: {failed.message}"

    async def ainstead(failed):
        return instead(failed)

    for function in (instead, ainstead):
        assert Wrong(DOWN, Fallback(function=function)).call(drive).value == "unavailable: down"


def test_a_function_may_fail_in_its_own_way(drive):
    fallback = Fallback(function=lambda failed: Left(Failure("not_found", "not here either")))
    assert failure(Wrong(DOWN, fallback).call(drive)).code == "not_found"


def test_when_the_function_raises_the_first_failure_stands(drive, caplog):
    fallback = Fallback(function=lambda failed: 1 / 0)
    assert failure(Wrong(DOWN, fallback).call(drive)).message == "down"
    assert "ZeroDivisionError" in caplog.text


def test_it_comes_after_the_last_retry_and_is_logged(drive, caplog):
    service = Wrong(DOWN, Fallback("instead"), retry=Retry())
    assert service.call(drive).value == "instead"
    assert service.calls == 3
    (record,) = caplog.records
    assert "wrong.get answers with its fallback after unavailable" in record.getMessage()


def test_a_success_is_left_alone(drive):
    class Right(Service):
        @entry(no_auth=True, fallback=Fallback("instead"))
        def get(self):
            return "real"

    assert drive(App(Right(), config={}), "right.get").value == "real"


def test_a_function_is_not_called_when_the_time_is_over(drive):
    called: list[Any] = []

    class Late(Service):
        @entry(no_auth=True, deadline=Deadline(1.0), fallback=Fallback(function=called.append))
        async def get(self):
            await clock.asleep(5)

    clock = VirtualClock()
    assert failure(drive(App(Late(), clock=clock, config={}), "late.get")).code == "deadline_exceeded"
    assert called == []


def test_a_function_is_cut_off_at_the_deadline(drive):
    async def hang(_):
        await clock.asleep(100)

    class Late(Service):
        @entry(no_auth=True, deadline=Deadline(1.0), fallback=Fallback(function=hang))
        async def get(self):
            raise DOWN

    clock = VirtualClock()
    failed = failure(drive(App(Late(), clock=clock, config={}), "late.get"))
    assert (failed.code, failed.layer) == ("deadline_exceeded", "deadline")
    assert clock.now() == pytest.approx(1001.0)


def test_what_a_sync_function_brings_after_the_deadline_is_dropped_and_logged(drive, caplog):
    class Late(Service):
        @entry(no_auth=True, deadline=Deadline(1.0), fallback=Fallback(function=lambda _: clock.advance(2)))
        def get(self):
            raise DOWN

    clock = VirtualClock()
    failed = failure(drive(App(Late(), clock=clock, config={}), "late.get"))
    assert (failed.code, failed.layer) == ("deadline_exceeded", "deadline")
    assert "late.get answered after its deadline" in caplog.text


def test_an_object_with_an_async_call_is_awaited(drive):
    class Instead:
        async def __call__(self, failed):
            return failed.code

    assert Wrong(DOWN, Fallback(function=Instead())).call(drive).value == "unavailable"


def test_a_bulkhead_that_is_full_counts_as_a_fault(drive):
    class Full(Service):
        @entry(no_auth=True, bulkhead=Bulkhead(1), fallback=Fallback("instead"))
        async def get(self, nested: bool = True):
            return (await app.acall("full.get")).value if nested else None

    app = App(Full(), config={})
    assert drive(app, "full.get").value == "instead"


def test_the_configuration_can_give_one(drive):
    service = Wrong(DOWN)
    app = App(service, config={"entries": {"wrong.get": {"fallback": {"value": ["tea"]}}}})
    assert drive(app, "wrong.get").value == ["tea"]
    with pytest.raises(ConfigurationError, match=r"entries\.wrong\.get\.fallback.*either value or function"):
        App(Wrong(DOWN), config={"entries": {"wrong.get": {"fallback": True}}})


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "either value or function"),
        ({"value": 1, "function": str}, "either value or function"),
        ({"function": "name"}, r"Fallback\.function"),
        ({"value": 1, "on": ["unavailible"]}, r"Fallback\.on.*did you mean 'unavailable'"),
        ({"value": 1, "on": "unavailable"}, r"Fallback\.on takes a list"),
        ({"value": 1, "on": [["unavailable"]]}, r"Fallback\.on: \['unavailable'\] is no failure code"),
    ],
)
def test_impossible_settings_are_refused(settings, complaint):
    with pytest.raises(DefinitionError, match=complaint):
        Fallback(**settings)
