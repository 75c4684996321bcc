"""Descriptions for ``unimicro client pull``, a server that hands them out, and what it writes, looked at."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.cli.awkward import app
from unimicro.channels.client.interface import Interface
from unimicro.channels.described_classes import plain_default
from unimicro.channels.described_types import DescribedTypes
from unimicro.channels.openapi import describe
from unimicro.testing.kit import kit_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from unimicro import App
    from unimicro.operation import Operation


def description(app: App) -> dict[str, Any]:
    """The document that the app serves at ``/openapi.json``, as JSON has it."""
    return json.loads(json.dumps(describe(app, app.asgi.fastapi)))


@cache
def kit_description() -> dict[str, Any]:
    """Of the conformance kit's service."""
    return description(kit_app())


@cache
def awkward_description() -> dict[str, Any]:
    """Of the service that is hard to write down."""
    return description(app)


class Answering(ThreadingHTTPServer):
    """A server that gives every request the same answer."""

    daemon_threads = True
    status = 200
    body = b""
    headers: dict[str, str] = {}  # noqa: RUF012
    received: dict[str, str]
    asked: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self):
        self.server.received = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked = self.path
        self.send_response(self.server.status)
        for name, value in {"Content-Length": str(len(self.server.body)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # who asked may have gone
            self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@contextmanager
def answering(document: Any = None, **answer: Any) -> Iterator[Answering]:
    """Serve a document, or any other answer."""
    with Answering(("127.0.0.1", 0), _Handler) as server:
        server.body = json.dumps(document).encode()
        vars(server).update(answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


def imported(path: Path) -> ModuleType:
    """A module that was written, as a program imports it."""
    spec = importlib.util.spec_from_file_location(f"pulled_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def formatting(folder: Path, *files: str) -> str:
    """What ``ruff format`` would change."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=30)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def told(interface: type, name: str = "") -> dict[str, Any]:
    """All that a client knows of the operations of an interface, in a form that can be compared."""
    types = DescribedTypes()
    known = Interface(interface, name)
    operations = {method: _told(operation, types) for method, operation in known.operations.items()}
    return {"name": known.name, "operations": operations, "classes": types.classes}


def _told(operation: Operation, types: DescribedTypes) -> dict[str, Any]:
    options, signature = operation.options, operation.signature
    return {
        "http": operation.http,
        "async": operation.is_async,
        "documentation": operation.documentation,
        "rest": signature.takes_rest,
        "positional only": signature.positional_only,
        "returns": types.text(signature.returns),
        "errors": {kind.__name__: code for kind, code in operation.errors.items()},
        "options": [
            getattr(options, name) for name in ("safe", "idempotent", "key", "content_type", "sensitive")
        ],
        "parameters": [
            (p.name, types.text(p.annotation), p.positional, p.source, p.wire_name)
            + (() if p.required or p.name in options.sensitive else (plain_default(p.default),))
            for p in signature.parameters
        ],
    }
