"""Whatever the event, the handler answers in the right shape and raises nothing."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lambda_adapter import gateways
from tests.lambda_adapter.service import Context, all_events, handler, load

SHAPES = {
    "http_v2_query_and_cookies": "v2",
    "function_url_encoded": "v2",
    "rest_v1_repeated": "v1",
    "http_api_v1": "v1",
    "alb_single": "alb_single",
    "alb_multi": "alb_multi",
}
ABSENT = object()


def changed(event, path, value):
    event = copy.deepcopy(event)
    *parents, last = path.split(".")
    place = event
    for parent in parents:
        place = place[parent]
    if value is ABSENT:
        place.pop(last, None)
    else:
        place[last] = value
    return event


def assert_refused(event, shape):
    reply = gateways.read(handler(event, Context()), shape)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("value", [5, ["x"], {"x": 1}, True])
def test_a_body_of_another_type_is_a_400(name, value):
    assert_refused(changed(load(name), "body", value), SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("value", ["yes", 1, ["x"]])
def test_a_base64_flag_of_another_type_is_a_400(name, value):
    event = changed(load(name), "body", "AA==")
    assert_refused(changed(event, "isBase64Encoded", value), SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("value", [["x"], "x", 5, {"x": 5}, {"x": {"y": 1}}, {"x": None}])
def test_headers_of_another_type_are_a_400(name, value):
    event = load(name)
    field = "multiValueHeaders" if "multiValueHeaders" in event else "headers"
    assert_refused(changed(event, field, value), SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("value", [ABSENT, None, 5, ["x"]])
def test_a_path_or_a_verb_that_is_missing_or_no_text_is_a_400(name, value):
    event = load(name)
    is_v2 = SHAPES[name] == "v2"
    assert_refused(changed(event, "rawPath" if is_v2 else "path", value), SHAPES[name])
    if value is not ABSENT:
        verb = "requestContext.http.method" if is_v2 else "httpMethod"
        assert_refused(changed(event, verb, value), SHAPES[name])


@pytest.mark.parametrize("value", ["a=1", 5, [5], {"a": "1"}])
def test_cookies_that_are_no_list_of_strings_are_a_400(value):
    assert_refused(changed(load("http_v2_query_and_cookies"), "cookies", value), "v2")


@pytest.mark.parametrize("value", ["x", 5, {"x": "y"}, {"x": [5]}])
@pytest.mark.parametrize("name", ["rest_v1_repeated", "alb_multi"])
def test_a_query_of_another_type_is_a_400(name, value):
    assert_refused(changed(load(name), "multiValueQueryStringParameters", value), SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
def test_null_headers_and_queries_are_none_at_all(name):
    event = load(name)
    shape = "alb_multi" if name == "alb_multi" else SHAPES[name]
    for field in (
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "rawQueryString",
        "cookies",
        "body",
    ):
        if field in event:
            event[field] = None
    assert gateways.read(handler(event, Context()), shape).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """Every key and index inside an event."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutated(event, path, change):
    event = copy.deepcopy(event)
    place = event
    for key in path[:-1]:
        place = place[key]
    if change is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = change
    return event


MUTABLE = {name: event for name in all_events() if isinstance(event := load(name), dict)}


def is_well_formed(answer):
    if "statusCode" in answer:
        shapes = [
            shape for shape, (keys, more) in gateways.SHAPES.items() if keys <= set(answer) <= keys | more
        ]
        assert len(shapes) == 1
        return gateways.read(answer, shapes[0]).status in range(200, 600)
    if "policyDocument" in answer:
        (statement,) = answer["policyDocument"]["Statement"]
        return statement["Effect"] in ("Allow", "Deny") and bool(statement["Resource"])
    if "isAuthorized" in answer:
        return type(answer["isAuthorized"]) is bool
    return {"result", "exception"} <= set(answer) <= {"result", "exception", "failure"}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_mutated_event_gets_a_well_formed_answer(data):
    event = MUTABLE[data.draw(st.sampled_from(sorted(MUTABLE)))]
    for _ in range(data.draw(st.integers(1, 3))):
        where = list(places(event))
        if not where:
            break
        path = data.draw(st.sampled_from(where))
        event = mutated(event, path, data.draw(JSON | st.just(ABSENT)))
    assert is_well_formed(handler(event, Context()))


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_event_at_all_gets_a_well_formed_answer(event):
    assert is_well_formed(handler(event, Context()))
