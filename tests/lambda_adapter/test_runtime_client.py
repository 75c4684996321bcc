"""The function under the real runtime client, as a process of its own."""

import json

import pytest

from tests.lambda_adapter import gateways
from tests.lambda_adapter.runtime_api import RuntimeApi
from tests.lambda_adapter.service import EXPECTED, SECRET, load

pytest.importorskip("awslambdaric")


@pytest.fixture(scope="module")
def runtime():
    with RuntimeApi("tests.lambda_adapter.service.handler") as runtime:
        yield runtime


def answer_of(runtime, event):
    kind, answer = runtime.invoke(event)
    assert kind == "response", answer
    return answer


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "rest_v1_base_path"])
def test_http_events_are_answered(runtime, name):
    expected = EXPECTED[name]
    reply = gateways.read(answer_of(runtime, load(name)), expected["shape"])
    assert reply.status == 200
    found = json.loads(reply.body)
    assert {field: found[field] for field in ("operation", "name", "query", "cookies", "body", "stage")} == {
        field: expected[field] for field in ("operation", "name", "query", "cookies", "body", "stage")
    }
    assert found["id"] == "8f5d6f0e-2c64-4b1c-9d9a-3a1f2f0f7e55"
    assert found["deadline"] is not None


def test_a_handler_that_raises_is_a_500_and_the_loop_goes_on(runtime):
    answer = answer_of(runtime, load("http_v2_raises"))
    assert answer["statusCode"] == 500
    assert SECRET not in json.dumps(answer)
    assert answer_of(runtime, load("http_v2_minimal"))["body"] == "root"
    assert runtime.process.poll() is None


def test_bad_base64_is_a_400(runtime):
    assert answer_of(runtime, load("http_v2_bad_base64"))["statusCode"] == 400


@pytest.mark.parametrize("name", ["unknown_warm_up", "unknown_no_records", "unknown_text"])
def test_an_unknown_event_is_a_typed_failure(runtime, name):
    answer = answer_of(runtime, load(name))
    assert answer["failure"]["code"] in ("unimplemented", "invalid_argument")


@pytest.mark.parametrize("name", ["direct_operation", "direct_method"])
def test_a_direct_invocation_is_answered(runtime, name):
    assert answer_of(runtime, load(name)) == {"result": 5, "exception": None}


def test_an_authorizer_is_answered(runtime):
    answer = answer_of(runtime, load("authorizer_token"))
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"


def test_the_app_itself_is_a_function_and_an_exceptions_text_is_in_its_log_only():
    with RuntimeApi("tests.lambda_adapter.service.app") as runtime:
        assert SECRET not in json.dumps(answer_of(runtime, load("http_v2_raises")))
    assert SECRET in runtime.log
