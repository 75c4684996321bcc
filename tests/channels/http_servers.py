"""Servers for tests of HTTP channels: uvicorn in a thread, and sockets that answer as they are told."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress

import uvicorn

LIMIT = 10.0
"""Seconds after which a test gives up waiting."""


@contextmanager
def serving(asgi, **settings):
    """The address of a real server in a thread of its own."""
    config = uvicorn.Config(
        asgi, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **settings
    )
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)  # who comes before the server is ready waits
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        scheme = "https" if "ssl_certfile" in settings else "http"
        try:
            yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(LIMIT)
            assert not thread.is_alive()


class RawServer:
    """Hands each connection to ``script(connection, number)``, in a thread; use as a context manager.

    Attributes:
        requests: Octets of the requests that ``read_request`` has read.
        connections: How many there were.
    """

    def __init__(self, script):
        self._script = script
        self._threads = []
        self._open = []
        self.requests = []
        self.connections = 0

    def __enter__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)
        return self

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(LIMIT)
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection, self.connections)

    def _serve(self, connection, number):
        with connection, suppress(OSError):
            self._script(self, connection, number)

    def __exit__(self, *_):
        # Closing alone does not wake a thread that waits in accept.
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive()

    def read_request(self, connection):
        """One whole request; empty where the other side has closed."""
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(65536)
            if not part:
                return b""
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        while len(body) < int(fields.get(b"content-length", 0)):
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]


def answering(*answers):
    """A script: the n-th request gets the n-th answer, the last one again and again; connections are kept."""

    def script(server, connection, _):
        while server.read_request(connection):
            place = min(len(server.requests), len(answers)) - 1
            connection.sendall(answers[place])

    return script


def answer(body=b"", status=200, **headers):
    """The octets of an answer; underscores in names are dashes."""
    fields = {"content_length": len(body), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode("latin-1") + body


def json_answer(body, status=200, **headers):
    """The same of JSON."""
    return answer(body, status, content_type="application/json", **headers)
