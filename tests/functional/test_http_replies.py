"""What ``get`` and ``post`` make of an answer, or of none."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest

from tests.functional.caller import Caller
from tests.functional.server import Answer
from unimicro import Failure, failure_of
from unimicro.functional import Reply, ReplyError
from unimicro.functional.replies import outcome_of
from unimicro.metadata import Metadata

STATUSES = {
    400: "internal",
    401: "unauthenticated",
    403: "permission_denied",
    404: "unimplemented",
    408: "unknown",
    409: "unknown",
    418: "unknown",
    429: "unavailable",
    500: "unknown",
    501: "unknown",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_without_a_code_of_ours_stands_for_one(of, server, status):
    server.answers = [Answer(status, b"secret")]
    failure = failure_of(Caller(of, retry=None).get(server.url))
    assert failure.code == STATUSES[status]
    assert failure.status != 408
    assert "secret" not in str(failure.to_problem())
    assert isinstance(failure.cause, ReplyError)
    assert failure.cause.reply.body == b"secret"


def problem(code: str, **fields: Any) -> bytes:
    return json.dumps(Failure(code, "said so", **fields).to_problem()).encode()


PROBLEM = (("Content-Type", "application/problem+json; charset=utf-8"),)


def test_a_problem_document_is_the_failure_that_it_describes(of, server):
    sent = {"details": {"left": 3}, "error_type": "OutOfStock", "retry_after": 2.0, "layer": "rate_limit"}
    server.answers = [Answer(429, problem("resource_exhausted", **sent), PROBLEM)]
    failure = failure_of(Caller(of, retry=None).get(server.url))
    assert failure == Failure("resource_exhausted", "said so", **sent)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"title": "busy", "detail": "secret"}', PROBLEM),
        (b'{"code": "odd"}', PROBLEM),
        (b"{", PROBLEM),
        (b"[]", PROBLEM),
        (problem("not_found"), (("Content-Type", "application/json"),)),
    ],
)
def test_a_document_without_a_code_of_ours_says_no_more_than_the_status(of, server, body, headers):
    server.answers = [Answer(503, body, headers)]
    assert failure_of(Caller(of, retry=None).get(server.url)) == Failure(
        "unavailable", "the server answered 503"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("Wed, 15 Nov 2023 00:00:00 GMT", 6400),
        ("Wed, 15 Nov 2000 00:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_when_to_come_back_is_read(of, server, value, seconds):
    server.answers = [Answer(503, b"", (("Retry-After", value),))]
    assert failure_of(Caller(of, retry=None).get(server.url)).retry_after == seconds


def test_no_server_is_unavailable(of):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    failure = failure_of(Caller(of, retry=None).get(url))
    assert (failure.code, failure.message) == ("unavailable", "the server cannot be reached")
    assert isinstance(failure.cause, httpx.ConnectError)


def test_a_broken_connection_is_unavailable(of, server):
    server.answers = [Answer(drop=True)]
    failure = failure_of(Caller(of, retry=None).get(server.url))
    assert (failure.code, failure.message) == ("unavailable", "the connection broke")


def test_a_server_that_says_nothing_is_given_up(of):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        caller = Caller(of, clock=None)
        failure = failure_of(caller.get(url, timeout=0.05))
    assert (failure.code, failure.status) == ("deadline_exceeded", 504)


def test_an_answer_above_the_limit_is_refused_and_not_asked_for_again(of, server):
    server.answers = [Answer(200, b"x" * 1001)]
    failure = failure_of(Caller(of, max_bytes=1000).get(server.url))
    assert failure == Failure("internal", "the answer is longer than 1000 bytes", details={"retry": False})
    assert len(server.requests) == 1
    assert Caller(of, max_bytes=1001).get(server.url).is_right()


def test_an_answer_that_is_packed_unasked_is_refused(caller, server):
    server.answers = [Answer(200, b"x", (("Content-Encoding", "gzip"),))]
    assert failure_of(caller.get(server.url)).code == "internal"
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_packed_answer_that_was_asked_for_is_unpacked(caller, server):
    import gzip

    server.answers = [Answer(200, gzip.compress(b"tea"), (("Content-Encoding", "gzip"),)), Answer(200, b"x")]
    assert caller.get(server.url, headers={"Accept-Encoding": "gzip"}).value.body == b"tea"


def test_a_packed_answer_that_cannot_be_unpacked_is_internal(caller, server):
    server.answers = [Answer(200, b"this is not packed", (("Content-Encoding", "gzip"),))]
    assert failure_of(caller.get(server.url, headers={"Accept-Encoding": "gzip"})).code == "internal"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain", "é"),
        ("é".encode("latin-1"), 'text/plain; charset="ISO-8859-1"; x=y', "é"),
        (b"\xff", "text/plain; charset=nonsense", "\ufffd"),
    ],
)
def test_text_is_in_the_charset_of_the_answer(caller, server, body, content_type, text):
    server.answers = [Answer(200, body, (("Content-Type", content_type),))]
    assert caller.get(server.url).value.text == text


def test_a_body_that_is_no_json_is_left(caller, server):
    server.answers = [Answer(200, b"{")]
    assert failure_of(caller.get(server.url).bind(Reply.json)).code == "internal"


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +9999999999",
    ],
)
def test_a_retry_after_that_is_no_date_is_none(date):
    failure = outcome_of(Reply(503, Metadata({"retry-after": date}), b""), 0.0).monoid[0]
    assert (failure.code, failure.retry_after) == ("unavailable", None)


@pytest.mark.parametrize(
    "charset", ["undefined", "idna", "punycode", "utf-8\0", "no-such", "unicode_escape", "hex", ""]
)
def test_a_charset_that_is_none_is_read_as_utf_8(charset):
    headers = Metadata({"content-type": f"text/plain; charset={charset}"})
    assert Reply(200, headers, "grün \xff".encode()).text == "grün \xff"
