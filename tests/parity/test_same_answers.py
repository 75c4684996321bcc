"""The same request gets the same status, headers and body, byte for byte, behind every HTTP door."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parity.doors import every_door

GOOD = {"authorization": "Bearer good"}
JSON = {**GOOD, "content-type": "application/json"}
FORM = {**GOOD, "content-type": "application/x-www-form-urlencoded"}
CROSS = {"origin": "https://example.com", "access-control-request-method": "GET"}


@pytest.fixture(scope="module")
def doors():
    logging.disable(logging.CRITICAL)
    try:
        with every_door() as doors:
            yield doors
    finally:
        logging.disable(logging.NOTSET)


def same(doors, method, target, headers, body=b""):
    replies = {name: send(method, target, headers, body) for name, send in doors.items()}
    expected = replies["http"]
    assert replies == dict.fromkeys(replies, expected)
    return expected


SERVED = ("fastapi", "flask")
"""Doors tested over a real socket."""

REQUESTS = [
    ("GET", "/", {}, b"", 404),
    ("GET", "/sum/1", GOOD, b"", 200),
    ("GET", "/sum/1/", GOOD, b"", 200),
    ("GET", "/sum/1//", GOOD, b"", 404),
    ("GET", "/sum//1", GOOD, b"", 404),
    ("HEAD", "/sum/1", GOOD, b"", 200),
    ("OPTIONS", "/sum/1", {}, b"", 204),
    ("OPTIONS", "/sum/1", CROSS, b"", 204),
    ("OPTIONS", "/nowhere", {}, b"", 404),
    ("DELETE", "/sum/1", GOOD, b"", 405),
    ("PROPFIND", "/sum/1", GOOD, b"", 405),
    ("GET", "/sum/x", GOOD, b"", 422),
    ("GET", "/sum/%31", GOOD, b"", 200),
    ("GET", "/sum/%2531", GOOD, b"", 422),
    ("GET", "/sum/1%2F2", GOOD, b"", 422),
    ("GET", "/sum/%FF", GOOD, b"", 400),
    ("GET", "/%73um/1", GOOD, b"", 200),
    ("GET", "/sum/1?right=2", GOOD, b"", 200),
    ("GET", "/sum/1?right=2&right=3", GOOD, b"", 422),
    ("GET", "/sum/1?right", GOOD, b"", 422),
    ("GET", "/sum/1?r%69ght=%32", GOOD, b"", 200),
    ("GET", "/sum/1?x=%FF", GOOD, b"", 400),
    ("GET", "/sum/1?" + "&".join(["x=1"] * 1100), GOOD, b"", 400),
    ("GET", "/sum/1", {}, b"", 401),
    ("GET", "/sum/1", {"authorization": "wrong"}, b"", 403),
    ("GET", "/sum/1", {"authorization": "raise"}, b"", 403),
    ("POST", "/integer", JSON, b'{"value":1}', 200),
    ("POST", "/integer", JSON, b'{"value":"1"}', 422),
    ("POST", "/integer", JSON, b'{"value":1', 400),
    ("POST", "/integer", JSON, b"\xff", 400),
    ("POST", "/integer", JSON, b"[1]", 422),
    ("POST", "/integer", JSON, b"", 422),
    ("POST", "/integer", FORM, b"value=1", 200),
    ("POST", "/integer", FORM, b"value=1&value=2", 422),
    ("POST", "/integer", {**GOOD, "content-type": "text/csv"}, b"1", 415),
    ("POST", "/integer", GOOD, b'{"value":1}', 200),
    ("POST", "/text", JSON, '{"value":"日本 🦆"}'.encode(), 200),
    ("POST", "/text", {**JSON, "accept-encoding": "gzip"}, b'{"value":"%b"}' % (b"x" * 3000), 200),
    ("POST", "/text", JSON, b'{"value":"%b"}' % (b"x" * 3000), 200),
    ("POST", "/binary", GOOD, b"", 200),
    ("POST", "/nothing", GOOD, b"", 204),
    ("POST", "/created", GOOD, b"", 201),
    ("POST", "/gone", GOOD, b"", 410),
    ("POST", "/crash", GOOD, b"", 500),
    ("POST", "/unencodable", GOOD, b"", 500),
    ("POST", "/declared", JSON, b'{"sku":"a"}', 400),
    ("POST", "/fail", JSON, b'{"code":"resource_exhausted"}', 429),
    ("POST", "/count", {**GOOD, "x-timeout-ms": "0"}, b"", 504),
    ("POST", "/slow", {**GOOD, "x-timeout-ms": "1000"}, b"", 504),
    ("POST", "/slow/async", {**GOOD, "x-timeout-ms": "1000"}, b"", 504),
    ("POST", "/open", {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, b"", 200),
    ("POST", "/crash", {**GOOD, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, b"", 500),
]


@pytest.mark.parametrize(("method", "target", "headers", "body", "status"), REQUESTS)
def test_every_door_gives_the_same_answer(doors, method, target, headers, body, status):
    assert same(doors, method, target, headers, body)[0] == status


SEGMENTS = ["sum", "1", "text", "", "%20", "%2F", "%25", "a+b", "~", "x;y", "@:", "%C3%A9", "%E9"]
# Python's http.server, below werkzeug's, folds slashes at the beginning of a target before we see it.
paths = st.lists(st.sampled_from(SEGMENTS), max_size=4).filter(lambda path: path[:1] != [""])
queries = st.lists(
    st.tuples(
        st.sampled_from(["right", "x", "r%69ght", ""]),
        st.sampled_from(["", "1", "-5", "%32", "+1", "a=b", "%C3%A9", "%E9"]),
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=paths, query=queries, method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS"]))
def test_any_target_means_the_same_to_every_door(doors, path, query, method):
    text = "&".join(f"{name}={value}" for name, value in query)
    same(doors, method, "/" + "/".join(path) + ("?" + text if query else ""), GOOD)


KINDS = [JSON["content-type"], FORM["content-type"], "multipart/form-data; boundary=b", "", "x"]
bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b'{"value": 1e5}', b"value=%C3%A9&value=", b"value=%E9", b'{"value":"\\ud800"}', b"NaN"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies, kind=st.sampled_from(KINDS))
def test_any_body_means_the_same_to_every_door(doors, body, kind):
    same(doors, "POST", "/anything", {**GOOD, **({"content-type": kind} if kind else {})}, body)


def test_a_body_above_the_limit_is_refused_before_it_is_sent(doors):
    """The header announces 11 MiB, nothing follows: a door that waited for it would time out."""
    headers = {**JSON, "content-length": str(11 * 1024 * 1024)}
    statuses = {
        name: send("POST", "/text", headers, b"")[0] for name, send in doors.items() if name in SERVED
    }
    assert statuses == dict.fromkeys(SERVED, 413)


def test_a_chunked_body_above_the_limit_is_refused_on_the_way(doors):
    """No length is announced: the door stops reading at the limit."""
    chunk = b"%x\r\n%b\r\n" % (1024 * 1024, b"x" * 1024 * 1024)
    for name in SERVED:
        assert doors[name].chunked("/text", JSON, chunk, 12)[0] == 413, name


def test_a_large_body_in_process_is_refused_too(doors):
    body = b'{"value":"%b"}' % (b"x" * (11 * 1024 * 1024))
    assert [doors[name]("POST", "/text", JSON, body)[0] for name in ("http", "lambda")] == [413, 413]
