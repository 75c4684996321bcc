"""``Try``, ``atry`` and ``tried``: what becomes of results and exceptions."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest

from tests.pipeline.conftest import async_drive, sync_drive
from unimicro import App, Failure, Left, Outcome, Right, Service, entry, failure_of
from unimicro.errors import DefinitionError, NotFound
from unimicro.functional import Try, atry, tried


class Sold(Exception):
    code = "aborted"


class OnShelf(Sold):
    pass


def raising(error: BaseException) -> Any:
    def work(*_: Any) -> None:
        raise error

    return work


def attempt(of, function, *args, **options):
    """The same attempt through ``Try`` or ``atry``, and through ``tried``: they must agree."""
    call = Try if of.__name__ == "Sync" else atry
    once = of.run(call(of.colour(function), *args, **options))
    decorated = of.run(tried(**options)(of.colour(function))(*args))
    assert repr(once) == repr(decorated)
    return once


def test_a_result_is_right(of):
    assert attempt(of, lambda value: value + 1, 1) == Right(2)


def test_a_declared_error_keeps_name_code_status_and_text(of):
    failure = failure_of(attempt(of, raising(OnShelf("tea")), errors=[Sold]))
    assert (failure.error_type, failure.code, failure.status) == ("Sold", "aborted", 409)
    assert failure.message == "tea"
    assert isinstance(failure.cause, OnShelf)


def test_an_error_of_a_service_keeps_its_code(of):
    failure = failure_of(attempt(of, raising(NotFound("no tea"))))
    assert (failure.code, failure.message) == ("not_found", "no tea")


def test_any_other_error_is_internal_and_its_text_stays_in_the_log(of, caplog):
    failure = failure_of(
        of.run((Try if of.__name__ == "Sync" else atry)(of.colour(raising(KeyError("secret")))))
    )
    assert (failure.code, failure.status) == ("internal", 500)
    assert "secret" not in str(failure.to_problem())
    assert isinstance(failure.cause, KeyError)
    (record,) = caplog.records
    assert record.exc_info[1] is failure.cause
    assert "work" in record.getMessage()


def test_a_result_that_is_not_accepted_is_left(of):
    assert attempt(of, lambda: 3, accept=lambda value: value == 3) == Right(3)
    failure = failure_of(attempt(of, lambda: None, accept=lambda value: value is not None))
    assert failure.code == "failed_precondition"


def test_the_test_of_a_result_may_say_which_failure_it_is(of):
    missing = Failure("not_found", "no order")
    outcome = attempt(of, lambda: None, accept=lambda value: missing if value is None else True)
    assert failure_of(outcome) is missing


def test_an_outcome_stays_as_it_is(of):
    assert attempt(of, lambda: Right(1)) == Right(1)
    assert attempt(of, lambda: Left(Failure("aborted"))) == Left(Failure("aborted"))
    assert attempt(of, lambda: Right(1), accept=lambda value: value > 1).is_left()
    assert failure_of(attempt(of, lambda: Left("a word"))).code == "internal"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), asyncio.CancelledError()])
def test_what_is_no_exception_propagates(error):
    with pytest.raises(type(error)):
        Try(raising(error))
    with pytest.raises(type(error)):
        tried()(raising(error))()


def test_a_cancelled_attempt_is_cancelled():
    async def cancelled():
        work = asyncio.ensure_future(atry(asyncio.sleep, 60))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancelled())


def test_an_error_whose_text_cannot_be_read_is_internal(of):
    class Mute(NotFound):
        def __str__(self):
            raise RuntimeError("no text")

    assert failure_of(attempt(of, raising(Mute()))).code == "internal"


def test_arguments_reach_the_function():
    assert Try("{}-{name}".format, 1, name="x") == Right("1-x")
    assert Try(partial(int, base=2), "101") == Right(5)


def test_an_async_function_given_to_the_sync_form_is_told_of(caplog):
    async def work():
        return 1

    failure = failure_of(Try(work))
    assert failure.code == "internal"
    assert "coroutine" in str(failure.cause)


@pytest.mark.parametrize(
    "options", [{"errors": "ignore"}, {"errors": [int]}, {"errors": ValueError}, {"accept": 3}]
)
def test_what_cannot_be_declared_is_refused_before_the_call(options):
    with pytest.raises(DefinitionError):
        Try(pytest.fail, "called", **options)
    with pytest.raises(DefinitionError):
        tried(**options)


def test_the_log_names_the_function_of_a_partial_one(caplog):
    Try(partial(failing_later, -1))
    assert "failing_later failed" in caplog.records[0].getMessage()


@pytest.mark.parametrize("given", [3, lambda: (yield)], ids=["number", "generator"])
def test_what_is_no_plain_function_is_refused(given):
    with pytest.raises(DefinitionError):
        tried()(given)


def test_a_decorated_function_keeps_name_and_colour():
    @tried()
    async def load() -> int:
        """Load."""
        return 1

    assert (load.__name__, load.__doc__) == ("load", "Load.")
    assert asyncio.iscoroutinefunction(load)


class Asynchronous:
    async def __call__(self, value):
        return value


def test_an_object_with_an_async_call_is_async():
    assert asyncio.run(tried()(Asynchronous())(1)) == Right(1)


class Shop(Service):
    @entry(no_auth=True)
    @tried(errors=[Sold])
    def get(self, number: int) -> int:
        if number == 0:
            raise Sold("out")
        if number < 0:
            raise KeyError(number)
        return number

    @entry(no_auth=True)
    @tried(errors=[Sold])
    async def get_later(self, number: int) -> int:
        return failing_later(number)

    @entry(no_auth=True)
    def get_inner(self, number: int) -> Outcome[int]:
        return Try(failing_later, number)


def failing_later(number):
    if number < 0:
        raise KeyError(number)
    return number


@pytest.mark.parametrize("drive", [sync_drive, async_drive])
@pytest.mark.parametrize("operation", ["shop.get", "shop.get_later", "shop.get_inner"])
def test_an_entry_may_be_tried(drive, operation):
    app = App(Shop())
    assert drive(app, operation, 7) == Right(7)
    assert failure_of(drive(app, operation, -1)).code == "internal"
    app.kill()


def test_an_entry_may_be_tried_behind_http():
    client = App(Shop()).test_client()
    assert client.get("/7").text == "7"
    assert (client.get("/0").status_code, client.get("/0").json["type"]) == (409, "urn:unimicro:error:Sold")


def test_the_log_names_the_invocation_that_is_served(caplog):
    with caplog.at_level(logging.ERROR):
        App(Shop()).call("shop.get_inner", -1)
    (record,) = caplog.records
    assert "failing_later" in record.getMessage()
    assert "invocation none" not in record.getMessage()
