"""One HTTP request through every HTTP door: in process, and on real servers over real sockets."""

import asyncio
import base64
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from werkzeug.serving import make_server

from unimicro.testing.kit import kit_app

HOP_BY_HOP = {"date", "server", "connection", "content-length", "transfer-encoding", "keep-alive"}


class Reply(tuple):
    """(status, headers that matter, body)."""

    __slots__ = ()


def reply(status, headers, body):
    kept = sorted((name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP)
    return Reply((status, kept, body))


class OverSocket:
    """Requests to a server on loopback, each on a connection of its own."""

    def __init__(self, port):
        self._port = port

    def __call__(self, method, target, headers, body):
        with self._connection(method, target, headers) as connection:
            if "content-length" not in headers:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            return self._reply(connection)

    def chunked(self, target, headers, chunk, count):
        """POST ``count`` encoded chunks, as long as the server takes them."""
        with self._connection("POST", target, headers) as connection:
            connection.putheader("transfer-encoding", "chunked")
            connection.endheaders()
            with suppress(ConnectionError):
                for _ in range(count):
                    connection.send(chunk)
                connection.send(b"0\r\n\r\n")
            return self._reply(connection)

    @contextmanager
    def _connection(self, method, target, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            yield connection
        finally:
            connection.close()

    def _reply(self, connection):
        answer = connection.getresponse()
        return reply(answer.status, answer.getheaders(), answer.read())


def through_test_client(app):
    client = app.test_client()

    def send(method, target, headers, body):
        path, _, query = target.partition("?")
        answer = client.open(method, path, query=query, headers=headers, data=body)
        return reply(answer.status_code, answer.headers.pairs(), answer.data)

    return send


def through_lambda(app):
    """A Function URL event, whose path is percent-encoded as a client sent it."""

    def send(method, target, headers, body):
        path, _, query = target.partition("?")
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "domainName": "abc.lambda-url.eu-west-1.on.aws",
                "http": {"method": method, "path": path},
                "stage": "$default",
            },
            "isBase64Encoded": True,
            "body": base64.b64encode(body).decode(),
        }
        answer = app.lambda_handler(event, None)
        text = answer.get("body", "")
        data = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        pairs = [*answer.get("headers", {}).items(), *(("set-cookie", c) for c in answer.get("cookies", ()))]
        return reply(answer["statusCode"], pairs, data)

    return send


@contextmanager
def on_uvicorn(app) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app.asgi, log_level="critical", lifespan="on"))
        started = threading.Event()
        startup = server.startup

        async def startup_and_tell(sockets=None):
            await startup(sockets)
            started.set()

        server.startup = startup_and_tell
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        assert started.wait(20), "uvicorn did not start"
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def on_werkzeug(app) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app.wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@contextmanager
def every_door():
    """Door name to a function that sends a request; each door has an app of its own."""
    with on_uvicorn(kit_app()) as uvicorn_port, on_werkzeug(kit_app()) as werkzeug_port:
        yield {
            "http": through_test_client(kit_app()),
            "fastapi": OverSocket(uvicorn_port),
            "flask": OverSocket(werkzeug_port),
            "lambda": through_lambda(kit_app()),
        }
