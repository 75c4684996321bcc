"""Failures as values, and as RFC 9457 problem documents."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unimicro import Failure, Left, Response, Right
from unimicro.outcome import CODES, failure_of

CASES = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

TABLE = {
    "canceled": (499, "no", "neutral"),
    "invalid_argument": (400, "no", "success"),
    "failed_precondition": (400, "no", "success"),
    "out_of_range": (400, "no", "success"),
    "unauthenticated": (401, "no", "success"),
    "permission_denied": (403, "no", "success"),
    "not_found": (404, "no", "success"),
    "already_exists": (409, "no", "success"),
    "aborted": (409, "no", "success"),
    "resource_exhausted": (429, "yes", "neutral"),
    "deadline_exceeded": (504, "safe", "failure"),
    "unavailable": (503, "yes", "failure"),
    "internal": (500, "safe", "failure"),
    "unknown": (500, "safe", "failure"),
    "data_loss": (500, "safe", "failure"),
    "unimplemented": (501, "no", "success"),
}

text = st.text(max_size=15)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
failures = st.builds(
    Failure,
    st.sampled_from(sorted(CODES)),
    text,
    details=st.none() | st.dictionaries(text, plain, min_size=1, max_size=3),
    errors=st.lists(st.fixed_dictionaries({"name": text, "message": text}), max_size=3),
    retry_after=st.none() | st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000),
    layer=text,
    error_type=st.from_regex(r"[A-Za-z_]\w{0,10}", fullmatch=True) | st.just(""),
    status=st.none() | st.integers(400, 599),
)


def test_the_table_of_codes():
    assert {code: (rule.status, rule.retryable, rule.breaker) for code, rule in CODES.items()} == TABLE
    assert 408 not in {rule.status for rule in CODES.values()}


@pytest.mark.parametrize("code", ["", "oops", "NOT_FOUND", None, 404])
def test_there_are_no_other_codes(code):
    with pytest.raises(ValueError, match="unknown failure code"):
        Failure(code)


@CASES
@given(failures)
def test_a_failure_survives_the_wire(failure):
    problem = json.loads(json.dumps(failure.to_problem("/here", "abc")))
    again = Failure.from_problem(problem)
    assert again == failure
    assert hash(again) == hash(failure)
    assert (again.code, again.status, again.layer) == (failure.code, failure.status, failure.layer)
    assert again.error_type == failure.error_type
    assert again.retry_after == failure.retry_after
    assert again.retryable == failure.retryable
    assert problem["instance"] == "/here"
    assert problem["trace_id"] == "abc"


@CASES
@given(failures, failures)
def test_failures_differ_where_their_documents_do(one, other):
    assert (one == other) == (one.to_problem() == other.to_problem())
    assert one != one.to_problem()


def test_equality_does_not_ask_for_order_cause_or_headers():
    one = Failure("aborted", details={"a": 1, "b": 2}, cause=ValueError(), headers={"A": "b"})
    assert one == Failure("aborted", details={"b": 2, "a": 1})


odd = plain | st.floats() | st.integers() | st.binary(max_size=3) | st.just(10**400) | st.just(-(10**400))
members = st.sampled_from(
    ["type", "title", "status", "detail", "code", "errors", "details", "retry_after_ms", "layer", "instance"]
)


@CASES
@given(st.dictionaries(members, odd, max_size=10))
def test_no_document_from_the_wire_raises(problem):
    failure = Failure.from_problem(problem)
    assert failure.code in CODES
    assert 400 <= failure.status <= 599
    assert json.loads(json.dumps(failure.to_problem(), default=repr))["code"] == failure.code
    assert repr(failure)


@pytest.mark.parametrize("status", [0, -1, True, False, 99, 200, 399, 600, 10**9, "404", 404.0, None, [404]])
def test_a_status_that_is_no_error_is_replaced_by_the_one_of_the_code(status):
    assert Failure.from_problem({"code": "not_found", "status": status}).status == 404


@pytest.mark.parametrize("code", [["not_found"], {"a": 1}, None, 5, "oops", "Not_Found"])
def test_a_code_that_is_none_is_unknown(code):
    assert Failure.from_problem({"code": code}).code == "unknown"


@pytest.mark.parametrize("wait", [math.nan, math.inf, -math.inf, -1, "1", True, [1], 10**400, 1e300])
def test_a_wait_that_is_no_time_is_left_out(wait):
    failure = Failure.from_problem({"code": "unavailable", "retry_after_ms": wait})
    assert failure.retry_after is None
    assert "retry_after_ms" not in failure.to_problem()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("urn:unimicro:error:Gone", "Gone"),
        ("urn:unimicro:error:", ""),
        ("urn:other:urn:unimicro:error:Gone", ""),
        ("URN:UNIMICRO:ERROR:Gone", ""),
        ("about:blank", ""),
        ("https://example.org/urn:unimicro:error:Gone", ""),
        (None, ""),
        (["urn:unimicro:error:Gone"], ""),
    ],
)
def test_only_our_own_type_names_a_class(kind, name):
    assert Failure.from_problem({"type": kind}).error_type == name


@pytest.mark.parametrize("errors", [None, "text", 5, {"name": "a"}, ["a", 1, None]])
def test_errors_of_another_shape_are_left_out(errors):
    failure = Failure.from_problem({"code": "invalid_argument", "errors": errors})
    assert (list(failure.errors), failure.status) == ([], 400)


def test_errors_make_it_422():
    assert Failure("invalid_argument", errors=[{"name": "a", "message": "missing"}]).status == 422


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_argument"),
        (404, "not_found"),
        (412, "failed_precondition"),
        (502, "internal"),
        (503, "unavailable"),
    ],
)
def test_a_returned_status_stands_for_a_code(status, code):
    response = Response("text", status)
    failure = Failure.from_response(response)
    assert (failure.code, failure.status, failure.message) == (code, status, "text")
    assert failure.body is response


def test_a_right_holds_no_failure():
    failure = Failure("aborted")
    assert failure_of(Left(failure)) is failure
    with pytest.raises(ValueError, match="Right"):
        failure_of(Right(1))


def test_details_must_be_a_mapping():
    stranger: Any = "text"
    assert "details" not in Failure("aborted", details=stranger).to_problem()
