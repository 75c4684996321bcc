"""The HTTP doors under load: wrk against unimicro and against the same endpoint written by hand.

    python benchmarks/http_door.py

Needs wrk, and taskset to keep server and client on a core each.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgpack
from turns import in_turns, print_goal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
ROUNDS = 7
SECONDS = 2
CONNECTIONS = 16
START_SECONDS = 20

ORDER = {
    "id": "o-4711",
    "customer": {"name": "Grete Hermann", "city": "Bremen"},
    "express": True,
    "items": [{"sku": f"sku-{number}", "quantity": number, "price": 9.99} for number in range(5)],
}
INVOKE_BODY = msgpack.packb({"method": "bench:bench:echo", "args": [ORDER]})
MSGPACK = {"Content-Type": "application/msgpack"}

UVICORN = ("uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
GUNICORN = ("gunicorn", "--worker-class", "gthread", "--threads", "4", "--log-level", "warning")


class Load(NamedTuple):
    """One request, sent over and over, and the server that answers it."""

    server: tuple[str, ...]
    app: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Figure(NamedTuple):
    """What one round saw."""

    per_second: float
    per_cpu_second: float
    """Requests per second of the server's CPU time: what a core does when nothing else wants it."""


def invoke(server: tuple[str, ...], app: str) -> Load:
    return Load(server, app, "POST", "/invoke", MSGPACK, INVOKE_BODY)


def read_item(server: tuple[str, ...], app: str) -> Load:
    return Load(server, app, "GET", "/items/42?limit=5", {})


PAIRS = {
    "/invoke in msgpack, token checked, against a raw ASGI echo (uvicorn)": (
        0.8,
        {
            "unimicro": invoke(UVICORN, "servers.unimicro_service:asgi"),
            "raw ASGI echo": invoke(UVICORN, "servers.raw_echo:asgi"),
        },
    ),
    "a REST entry through FastAPI against FastAPI by hand (uvicorn)": (
        0.95,
        {
            "unimicro": read_item(UVICORN, "servers.unimicro_service:asgi"),
            "FastAPI by hand": read_item(UVICORN, "servers.fastapi_by_hand:asgi"),
        },
    ),
    "a REST entry through Flask against Flask by hand (gunicorn)": (
        0.95,
        {
            "unimicro": read_item(GUNICORN, "servers.unimicro_service:wsgi"),
            "Flask by hand": read_item(GUNICORN, "servers.flask_by_hand:wsgi"),
        },
    ),
}


class Server:
    """A server process on a free port of the loopback, pinned to the first core."""

    def __init__(self, load: Load) -> None:
        self.port = free_port()
        at = ("--port", str(self.port)) if load.server is UVICORN else ("--bind", f"127.0.0.1:{self.port}")
        self.process = subprocess.Popen(
            [*pinned(0), sys.executable, "-m", *load.server, *at, load.app],
            cwd=HERE,
            env=os.environ | {"TOKEN": "token", "PYTHONPATH": str(HERE)},
        )

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children so far."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(cpu_seconds_of(int(each)) for each in (pid, *children))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def free_port() -> int:
    # Handing the socket itself over is no way: uvicorn would not know it for TCP, and Nagle would wait.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pinned(core: int) -> tuple[str, ...]:
    """The command prefix that keeps a process on one core, where that can be had."""
    available = shutil.which("taskset") and core in os.sched_getaffinity(0)
    return ("taskset", "-c", str(core)) if available else ()


@contextmanager
def running(load: Load) -> Iterator[Server]:
    server = Server(load)
    try:
        yield server
    finally:
        server.stop()


def ask(load: Load, port: int) -> object:
    """The decoded answer to the request; waits until the server answers at all."""
    until = time.monotonic() + START_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        try:
            connection.request(load.method, load.path, load.body, headers_of(load))
            answer = connection.getresponse()
            body = answer.read()
            break
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        finally:
            connection.close()
    assert answer.status == 200, (load.app, answer.status, body)
    return msgpack.unpackb(body) if load.body else json.loads(body)


def headers_of(load: Load) -> dict[str, str]:
    return {"Authorization": "Bearer token"} | load.headers


def wrk_script(load: Load) -> str:
    """Lua: the body octet by octet, since it is binary."""
    lines = [
        f'wrk.method = "{load.method}"',
        f'wrk.body = "{"".join(f"{chr(92)}{o:03}" for o in load.body)}"',
    ]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers_of(load).items()]
    return "\n".join(lines if load.body else [lines[0], *lines[2:]])


def run_wrk(load: Load, server: Server, script: Path) -> Figure:
    used = server.cpu_seconds()
    done = subprocess.run(
        [
            *pinned(1),
            *("wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-s", str(script)),
            f"http://127.0.0.1:{server.port}{load.path}",
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=SECONDS + 30,
    )
    used = server.cpu_seconds() - used
    assert "Non-2xx" not in done.stdout, done.stdout
    assert "Socket errors" not in done.stdout, done.stdout
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    return Figure(float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]), requests / used)


def compare(title: str, goal: float, loads: dict[str, Load], scratch: Path) -> None:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(running(load)) for name, load in loads.items()}
        answers = [ask(load, servers[name].port) for name, load in loads.items()]
        assert answers[0] == answers[1], answers
        rounds: dict[str, Callable[[], Figure]] = {}
        for name, load in loads.items():
            script = scratch / f"{load.app}.lua"
            script.write_text(wrk_script(load))
            rounds[name] = lambda load=load, name=name, script=script: run_wrk(load, servers[name], script)
            rounds[name]()  # warm
        figures = in_turns(rounds, ROUNDS)
    report(title, goal, figures)


def report(title: str, goal: float, figures: dict[str, list[Figure]]) -> None:
    print(f"\n{title}: median of {ROUNDS} rounds of {SECONDS} s, {CONNECTIONS} connections")
    print(f"  {'':16}  {'requests/s':>10}  {'of its CPU':>10}  {'CPU us each':>11}")
    for name, values in figures.items():
        wall = median(value.per_second for value in values)
        cpu = median(value.per_cpu_second for value in values)
        print(f"  {name:16}  {wall:10.0f}  {cpu:10.0f}  {1e6 / cpu:11.1f}")
    ours, theirs = figures.values()
    for what, index in (("requests/s", 0), ("requests per CPU second", 1)):
        ratios = [mine[index] / other[index] for mine, other in zip(ours, theirs, strict=True)]
        print_goal(f"{what}, median ratio of a round", median(ratios), goal, at_least=True)


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian: apt-get install wrk)")
    print("server and wrk on a core each" if pinned(1) else "not pinned: taskset or a second core is missing")
    chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        for title, (goal, loads) in PAIRS.items():
            if chosen and not any(word in title for word in chosen):
                continue
            missing = {load.server[0] for load in loads.values() if find_spec(load.server[0]) is None}
            if missing:
                print(f"\n{title}: not measured, {', '.join(missing)} is not installed")
                continue
            compare(title, goal, loads, Path(scratch))


if __name__ == "__main__":
    main()
