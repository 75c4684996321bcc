"""``unimicro call --url`` against a server that records what it gets."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.commands import run


class Stub(HTTPServer):
    status = 200
    reply = b'{"result": null, "exception": null}'
    received: dict

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received = {"path": self.path, "headers": self.headers, "body": json.loads(body)}
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.reply)))
        self.end_headers()
        self.wfile.write(self.server.reply)

    def log_message(self, *_):
        pass


@pytest.fixture
def stub(folder):
    with Stub(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def test_the_request_names_component_service_and_method(stub):
    stub.reply = b'{"result": {"ok": true}, "exception": null}'
    result = run("call", "orders.place", "order_id=42", "name=x", "--url", f"{stub.url}/")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"ok": True}
    assert stub.received["path"] == "/invoke"
    assert stub.received["headers"]["Content-Type"] == "application/json"
    assert stub.received["body"] == {
        "method": "app:orders:place",
        "args": [],
        "kwargs": {"order_id": 42, "name": "x"},
    }


def test_the_token_comes_from_the_option_or_the_environment(stub, monkeypatch):
    run("call", "a.b", "--url", stub.url)
    assert stub.received["headers"]["Authorization"] is None
    monkeypatch.setenv("TOKEN", "from-environment")
    run("call", "a.b", "--url", stub.url)
    assert stub.received["headers"]["Authorization"] == "from-environment"
    run("call", "a.b", "--url", stub.url, "--token", "given")
    assert stub.received["headers"]["Authorization"] == "given"


def test_a_failure_names_each_wrong_argument_and_how_to_send_text(stub):
    errors = [{"name": "order_id", "message": "expected str, got int"}]
    problem = {"status": 422, "code": "invalid_argument", "detail": "order_id: …", "errors": errors}
    stub.status, stub.reply = 422, json.dumps({"result": None, "exception": "x", "failure": problem}).encode()
    result = run("call", "orders.place", "order_id=42", "--url", stub.url)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "invalid_argument: " in result.stderr
    assert "  order_id: expected str, got int\n" in result.stderr
    assert """key='"42"'""" in result.stderr


@pytest.mark.parametrize(
    ("status", "reply", "message"),
    [
        (200, b'{"result": null, "exception": "it broke"}', "unknown: it broke\n"),
        (409, b'{"code": "aborted", "detail": "changed"}', "aborted: changed\n"),
        (404, b"<html>", "unimplemented: {url}/invoke answered HTTP 404, which is no answer to a call\n"),
        (401, b"[]", "unauthenticated: {url}/invoke answered HTTP 401, which is no answer to a call\n"),
        (502, b"", "unavailable: {url}/invoke answered HTTP 502, which is no answer to a call\n"),
        (200, b"{}", "unknown: {url}/invoke answered HTTP 200, which is no answer to a call\n"),
    ],
)
def test_every_other_answer_is_a_failure_with_a_code(stub, status, reply, message):
    stub.status, stub.reply = status, reply
    result = run("call", "a.b", "--url", stub.url)
    assert result.exit_code == 1
    assert result.stderr == message.format(url=stub.url)


def test_no_server_is_exit_code_3(folder):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    result = run("call", "a.b", "--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"Error: cannot reach http://127.0.0.1:{port}: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_server_that_does_not_answer_is_exit_code_3(folder):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = run("call", "a.b", "--url", url, "--timeout", "0.05")
    assert result.exit_code == 3
    assert result.stderr == f"Error: {url} did not answer within 0.05 s\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("place", "--url", "http://127.0.0.1:1"), "'place' is no operation; write service.method."),
        (("a.b", "--url", "ftp://127.0.0.1"), "--url 'ftp://127.0.0.1': "),
        (("a.b", "--url", "127.0.0.1:5000"), "--url '127.0.0.1:5000': "),
        (("a.b", "x=\udcff", "--url", "http://127.0.0.1:1"), "an argument is no Unicode text"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(folder, arguments, message):
    result = run("call", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("token", ["sesame\n", "sésame"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(folder, token):
    result = run("call", "a.b", "--url", "http://127.0.0.1:1", "--token", token)
    assert result.exit_code == 2
    assert "the token has characters that a header cannot carry" in result.stderr
    assert "same" not in result.stderr
