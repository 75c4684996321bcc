"""How each server is found, started and asked whether it is ready.

``tests/servers/install.sh`` installs them. Where one cannot be had, a test that asks for it is skipped with
the reason; in CI (the environment has ``CI``) it fails, so that nothing stops being tested unnoticed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sys
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.servers.processes import ServerProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

INSTALLED = Path(__file__).parents[2] / ".venv" / "servers"


def redis(folder: Path) -> ServerProcess:
    """Redis without persistence."""
    program = _program("redis-server")

    def command(port: int) -> list[str]:
        # No file of settings, no snapshots, no log of commands.
        return [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]

    return ServerProcess(command, redis_is_ready, folder)


def dynamodb(folder: Path) -> ServerProcess:
    """DynamoDB (and the rest of AWS) as moto plays it, in memory."""
    if importlib.util.find_spec("moto") is None:
        unavailable("the package moto[server] is not installed")
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p"]
    return ServerProcess(lambda port: [*command, str(port)], http("/moto-api/", b"<"), folder)


def consul(folder: Path, *, durable: bool = False, **settings: Any) -> ServerProcess:
    """A Consul agent: one server in development mode, in memory.

    Args:
        folder: Of its files.
        durable: It keeps its data in the folder ``data``, and finds them when it is started again.
        settings: Of its configuration file.
    """
    program = _program("consul", INSTALLED / "consul" / "usr" / "bin" / "consul")

    def command(port: int) -> list[str]:
        # -1 closes a port; these two must be there, though nobody else uses them.
        ports = {"dns": -1, "grpc": -1, "serf_wan": -1, "server": free_port(), "serf_lan": free_port()}
        (folder / "settings.json").write_text(json.dumps({"ports": ports, **settings}))
        options = ["-bind", "127.0.0.1", "-client", "127.0.0.1", "-http-port", str(port)]
        kept = ["-server", "-bootstrap-expect", "1", "-data-dir", "data"]
        mode = [*kept, "-hcl", "performance { raft_multiplier = 1 }"] if durable else ["-dev"]
        return [program, "agent", *mode, "-config-file", "settings.json", *options]

    # The leader's address in quotes; an empty text while there is none, when nothing can be written.
    return ServerProcess(command, http("/v1/status/leader", b'"127'), folder)


def aspyx_python() -> str:
    """The Python of the environment that has aspyx-service."""
    python = INSTALLED / "aspyx" / "bin" / "python"
    if not python.exists():
        unavailable("aspyx-service is not installed: run tests/servers/install.sh")
    return str(python)


def unavailable(reason: str) -> NoReturn:
    """Skip the test that runs, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _program(name: str, fetched: Path | None = None) -> str:
    if fetched is not None and fetched.exists():
        return str(fetched)
    found = shutil.which(name)
    return found or unavailable(f"{name} is not installed: run tests/servers/install.sh")


def redis_is_ready(port: int) -> bool:
    """Whether a Redis answers there.

    Raises:
        OSError: Nobody does.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


def http(path: str, start: bytes) -> Callable[[int], bool]:
    """Whether what answers there begins so."""
    return partial(_answer_starts, path, start)


def _answer_starts(path: str, start: bytes, port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().lstrip().startswith(start)
    except HTTPException:
        return False
    finally:
        connection.close()
