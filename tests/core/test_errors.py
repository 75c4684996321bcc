"""Errors of a service: declared ones travel typed, ServiceErrors by code, all others stay inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.core.helpers import code_of, failure
from unimicro import App, Failure, Left, Right, Service, entry
from unimicro.errors import (
    DefinitionError,
    MissingExtra,
    NotFound,
    ServiceError,
    Unavailable,
    UnimicroError,
    require,
    unwrap,
)
from unimicro.outcome import CODES

BY_CODE = {kind.code: kind for kind in ServiceError.__subclasses__() if kind.__module__ == "unimicro.errors"}


class OutOfStock(Exception):
    code = "aborted"

    def __init__(self, sku: str, left: int) -> None:
        super().__init__(sku, left)
        self.sku = sku

    def __str__(self) -> str:
        return f"no {self.sku}"


class SoldOut(OutOfStock):
    pass


class Gone(NotFound):
    """A service's own class with the code of a built-in one, and another way to make it."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} is gone", details={"sku": sku})


class Direct(ServiceError):
    code = "not_found"

    def __init__(self, one: int, two: int) -> None:
        super().__init__("direct")


class Careless(NotFound):
    def __init__(self) -> None:
        pass


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("secret")


class Foreign(Exception):
    """Its attributes have our names and another meaning."""

    code = "unavailable"
    details = "text"
    retry_after = "soon"


class WrongCode(ServiceError):
    code = "oops"  # type: ignore[assignment]


@dataclass
class Typed(Exception):
    sku: str


DECLARED = [OutOfStock, Unreadable, Foreign, Gone, ValueError, Typed]


class Raises(Service):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    @entry(no_auth=True, errors=DECLARED)
    def get(self):
        raise self.error

    @entry(no_auth=True)
    def get_undeclared(self):
        raise self.error


def app_of(error: Exception) -> App:
    return App(Raises(error))


def test_a_declared_error_travels_with_type_text_and_details():
    answer = app_of(OutOfStock("apple", 0)).test_client().get("/")
    assert code_of(answer) == (409, "aborted")
    problem = answer.json
    assert problem["type"] == "urn:unimicro:error:OutOfStock"
    assert (problem["title"], problem["status"], problem["detail"]) == ("Conflict", 409, "no apple")
    assert problem["instance"] == "/"
    assert problem["details"] == {"args": ["apple", 0], "attributes": {"sku": "apple"}}


def test_a_subclass_of_a_declared_error_counts_as_the_declared_one():
    assert failure(app_of(SoldOut("apple", 0)).call("raises.get")).error_type == "OutOfStock"


def test_a_declared_error_without_code_is_a_failed_precondition():
    assert failure(app_of(ValueError("bad")).call("raises.get")).code == "failed_precondition"


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_service_error_answers_with_its_code(code):
    app = app_of(BY_CODE[code]("public", details={"n": 1}, retry_after=1.5))
    failed = failure(app.call("raises.get_undeclared"))
    assert failed == Failure(code, "public", details={"n": 1}, retry_after=1.5)
    answer = app.test_client().get("/undeclared")
    assert code_of(answer) == (CODES[code].status, code)
    assert answer.json["detail"] == "public"
    assert ("Retry-After" in answer.headers) == (CODES[code].status in (429, 503))
    assert answer.headers.get("retry-after", "2") == "2"
    assert ("WWW-Authenticate" in answer.headers) == (code == "unauthenticated")


def test_there_is_a_class_for_every_code():
    assert BY_CODE.keys() == CODES.keys()


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), OutOfStock("secret", 1), DefinitionError("secret")]
)
def test_an_undeclared_error_is_internal_once_logged_once_and_its_text_stays(error, caplog):
    answer = app_of(error).test_client().get("/undeclared", headers={"Authorization": "x"})
    assert code_of(answer) == (500, "internal")
    assert b"secret" not in answer.data
    assert type(error).__name__.encode() not in answer.data
    assert len(caplog.records) == 1
    record = caplog.records[0]
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert "raises.get_undeclared" in record.getMessage()
    assert "secret" in caplog.text


@pytest.mark.parametrize("error", [Unreadable(), WrongCode("secret"), Careless(), Foreign("text")])
def test_an_error_that_cannot_be_read_is_a_failure_all_the_same(error):
    app = app_of(error)
    for path in ("/", "/undeclared"):
        answer = app.test_client().get(path)
        assert answer.status_code in (404, 500, 503)
        assert b"secret" not in answer.data
    assert failure(app.call("raises.get")).to_problem()["status"] in (404, 500, 503)


def test_unwrap_gives_the_value_or_raises_what_was_declared():
    assert unwrap(Right(5)) == 5
    with pytest.raises(OutOfStock) as caught:
        unwrap(app_of(OutOfStock("apple", 3)).call("raises.get"), DECLARED)
    assert caught.value.args == ("apple", 3)
    with pytest.raises(Gone) as gone:
        unwrap(app_of(Gone("pear")).call("raises.get"), DECLARED)
    assert str(gone.value) == "pear is gone"
    assert gone.value.details == {"sku": "pear"}
    with pytest.raises(Typed):
        unwrap(app_of(Typed("pear")).call("raises.get"), DECLARED)


def test_unwrap_rebuilds_from_the_wire_as_well():
    problem = app_of(OutOfStock("apple", 3)).test_client().get("/").json
    with pytest.raises(OutOfStock) as caught:
        unwrap(Left(Failure.from_problem(problem)), DECLARED)
    assert caught.value.args == ("apple", 3)


@pytest.mark.parametrize("details", [None, {"args": 5}, {"args": "ab"}, {"other": 1}])
def test_unwrap_of_odd_details_still_raises_the_declared_class(details):
    with pytest.raises(OutOfStock):
        unwrap(Left(Failure("aborted", "text", error_type="OutOfStock", details=details)), DECLARED)


@pytest.mark.parametrize("code", sorted(CODES))
def test_unwrap_of_a_code_raises_the_built_in_class_of_that_code(code):
    """`Direct` above has the code of NotFound too, and another way to be made."""
    with pytest.raises(BY_CODE[code]) as caught:
        unwrap(Left(Failure(code, "text", retry_after=2)))
    assert type(caught.value) is BY_CODE[code]
    assert (str(caught.value), caught.value.retry_after) == ("text", 2)


def test_only_declared_types_are_rebuilt():
    wire = Failure.from_problem({"type": "urn:unimicro:error:SystemExit", "code": "aborted", "status": 409})
    with pytest.raises(BY_CODE["aborted"]):
        unwrap(Left(wire), DECLARED)


def test_a_missing_extra_is_named():
    with pytest.raises(MissingExtra, match=r"pip install 'unimicro\[flask\]'"):
        require("no_such_package_here", "flask", "the Flask entry")
    assert require("json", "none", "this").dumps(1) == "1"
    assert issubclass(MissingExtra, UnimicroError)


def test_an_import_error_inside_a_package_is_not_a_missing_extra(tmp_path, monkeypatch):
    (tmp_path / "broken_inside.py").write_text("import no_such_package_here")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError) as caught:
        require("broken_inside", "flask", "the Flask entry")
    assert not isinstance(caught.value, MissingExtra)


def test_an_error_may_say_when_to_come_back():
    answer = app_of(Unavailable("busy", retry_after=0.2)).test_client().get("/")
    assert (answer.headers["Retry-After"], answer.json["retry_after_ms"]) == ("1", 200)


def test_details_that_no_json_can_carry_are_left_out():
    circular: dict[str, Any] = {}
    circular["self"] = circular
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for details in (circular, {"deep": deep}, {"odd": object()}, {"text": "\ud800"}, {1: object()}):
        answer = app_of(NotFound("public", details=details)).test_client().get("/undeclared")
        assert code_of(answer) == (404, "not_found")
        assert answer.json["detail"] == "public"


def test_a_message_that_is_no_unicode_is_made_printable():
    answer = app_of(NotFound("a\ud800b")).test_client().get("/undeclared")
    assert answer.json["detail"] == "a\\ud800b"
