"""The HTTP client of authorizers against servers that are slow, large, or curious."""

from __future__ import annotations

import gzip
import threading

import pytest

from tests.pipeline.issuer import issuer_on_loopback
from unimicro.stores.http_fetch import MAX_BODY_BYTES, HttpFetch

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def issuer():
    with issuer_on_loopback() as issuer:
        yield issuer


def test_no_cookie_of_one_answer_goes_with_the_next_request(issuer):
    sent = []
    issuer.headers["set-cookie"] = "session=of-ann; Path=/"
    issuer.answers["/me"] = lambda headers, body: (sent.append(headers["cookie"]), (200, {}))[1]
    fetch = HttpFetch()
    for _ in range(2):
        assert fetch("GET", f"{issuer.url}/me", timeout=5.0).status == 200
    assert sent == [None, None]


def test_no_compression_is_asked_for_and_none_is_taken(issuer):
    asked = []
    issuer.headers["content-encoding"] = "gzip"
    body = gzip.compress(b"0" * 50_000_000)
    assert len(body) < MAX_BODY_BYTES
    issuer.answers["/big"] = lambda headers, _: (asked.append(headers["accept-encoding"]), (200, body))[1]
    with pytest.raises(OSError, match="compressed"):
        HttpFetch()("GET", f"{issuer.url}/big", timeout=5.0)
    assert asked == ["identity"]


def test_an_answer_that_is_too_long_is_not_read(issuer):
    issuer.answers["/big"] = (200, b"0" * MAX_BODY_BYTES)
    assert len(HttpFetch()("GET", f"{issuer.url}/big", timeout=5.0).body) == MAX_BODY_BYTES
    issuer.answers["/big"] = (200, b"0" * (MAX_BODY_BYTES + 1))
    with pytest.raises(OSError, match="longer than"):
        HttpFetch()("GET", f"{issuer.url}/big", timeout=5.0)


def test_header_fields_that_come_drop_by_drop_are_not_waited_for():
    import socket

    given_up = threading.Event()

    def drip(server):
        client, _ = server.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not given_up.wait(0.05):
                client.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        try:
            with pytest.raises(OSError, match="no answer within"):
                HttpFetch()("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=0.3)
        finally:
            given_up.set()
            thread.join(10)
