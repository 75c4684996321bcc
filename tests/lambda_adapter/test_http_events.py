"""HTTP events of every payload family, from event to answer."""

import base64
import gzip
import json

import pytest

from tests.lambda_adapter import gateways
from tests.lambda_adapter.service import EXPECTED, SECRET, Context, handler, load, make_app
from unimicro import VirtualClock

FAMILIES = {
    "v2": ("http_v2_query_and_cookies", "v2"),
    "function_url": ("function_url_encoded", "v2"),
    "v1": ("rest_v1_repeated", "v1"),
    "http_api_v1": ("http_api_v1", "v1"),
    "alb_single": ("alb_single", "alb_single"),
    "alb_multi": ("alb_multi", "alb_multi"),
}


def moved(name, path, method="GET"):
    """A sample event sent to another path with another verb, without its query."""
    event = load(name)
    for field in ("rawQueryString", "queryStringParameters", "multiValueQueryStringParameters"):
        if field in event:
            event[field] = None
    if "rawPath" in event:
        event["rawPath"] = path
        event["requestContext"]["http"]["method"] = method
    else:
        event["path"] = path
        event["httpMethod"] = method
    return event


@pytest.fixture(params=FAMILIES, ids=FAMILIES)
def ask(request):
    """Send a request through each payload family; get the HTTP reply."""
    name, shape = FAMILIES[request.param]

    def ask(path, method="GET", **changes):
        event = {**moved(name, path, method), **changes}
        return gateways.read(handler(event, Context()), shape)

    return ask


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_event_reaches_the_service_as_expected(name):
    expected = dict(EXPECTED[name])
    app = make_app(config={"base_path": "/shop"} if name == "rest_v1_base_path" else {})
    reply = gateways.read(app.lambda_handler(load(name), Context()), expected.pop("shape"))
    assert reply.status == 200
    found = json.loads(reply.body)
    headers = {field: found["headers"].get(field) for field in expected["headers"]}
    assert headers == expected.pop("headers")
    assert {field: found[field] for field in expected} == expected
    assert found["door"] == "lambda"
    assert found["id"] == Context.aws_request_id


@pytest.mark.parametrize("name", ["http_v2_minimal", "alb_health_check"])
def test_an_event_with_hardly_anything_in_it_is_served(name):
    assert handler(load(name), None)["body"] == "root"


def test_a_form_that_the_gateway_encoded_is_read():
    answer = handler(load("http_v2_form"), Context())
    assert json.loads(answer["body"]) == ["Mia Lo", ["x", "ü"]]


def test_a_preflight_is_answered():
    answer = handler(load("http_v2_preflight"), Context())
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"]["Access-Control-Allow-Methods"] == "POST"


def test_a_large_answer_is_compressed_and_sent_as_base64():
    answer = handler(load("http_v2_large_gzip"), Context())
    assert answer["isBase64Encoded"] is True
    assert answer["headers"]["Content-Encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(answer["body"])) == b"large " * 1000


def test_the_app_itself_is_a_lambda_function():
    assert make_app()(load("http_v2_minimal"), Context())["body"] == "root"


def test_a_body_that_is_no_base64_is_a_400(ask):
    for body in ("iQD/Wg=", "é", "a", "===="):
        reply = ask("/echo/pic", "POST", body=body, isBase64Encoded=True)
        assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")


def test_an_exception_is_a_500_that_says_nothing_of_it(ask):
    reply = ask("/broken")
    assert reply.status == 500
    assert SECRET not in reply.body.decode()
    assert json.loads(reply.body)["code"] == "internal"


def test_an_unknown_path_is_a_404(ask):
    assert ask("/nowhere").status == 404


def test_bytes_are_sent_as_base64(ask):
    assert ask("/binary").body == b"\x00\xff"


def test_text_in_another_charset_keeps_its_bytes(ask):
    assert ask("/latin").body == b"\xe9"


def test_every_cookie_and_every_repeated_header_is_sent(ask):
    reply = ask("/cookies")
    assert reply.status == 201
    assert reply.headers.getall("set-cookie") == ("a=1", "b=2; Secure", "c=3")
    assert reply.headers["x-a"] == "1, 2"


def test_a_header_with_a_line_break_is_not_sent(ask):
    reply = ask("/injected")
    assert reply.status == 500
    assert "set-cookie" not in reply.headers


def test_head_is_get_without_the_body(ask):
    reply = ask("/large", "HEAD")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("length", [10, 11])
def test_a_body_above_the_limit_is_a_413(length):
    app = make_app(config={"max_body_bytes": 10})
    plain = {"body": "x" * length, "isBase64Encoded": False}
    encoded = {"body": base64.b64encode(b"\xff" * length).decode(), "isBase64Encoded": True}
    several_bytes_a_letter = {"body": "é" * (length // 2) + "x" * (length % 2), "isBase64Encoded": False}
    for name, _ in FAMILIES.values():
        for body in (plain, encoded, several_bytes_a_letter):
            answer = app.lambda_handler({**moved(name, "/echo/a", "POST"), **body}, Context())
            assert answer["statusCode"] == (200 if length == 10 else 413)


def test_too_many_query_fields_are_a_400():
    app = make_app(config={"max_fields": 2})
    many = {"a": ["1", "2", "3"]}
    for event in (
        {**moved("http_v2_minimal", "/echo/a"), "rawQueryString": "a=1&a=2&a=3"},
        {**moved("rest_v1_console", "/echo/a"), "multiValueQueryStringParameters": many},
        {**moved("alb_multi", "/echo/a"), "multiValueQueryStringParameters": many},
    ):
        assert app.lambda_handler(event, Context())["statusCode"] == 400


class TestPaths:
    @pytest.mark.parametrize("path", ["/live", "/live/"])
    def test_the_stage_alone_is_the_root(self, path):
        assert handler(moved("http_v2_named_stage", path), Context())["body"] == "root"

    def test_only_a_segment_equal_to_the_stage_is_stripped(self):
        assert handler(moved("http_v2_named_stage", "/lively/echo/mia"), Context())["statusCode"] == 404

    def test_the_stage_is_stripped_once(self):
        event = moved("http_v2_named_stage", "/live/echo/live")
        assert json.loads(handler(event, Context())["body"])["name"] == "live"

    def test_a_rest_path_never_holds_the_stage(self):
        assert handler(moved("rest_v1_repeated", "/live/echo/mia"), Context())["statusCode"] == 404

    def test_an_http_api_v1_path_without_the_stage_is_left_alone(self):
        event = load("http_api_v1")
        event["path"] = "/echo/mia"
        event["requestContext"] |= {"stage": "echo", "path": "/echo/echo/mia"}
        assert json.loads(handler(event, Context())["body"])["name"] == "mia"

    def test_a_missing_stage_strips_nothing(self):
        event = moved("http_v2_named_stage", "/None/echo/a")
        del event["requestContext"]["stage"]
        assert handler(event, Context())["statusCode"] == 404

    @pytest.mark.parametrize("name", ["http_v2_query_and_cookies", "rest_v1_console", "alb_single"])
    def test_the_base_path_is_stripped_as_whole_segments(self, name):
        app = make_app(config={"base_path": "/api/v1"})
        for path, status in (("/api/v1/echo/a", 200), ("/api/v1x/echo/a", 404), ("/echo/a", 200)):
            assert app.lambda_handler(moved(name, path), Context())["statusCode"] == status

    @pytest.mark.parametrize("name", ["function_url_encoded", "rest_v1_encoded", "alb_single"])
    def test_an_encoded_path_that_is_not_utf8_is_a_400(self, name):
        assert handler(moved(name, "/echo/%ff"), Context())["statusCode"] == 400

    @pytest.mark.parametrize("name", ["function_url_encoded", "rest_v1_encoded", "alb_single"])
    def test_an_encoded_path_is_decoded_once(self, name):
        answer = handler(moved(name, "/echo/%2541"), Context())
        assert json.loads(answer["body"])["name"] == "%41"


class TestLimitsOfTheCall:
    def deadline(self, remaining, **headers):
        clock = VirtualClock(start=100.0)
        event = load("http_v2_query_and_cookies")
        event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
        app = make_app(clock=clock, config={"deadline_reserve": 0.25})
        return json.loads(app.lambda_handler(event, Context(remaining))["body"]).get("deadline")

    def test_the_deadline_is_what_remains_less_the_reserve(self):
        assert self.deadline(3000) == 102.75

    def test_a_caller_may_ask_for_less_time(self):
        assert self.deadline(3000, x_timeout_ms="1000") == 101.0

    def test_a_caller_cannot_ask_for_more_time(self):
        assert self.deadline(3000, x_timeout_ms="9000") == 102.75

    def test_work_is_not_begun_when_only_the_reserve_remains(self):
        assert handler(load("http_v2_query_and_cookies"), Context(remaining=400))["statusCode"] == 504

    @pytest.mark.parametrize("context", [None, object(), type("Odd", (), {"aws_request_id": 5})()])
    def test_a_context_without_limits_sets_none(self, context):
        answer = handler(load("http_v2_query_and_cookies"), context)
        found = json.loads(answer["body"])
        assert found["deadline"] is None
        assert found["id"]
