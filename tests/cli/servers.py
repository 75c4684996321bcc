"""``unimicro serve`` as a process."""

from __future__ import annotations

import atexit
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNIMICRO = str(Path(sys.executable).parent / "unimicro")
ROOT = Path(__file__).parents[2]
LIMIT = 20.0


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


class Server(NamedTuple):
    """A process that serves; what it wrote is in two files."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    @property
    def port(self) -> int:
        found = re.search(r"^  URL +http://\S+?:(\d+)", self.stdout.read_text(), re.MULTILINE)
        assert found, self.stdout.read_text()
        return int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        return self._request(method, path, body, headers, timeout=10)

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), names)
        finally:
            connection.close()

    def answers(self, body: bytes) -> bool:
        """Whether ``GET /`` is answered with ``body`` now."""
        try:
            # A reloader keeps the socket while no server stands behind it: do not wait for one.
            return self._request("GET", "/", None, {}, timeout=0.5).body == body
        except (OSError, http.client.HTTPException):
            return False

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT)


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for ``condition``, at most ``LIMIT`` seconds."""
    assert _within(LIMIT, condition), f"timed out: {what}"


def becomes(change: Callable[[], object], condition: Callable[[], bool]) -> None:
    """Make a change until it shows: a reloader overlooks one made while it restarts."""
    for seconds in (1.5, 4.0, 8.0):
        change()
        if _within(seconds, condition):
            return
    raise AssertionError("the change never showed")


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def environment() -> dict[str, str]:
    """This process's, without what would change an app, and with a bytecode cache of the tests' own."""
    out = ("TOKEN", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UNIMICRO_") and k not in out}
    return kept | {"PYTHONPYCACHEPREFIX": _bytecode()}


@cache
def _bytecode() -> str:
    folder = tempfile.mkdtemp(prefix="unimicro-pyc-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def serving(folder: Path, target: str, *options: str, cwd: Path = ROOT) -> Iterator[Server]:
    """Serve ``target`` on a free port until the block ends; ``folder`` keeps the output."""
    stdout, stderr = folder / f"stdout-{time.monotonic_ns()}", folder / f"stderr-{time.monotonic_ns()}"
    command = [UNIMICRO, "serve", target, "--port", "0", *options]
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(command, cwd=cwd, env=environment(), stdout=out, stderr=err)
    server = Server(process, stdout, stderr)
    try:
        until(lambda: _is_up(server), f"{command}: {stderr.read_text()}")
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_up(server: Server) -> bool:
    assert server.process.poll() is None, server.stderr.read_text()
    if "Ctrl+C" not in server.stdout.read_text():
        return False
    try:
        server.request("OPTIONS", "/")
    except (OSError, http.client.HTTPException):
        return False
    return True
