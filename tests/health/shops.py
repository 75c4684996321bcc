"""A shop as a process of its own, on uvicorn or on ``unimicro serve``, with a file as registry."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.cli.servers import LIMIT, UNIMICRO, environment, until
from tests.servers.processes import ends_with_parent, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """
import asyncio, os, time
from unimicro import App, Service, entry


class Shop(Service):
    @entry("GET", "/", no_auth=True, safe=True)
    async def get(self) -> str:
        return str(os.getpid())

    @entry("GET", "/asleep", no_auth=True)
    async def asleep(self, seconds: float) -> str:
        print("asleep", flush=True)
        await asyncio.sleep(seconds)
        return "slept"

    @entry("GET", "/sleep", no_auth=True)
    def sleep(self, seconds: float) -> str:
        print("asleep", flush=True)
        time.sleep(seconds)
        return "slept"

    def stop(self):
        print("stopped", flush=True)


app = App(Shop())
"""

SETTINGS = """
drain_wait = {wait}
drain_timeout = {timeout}

[registry]
kind = "file"
path = "registry.json"
"""

UVICORN = (sys.executable, "-m", "uvicorn", "shop:app.asgi")
SERVE = (UNIMICRO, "serve", "shop:app")
FLASK = (*SERVE, "--door", "flask")


class Shop(NamedTuple):
    """A process that serves."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def instance(self) -> str:
        return f"shop-127.0.0.1-{self.port}"

    @property
    def output(self) -> str:
        return (self.folder / f"output-{self.port}").read_text()

    def get(self, path: str, timeout: float = 10.0) -> tuple[int, str]:
        connection = self.connect(timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def connect(self, timeout: float = 10.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.output
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def accepts(self) -> bool:
        try:
            connection = self.connect()
            connection.connect()
        except OSError:
            return False
        connection.close()
        return True

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(LIMIT)


def registered(folder: Path) -> set[str]:
    """Ids of the instances in the registry."""
    try:
        return set(json.loads((folder / "registry.json").read_text()))
    except (FileNotFoundError, ValueError):
        return set()


@contextmanager
def shop(
    folder: Path,
    server: tuple[str, ...],
    *options: str,
    port: int = 0,
    wait: float = 0.6,
    timeout: float = 5.0,
    **more: str,
) -> Iterator[Shop]:
    """Serve it until the block ends, once it is ready and registered."""
    port = port or free_port()
    (folder / "shop.py").write_text(PROGRAM)
    (folder / "unimicro.toml").write_text(SETTINGS.format(wait=wait, timeout=timeout))
    # Unlike unimicro serve, uvicorn does not tell the app where it listens.
    own = {"UNIMICRO_ADVERTISE": f"http://127.0.0.1:{port}"} if server == UVICORN else {}
    with (folder / f"output-{port}").open("ab") as output:
        process = subprocess.Popen(
            [*ends_with_parent(), *server, "--port", str(port), *options],
            cwd=folder,
            env={**environment(), **own, **more},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    started = Shop(process, port, folder)
    try:
        until(started.is_up, f"{server} is ready")
        until(lambda: started.instance in registered(folder), f"{server} is registered")
        yield started
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT)
