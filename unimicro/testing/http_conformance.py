"""The conformance kit for doors that speak HTTP: what ``DoorConformance`` demands, and HTTP's own rules."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest

from unimicro.outcome import Failure, Left, Outcome, Response, Right
from unimicro.testing.conformance import AUTHORIZED, Call, DoorConformance, read_problem
from unimicro.wire import from_json, to_json

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.metadata import Metadata
    from unimicro.operation import Operation


FORM = {**AUTHORIZED, "content-type": "multipart/form-data; boundary=b"}


def form_in(charset: str, octets: bytes) -> bytes:
    """A multipart form with one field ``value``."""
    head = 'Content-Disposition: form-data; name="value"'
    return f"--b\r\n{head}\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode() + (
        octets + b"\r\n--b--\r\n"
    )


class HttpReply(NamedTuple):
    """An answer as an HTTP client sees it."""

    status: int
    headers: Metadata
    body: bytes


class HttpDoorConformance(DoorConformance):
    """Inherit and implement ``request``."""

    @abstractmethod
    def request(
        self, app: App, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> HttpReply:
        """Send one HTTP request through the door.

        Args:
            app: The app.
            method: Verb.
            target: Path and query, percent-encoded.
            headers: Names in lower case.
            body: As sent.
        """

    def exchange(self, app: App, call: Call) -> Outcome[Any]:
        method, target, body = http_call(app, call)
        headers = {**call.headers, **({"content-type": "application/json"} if body else {})}
        self.answer = reply = self.request(app, method, target, headers, body)
        return read_reply(reply)

    def send_malformed(self, app: App) -> Outcome[Any]:
        headers = {**AUTHORIZED, "content-type": "application/json"}
        return read_reply(self.request(app, "POST", "/text", headers, b'{"value": '))

    def test_an_unauthenticated_answer_names_its_scheme(self, app: App) -> None:
        reply = self.request(app, "POST", "/count", {})
        assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="kit"')

    @pytest.mark.parametrize("target", ["/nowhere", "/get", "//", "/sum", "/sum/1/2", "/sum//"])
    def test_an_unknown_path_is_a_404(self, app: App, target: str) -> None:
        assert self.request(app, "GET", target, AUTHORIZED).status == 404

    def test_a_wrong_verb_is_a_405_that_lists_the_right_ones(self, app: App) -> None:
        reply = self.request(app, "DELETE", "/sum/1", AUTHORIZED)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")

    def test_a_verb_nobody_knows_is_a_405(self, app: App) -> None:
        assert self.request(app, "BREW", "/sum/1", AUTHORIZED).status == 405

    def test_a_trailing_slash_makes_no_difference(self, app: App) -> None:
        replies = [self.request(app, "GET", target, AUTHORIZED).body for target in ("/sum/1", "/sum/1/")]
        assert replies == [b"3", b"3"]

    def test_head_is_get_without_the_body(self, app: App) -> None:
        get, head = (self.request(app, verb, "/sum/1", AUTHORIZED) for verb in ("GET", "HEAD"))
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["content-type"] == get.headers["content-type"]

    def test_head_tells_the_length_that_get_would_have(self, app: App) -> None:
        """RFC 9110 §8.6: that length, or none."""
        assert self.request(app, "HEAD", "/sum/1", AUTHORIZED).headers.get("content-length", "1") == "1"

    def test_options_lists_the_verbs(self, app: App) -> None:
        reply = self.request(app, "OPTIONS", "/sum/1", {})
        assert (reply.status, reply.headers["allow"], reply.body) == (204, "GET, HEAD, OPTIONS", b"")

    def test_a_query_parameter_is_converted(self, app: App) -> None:
        assert self.request(app, "GET", "/sum/1?right=40", AUTHORIZED).body == b"41"

    def test_an_unexpected_query_parameter_is_named(self, app: App) -> None:
        reply = self.request(app, "GET", "/sum/1?wrong=1", AUTHORIZED)
        assert reply.status == 422
        assert from_json(reply.body)["errors"] == [{"name": "wrong", "message": "unexpected argument"}]

    def test_a_form_is_read_like_json(self, app: App) -> None:
        headers = {**AUTHORIZED, "content-type": "application/x-www-form-urlencoded"}
        assert self.request(app, "POST", "/numbers", headers, b"value=1&value=2").body == b"[1,2]"

    def test_a_content_type_nobody_reads_is_a_415(self, app: App) -> None:
        headers = {**AUTHORIZED, "content-type": "application/x-unknown"}
        assert self.request(app, "POST", "/text", headers, b"x").status == 415

    def test_results_have_their_content_types(self, app: App) -> None:
        kinds = {
            "/binary": "application/octet-stream",
            "/open": "application/json",
            "/text": "text/plain; charset=utf-8",
        }
        for target, expected in kinds.items():
            body = b'{"value":"x"}' if target == "/text" else b""
            headers = {**AUTHORIZED, **({"content-type": "application/json"} if body else {})}
            assert self.request(app, "POST", target, headers, body).headers["content-type"] == expected

    def test_none_is_a_204_without_a_body(self, app: App) -> None:
        reply = self.request(app, "POST", "/nothing", AUTHORIZED)
        assert (reply.status, reply.body) == (204, b"")
        assert "content-type" not in reply.headers

    def test_a_returned_status_and_header_are_sent(self, app: App) -> None:
        reply = self.request(app, "POST", "/created", AUTHORIZED)
        assert (reply.status, reply.headers["x-location"]) == (201, "/things/1")

    def test_a_service_that_hands_on_an_answer_does_not_break_the_connection(self, app: App) -> None:
        """RFC 9110 §7.6.1: such fields are the connection's; a server acts on them."""
        reply = self.request(app, "POST", "/handed/on", AUTHORIZED)
        assert (reply.status, reply.body, reply.headers["x-kept"]) == (200, b"whole", "1")
        assert "transfer-encoding" not in reply.headers

    def test_an_unchanged_resource_is_described_alike(self, app: App) -> None:
        reply = self.request(app, "GET", "/unchanged", AUTHORIZED)
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", '"1"')
        assert {"content-type", "last-modified"}.isdisjoint(reply.headers)

    def test_a_list_in_a_header_is_split_at_its_commas(self, app: App) -> None:
        """RFC 9110 §5.3: two fields and one with a comma mean the same, and some servers join them."""
        reply = self.request(app, "POST", "/tags", {**AUTHORIZED, "x-tag": "a, b,,c"})
        assert from_json(reply.body) == ["a", "b", "c"]

    @pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
    def test_a_compressed_body_is_a_415_that_says_what_would_be_taken(self, app: App, coding: str) -> None:
        headers = {**AUTHORIZED, "content-type": "application/json", "content-encoding": coding}
        reply = self.request(app, "POST", "/text", headers, b"\x1f\x8b")
        assert (reply.status, reply.headers["accept-encoding"]) == (415, "identity")

    @pytest.mark.parametrize("coding", ["identity", "Identity"])
    def test_a_body_that_says_it_is_not_compressed_is_taken(self, app: App, coding: str) -> None:
        headers = {**AUTHORIZED, "content-type": "application/json", "content-encoding": coding}
        assert self.request(app, "POST", "/text", headers, b'{"value":"x"}').body == b"x"

    def test_octets_are_taken_as_they_come(self, app: App) -> None:
        """What is stored or handed on unread may be compressed."""
        headers = {**AUTHORIZED, "content-encoding": "gzip"}
        assert self.request(app, "POST", "/octets", headers, b"\x1f\x8b").body == b"\x1f\x8b"

    @pytest.mark.parametrize("charset", ["punycode", "idna", "zlib", "utf-16", "nonsense"])
    def test_a_form_in_a_charset_that_forms_do_not_have_is_a_400(self, app: App, charset: str) -> None:
        reply = self.request(app, "POST", "/text", FORM, form_in(charset, b"x"))
        assert reply.status == 400

    @pytest.mark.parametrize(("charset", "octets"), [("utf-8", b"\xc3\xa9"), ("ISO-8859-1", b"\xe9")])
    def test_a_form_is_read_in_the_charset_it_names(self, app: App, charset: str, octets: bytes) -> None:
        reply = self.request(app, "POST", "/text", FORM, form_in(charset, octets))
        assert reply.body.decode() == "é"

    def test_a_problem_document_says_what_went_wrong(self, app: App) -> None:
        reply = self.request(app, "POST", "/crash", AUTHORIZED)
        assert reply.headers["content-type"] == "application/problem+json"
        assert from_json(reply.body) == {
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": "internal error",
            "instance": "/crash",
            "code": "internal",
        }

    def test_a_caller_that_should_come_back_is_told_when(self, app: App) -> None:
        headers = {**AUTHORIZED, "content-type": "application/json"}
        reply = self.request(app, "POST", "/fail", headers, b'{"code":"unavailable"}')
        assert (reply.status, reply.headers["retry-after"]) == (503, "2")

    def test_a_large_answer_is_compressed_for_who_accepts_it(self, app: App) -> None:
        import gzip

        headers = {**AUTHORIZED, "content-type": "application/json", "accept-encoding": "gzip"}
        body = to_json({"value": "x" * 5000})
        reply = self.request(app, "POST", "/text", headers, body)
        assert reply.headers["content-encoding"] == "gzip"
        assert gzip.decompress(reply.body) == b"x" * 5000


def http_call(app: App, call: Call) -> tuple[str, str, bytes]:
    """Verb, target and JSON body that carry a call by name."""
    operation = app.operations.get(call.operation)
    if operation is None or operation.http is None:
        return "GET", "/" + call.operation, b""
    values = dict(call.kwargs)
    path = operation.http.template
    for name in operation.http.names:
        path = path.replace(f"{{{name}}}", quote(str(values.pop(name)), safe=""))
    if operation.http.verb == "GET":
        return "GET", f"{path}?{urlencode(values)}", b""
    return operation.http.verb, path, to_json(values) if values or _takes_body(operation) else b""


def _takes_body(operation: Operation) -> bool:
    return any(parameter.required for parameter in operation.signature.parameters)


def read_reply(reply: HttpReply) -> Outcome[Any]:
    """What a client of the REST interface makes of an answer."""
    media = reply.headers.get("content-type", "").partition(";")[0]
    if media == "application/problem+json":
        return read_problem(from_json(reply.body))
    body: Any = reply.body
    if media == "application/json":
        body = from_json(reply.body)
    elif media.startswith("text/"):
        body = reply.body.decode()
    if reply.status >= 400:
        return Left(Failure.from_response(Response(body, reply.status)))
    return Right(None if reply.status == 204 else body)
