"""Calls over ``stream`` through a network that cuts connections at random."""

import asyncio
import logging
import random
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.channels.cutting_proxy import CuttingProxy
from tests.channels.stream_service import Depot, Node
from tests.servers.processes import ServerProcess
from unimicro.channels.client.manager import ServiceManager
from unimicro.errors import DeadlineExceeded, Unavailable
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.retry import Retry

ROOT = Path(__file__).parents[2]

SERVER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import uvicorn
from tests.channels.stream_service import depot
pings = {{"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5}}
uvicorn.run(depot().asgi, port=int(sys.argv[1]), log_level="critical", **pings)
"""

DEADLINE, LATE = 15.0, 2.0
"""Seconds: of each call, and how much later it may end on a busy machine."""

WORKERS = 64
CALLS_BETWEEN = 100
"""How many calls get through between two cuts, at least."""

COUNTS = [2_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]


@pytest.fixture
def server(tmp_path):
    def is_ready(port):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True

    command = [sys.executable, "-c", SERVER]
    with ServerProcess(lambda port: [*command, str(port)], is_ready, tmp_path) as process:
        yield process


def memory(pid="self"):
    """Resident memory in MiB (proc(5))."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell memory so")
@pytest.mark.parametrize("count", COUNTS)
def test_calls_survive_a_network_that_cuts_connections(count, server, capsys, caplog):
    figures = asyncio.run(asyncio.wait_for(soak(count, server), 1700))
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(figures)}\n" if count > 10_000 else "")
    assert figures["wrong"] == 0
    assert figures["late"] == 0
    assert figures["safe failed"] == 0
    assert figures["cuts"] > count / 1000
    # Lost is at most what was under way when a connection was cut.
    assert figures["unsafe"] - figures["unsafe ok"] <= WORKERS // 2 * figures["cuts"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    # What is kept for a connection or a call would show: there were thousands of both.
    assert figures["client grew"] < 20
    assert figures["server grew"] < 20


async def soak(count, server):
    chosen = random.Random(count)
    proxy = CuttingProxy(server.port, chosen)
    settings = {"ping_interval": 0.2, "ping_timeout": 0.2, "backoff": 0.01, "connect_timeout": 1.0}
    policies = [Deadline(DEADLINE), Retry(attempts=50, base=0.01, cap=0.1, budget=None)]
    config = {"channels": {"stream": settings}, "clients": {"breaker": False}}
    async with proxy.running() as port, ServiceManager(config=config, policies=policies) as manager:
        depot = manager.get_service(Depot, "stream", address=f"http://127.0.0.1:{port}")
        run = Soak(depot, chosen)
        await run.calls(count // 10, proxy)
        before = memory(), memory(server._process.pid)
        began = time.monotonic()
        await run.calls(count, proxy)
        figures = dict(run.seen) | {"cuts": sum(proxy.cuts.values()), **proxy.cuts}
        figures["seconds"] = round(time.monotonic() - began, 1)
        figures["slowest"] = round(run.slowest, 2)
        figures["client grew"] = round(memory() - before[0], 1)
        figures["server grew"] = round(memory(server._process.pid) - before[1], 1)
        return Counter(figures)


class Soak:
    def __init__(self, depot, chosen):
        self._depot = depot
        self._random = chosen
        self._left = 0
        self.seen = Counter()
        self.slowest = 0.0

    async def calls(self, count, proxy):
        self._left = count
        workers = [asyncio.create_task(self._work(worker)) for worker in range(WORKERS)]
        cutting = asyncio.create_task(self._cut(proxy))
        await asyncio.gather(*workers)
        cutting.cancel()
        await asyncio.wait([cutting])

    async def _cut(self, proxy):
        done = 0
        while True:
            left = self._left
            await asyncio.sleep(self._random.uniform(0.005, 0.04))
            done += left - self._left
            if done > CALLS_BETWEEN:
                done = 0
                proxy.cut()

    async def _work(self, worker):
        while self._left > 0:
            self._left -= 1
            value = f"{worker}:{self._left}:" + "x" * self._random.choice(
                [0, 100, 1000, 200_000 if worker < 4 else 10]
            )
            await (self._safe(value) if worker % 2 else self._unsafe(value))

    async def _safe(self, value):
        began = time.monotonic()
        try:
            answer = (await self._depot.echo(Node(value))).name
        except (Unavailable, DeadlineExceeded) as error:
            self.seen["safe failed"] += 1
            self.seen[f"safe {type(error).__name__} of {len(value)} bytes"] += 1
        else:
            self._note("safe", answer == value)
        self._took(began)

    async def _unsafe(self, value):
        began = time.monotonic()
        self.seen["unsafe"] += 1
        try:
            answer = await self._depot.same(value)
        except (Unavailable, DeadlineExceeded) as error:
            self.seen[f"unsafe {type(error).__name__}"] += 1
        else:
            self._note("unsafe", answer == value)
        self._took(began)

    def _note(self, kind, right):
        self.seen[f"{kind} ok" if right else "wrong"] += 1

    def _took(self, began):
        seconds = time.monotonic() - began
        self.slowest = max(self.slowest, seconds)
        self.seen["late"] += seconds > DEADLINE + LATE
