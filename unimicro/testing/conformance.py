"""The conformance kit: one set of tests that every door passes, built-in or not.

A door is tested by a class of its own that inherits ``DoorConformance`` and says how a call is sent
through the door and how its answer is read::

    class TestMyDoor(DoorConformance):
        def exchange(self, app, call):
            answer = app.door("mine").handle(...)
            self.answer = answer
            return Right(...) or Left(Failure.from_problem(...))

        def send_malformed(self, app):
            ...  # a request that the door cannot parse

Doors that speak HTTP inherit ``HttpDoorConformance`` instead, from ``unimicro.testing.http_conformance``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from unimicro.invocation import CallPayload, Invocation
from unimicro.metadata import Metadata
from unimicro.outcome import CODES, Failure, Left, Outcome, Response, Right, failure_of
from unimicro.testing.cases import ECHOES, WRONG
from unimicro.testing.kit import SECRET, TOKEN, kit_app
from unimicro.wire import from_json, to_json

if TYPE_CHECKING:
    from unimicro.app import App

AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


class Call(NamedTuple):
    """A call as the kit wants it sent.

    Attributes:
        operation: Qualified name.
        kwargs: Plain data.
        headers: Metadata, names in lower case.
    """

    operation: str
    kwargs: dict[str, Any]
    headers: dict[str, str]


class DoorConformance(ABC):
    """Inherit, implement ``exchange``, and the door is tested.

    Attributes:
        answer: The door's native answer to the last call; ``exchange`` sets it, so that the kit can look
            for text that must not leave the process.
        plugins: Plugins that the door comes from.
        limits_body: The door sees bodies as bytes, so a size limit means something to it.
    """

    answer: object = None
    plugins: ClassVar[tuple[object, ...]] = ()
    limits_body: ClassVar[bool] = True

    @abstractmethod
    def exchange(self, app: App, call: Call) -> Outcome[Any]:
        """Send ``call`` through the door of ``app`` and read the answer as plain data or a failure."""

    @abstractmethod
    def send_malformed(self, app: App) -> Outcome[Any]:
        """Send a request that the door cannot parse, and read the answer."""

    @pytest.fixture
    def app(self) -> App:
        """An app of its own for each test."""
        return kit_app(plugins=self.plugins)

    def call(self, app: App, method: str, /, headers: dict[str, str] = AUTHORIZED, **kwargs: Any) -> Any:
        """The outcome of ``kit.<method>`` through the door."""
        return self.exchange(app, Call(f"kit.{method}", kwargs, headers))

    def failure(
        self, app: App, method: str, /, headers: dict[str, str] = AUTHORIZED, **kwargs: Any
    ) -> Failure:
        """The failure of a call that must fail."""
        outcome = self.call(app, method, headers, **kwargs)
        assert outcome.is_left(), f"expected a failure, got {outcome}"
        return failure_of(outcome)

    @pytest.mark.parametrize(("method", "kwargs", "expected"), ECHOES)
    def test_a_value_of_every_type_arrives_and_comes_back(
        self, app: App, method: str, kwargs: dict[str, Any], expected: Any
    ) -> None:
        outcome = self.call(app, method, **kwargs)
        assert outcome == Right(expected)
        assert canonical(reference(app, method, kwargs)) == Right(expected)

    def test_bytes_come_back(self, app: App) -> None:
        outcome = self.call(app, "binary")
        assert canonical(outcome) == Right("AP/+")

    @pytest.mark.parametrize("code", list(CODES))
    def test_every_code_arrives_with_its_text_details_and_status(self, app: App, code: str) -> None:
        assert self.failure(app, "fail", code=code) == failure_of(reference(app, "fail", {"code": code}))

    def test_a_declared_error_arrives_under_its_own_name(self, app: App) -> None:
        failure = self.failure(app, "declared", sku="x-1")
        assert failure.error_type == "OutOfStock"
        assert failure.code == "failed_precondition"
        assert failure.details == {"args": ["x-1", 3]}

    def test_text_that_is_no_unicode_does_not_hide_the_failure(self, app: App) -> None:
        failure = self.failure(app, "unprintable")
        assert (failure.code, failure.message) == ("not_found", "no \\ud800 here")

    def test_details_arrive_as_json_has_them(self, app: App) -> None:
        assert self.failure(app, "detailed").details == {"price": "1.50"}

    def test_a_returned_error_status_is_a_failure(self, app: App) -> None:
        assert self.failure(app, "gone").status == 410

    @pytest.mark.parametrize(("method", "kwargs", "names"), WRONG)
    def test_wrong_arguments_are_refused_and_each_is_named(
        self, app: App, method: str, kwargs: dict[str, Any], names: list[str]
    ) -> None:
        failure = self.failure(app, method, **kwargs)
        assert (failure.code, failure.status) == ("invalid_argument", 422)
        assert sorted(error["name"] for error in failure.errors) == sorted(names)

    def test_an_unknown_operation_is_unimplemented(self, app: App) -> None:
        assert self.failure(app, "nowhere").code == "unimplemented"

    def test_an_unparseable_request_is_a_400(self, app: App) -> None:
        failure = failure_of(self.send_malformed(app))
        assert (failure.code, failure.status) == ("invalid_argument", 400)

    def test_no_token_is_unauthenticated(self, app: App) -> None:
        assert self.failure(app, "count", headers={}).code == "unauthenticated"
        assert calls(app) == 0

    @pytest.mark.parametrize("token", ["wrong", "elsewhere", "raise", "Bearer wrong", "göod"])
    def test_a_token_that_is_not_accepted_is_denied(self, app: App, token: str) -> None:
        headers = {"authorization": token.encode().decode("latin-1")}
        failure = self.failure(app, "count", headers=headers)
        assert failure.code == "permission_denied"
        assert SECRET not in seen(self.answer)
        assert calls(app) == 0

    @pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}", f"bearer {TOKEN}", "staged"])
    def test_a_token_for_this_stage_is_accepted(self, app: App, token: str) -> None:
        assert self.call(app, "count", headers={"authorization": token}) == Right(1)

    def test_an_open_entry_needs_no_token(self, app: App) -> None:
        assert self.call(app, "open", headers={}).is_right()

    def test_arguments_are_not_looked_at_before_the_caller_is_known(self, app: App) -> None:
        assert self.failure(app, "integer", headers={}, value="x").code == "unauthenticated"

    @pytest.mark.parametrize("method", ["crash", "crash_async", "crash_cancelled", "unencodable"])
    def test_an_unexpected_exception_is_internal_and_its_text_stays_inside(
        self, app: App, method: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR, logger="unimicro"):
            failure = self.failure(app, method)
        assert (failure.code, failure.message) == ("internal", "internal error")
        assert SECRET not in seen(self.answer)
        assert "Traceback" not in seen(self.answer)
        assert len([record for record in caplog.records if record.exc_info]) == 1

    def test_a_call_whose_deadline_has_passed_is_not_started(self, app: App) -> None:
        failure = self.failure(app, "count", headers={**AUTHORIZED, "x-timeout-ms": "0"})
        assert failure.code == "deadline_exceeded"
        assert calls(app) == 0

    @pytest.mark.parametrize("method", ["slow", "slow_async"])
    def test_a_call_that_takes_too_long_is_given_up(self, app: App, method: str) -> None:
        failure = self.failure(app, method, headers={**AUTHORIZED, "x-timeout-ms": "1000"})
        assert failure.code == "deadline_exceeded"

    @pytest.mark.parametrize("method", ["slow", "slow_async"])
    def test_a_call_within_its_deadline_succeeds(self, app: App, method: str) -> None:
        assert self.call(app, method, headers={**AUTHORIZED, "x-timeout-ms": "9000"}) == Right("late")

    def test_a_timeout_that_is_no_number_is_refused(self, app: App) -> None:
        failure = self.failure(app, "count", headers={**AUTHORIZED, "x-timeout-ms": "soon"})
        assert (failure.code, failure.status) == ("invalid_argument", 400)

    def test_blanks_around_a_timeout_are_no_part_of_it(self, app: App) -> None:
        """RFC 9110 §5.5; not every server takes them off."""
        assert self.call(app, "count", headers={**AUTHORIZED, "x-timeout-ms": "9000 "}) == Right(1)

    def test_no_log_shows_a_token_or_an_argument(self, app: App, caplog: pytest.LogCaptureFixture) -> None:
        hidden = "h1dd3n"
        with caplog.at_level(logging.DEBUG):
            self.call(app, "text", value=hidden)
            self.call(app, "integer", value=hidden)
            self.call(app, "declared", sku=hidden)
            for token in (hidden, f"Bearer {hidden}"):
                self.call(app, "text", headers={"authorization": token}, value=hidden)
            self.call(app, "crash", headers={**AUTHORIZED, "x-password": hidden, "cookie": hidden})
            self.call(app, "count", headers={**AUTHORIZED, "x-timeout-ms": hidden})
        assert hidden not in caplog.text

    def test_a_large_body_is_carried(self, app: App) -> None:
        value = "ä€🦆" * 100_000
        assert self.call(app, "text", value=value) == Right(value)

    def test_a_body_above_the_limit_is_refused(self) -> None:
        if not self.limits_body:
            pytest.skip("this door gets parsed data")
        app = kit_app({"max_body_bytes": 1000}, self.plugins)
        assert self.failure(app, "text", value="x" * 2000).status == 413
        assert self.call(app, "text", value="x" * 900).is_right()

    def test_concurrent_calls_get_their_own_answers(self, app: App) -> None:
        app.start()
        with ThreadPoolExecutor(8) as threads:
            outcomes = list(threads.map(lambda n: self.call(app, "integer", value=n), range(64), timeout=30))
        assert outcomes == [Right(n) for n in range(64)]


def reference(app: App, method: str, kwargs: dict[str, Any]) -> Outcome[Any]:
    """The outcome without any door between."""
    metadata = Metadata(AUTHORIZED)
    invocation = Invocation(f"kit.{method}", CallPayload((), kwargs), metadata=metadata, stage="test")
    return app.run(invocation)


def canonical(outcome: Outcome[Any]) -> Outcome[Any]:
    """The outcome as JSON would carry it."""
    if outcome.is_left():
        return outcome
    value = outcome.value.body if isinstance(outcome.value, Response) else outcome.value
    return Right(from_json(to_json(value)))


def read_problem(problem: object) -> Outcome[Any]:
    """A ``Left`` from an RFC 9457 document.

    Raises:
        AssertionError: It is none.
    """
    assert isinstance(problem, dict), f"expected a problem document, got {problem!r}"
    assert problem.get("code") in CODES, f"a problem document without a code: {problem!r}"
    return Left(Failure.from_problem(problem))


def seen(answer: object) -> str:
    """Everything that a caller can see of a native answer."""
    return repr(getattr(answer, "__dict__", None) or answer)


def calls(app: App) -> int:
    """How often the counting entry has run."""
    return app.services[0].calls  # type: ignore[attr-defined,no-any-return]
