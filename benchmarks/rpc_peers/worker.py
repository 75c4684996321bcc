"""One process of the benchmark.

python rpc_peers/worker.py serve NAME PORT
python rpc_peers/worker.py call NAME PORT     # reads "AT_ONCE SECONDS" lines, answers calls per second
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

# Name → module, and how its client is made. Only the asked one is imported: aspyx has its own environment.
PEERS = {
    "json": ("ours", {"channel": "dispatch-json", "transport": "httpx"}),
    "msgpack": ("ours", {"channel": "dispatch-msgpack", "transport": "httpx"}),
    "rest": ("ours", {"channel": "rest", "transport": "httpx"}),
    "msgpack fast": ("ours", {"channel": "dispatch-msgpack", "transport": "fast"}),
    "stream": ("ours", {"channel": "stream"}),
    "aspyx json": ("aspyx_peer", {"channel": "dispatch-json"}),
    "aspyx msgpack": ("aspyx_peer", {"channel": "dispatch-msgpack"}),
    "aspyx rest": ("aspyx_peer", {"channel": "rest"}),
    "httpx + FastAPI by hand": ("by_hand", {}),
    "grpc.aio": ("grpc_aio", {}),
    "raw TCP msgpack": ("raw_tcp", {}),
}


def module_of(name: str):
    return importlib.import_module(f"rpc_peers.{PEERS[name][0]}")


async def answer(name: str, port: int) -> None:
    module = module_of(name)
    tree = getattr(module, "tree", None) or importlib.import_module("rpc_peers.payload").tree
    await listening(port)
    call = await module.client(port=port, **PEERS[name][1])
    result = await call(tree())
    assert result == tree(), result
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        at_once, seconds = line.split()
        print(await measure(partial(call, tree()), int(at_once), float(seconds)), flush=True)


async def listening(port: int) -> None:
    """Wait until something accepts connections there."""
    until = time.monotonic() + 20
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


async def measure(call, at_once: int, seconds: float) -> float:
    """Calls per second of ``at_once`` callers, each with one call after another."""
    made = 0
    begin = time.perf_counter()
    until = begin + seconds

    async def caller() -> None:
        nonlocal made
        while time.perf_counter() < until:
            await call()
            made += 1

    gc.collect()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return made / (time.perf_counter() - begin)


def main() -> None:
    what, name, port = sys.argv[1:]
    if what == "serve":
        module_of(name).serve(int(port))
        return
    import uvloop

    uvloop.run(answer(name, int(port)))


if __name__ == "__main__":
    main()
