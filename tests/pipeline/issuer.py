"""An issuer of tokens on loopback: key set, user information, token endpoint; and what signs for it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwk, jws

from unimicro import VirtualClock

ISSUER = "https://issuer.example"
AUDIENCE = "orders"
EPOCH = 1_700_000_000


@cache
def rsa(kid="r1"):
    return jwk.RSAKey.generate_key(2048, {"kid": kid})


@cache
def ec(kid="e1"):
    return jwk.ECKey.generate_key("P-256", {"kid": kid})


def public(*keys):
    return {"keys": [key.as_dict(private=False) for key in keys]}


def claims(**changes):
    """Good claims, with changes; ``None`` leaves one out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": EPOCH + 600, "iat": EPOCH}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(key=None, algorithm="RS256", header=None, payload=None, **changes):
    """A token as ``key`` signs it."""
    key = key or rsa()
    fields = {"alg": algorithm, "kid": key.kid} | (header or {})
    fields = {name: value for name, value in fields.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 10_000
    body = json.dumps(claims(**changes)).encode() if payload is None else payload
    return jws.serialize_compact(fields, body, key, registry=registry)


def clock():
    return VirtualClock(epoch=EPOCH)


class Issuer:
    """What the server answers, and how often it was asked.

    Attributes:
        answers: Path to (status, JSON-able body), or to a function of (headers, body) that gives it.
        asked: Path to the number of requests.
        gate: While it is not set, answers wait.
    """

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.answers = {}
        self.headers = {}
        self.asked = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()

    def publish(self, *keys):
        self.answers["/jwks"] = (200, public(*keys))

    def answer(self, path, headers, body):
        self.asked[path] += 1
        self.arrived.set()
        self.gate.wait(20)
        answer = self.answers.get(path, (404, {}))
        return answer(headers, body) if callable(answer) else answer


@contextmanager
def issuer_on_loopback():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            length = int(self.headers.get("content-length", 0))
            status, document = issuer.answer(self.path, self.headers, self.rfile.read(length))
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **issuer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server asks for it by this name

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            """A client that has gone is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.gate.set()
        server.shutdown()
        thread.join(20)
        server.server_close()
