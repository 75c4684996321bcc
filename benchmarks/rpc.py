"""Remote calls: unimicro over each of its channels against its peers.

    python benchmarks/rpc.py [--rounds 5] [--seconds 1] [--aspyx PYTHON] [words of names]

Each peer has a server process on one core and a client process on the other. The argument and the result are
a recursive data class of about 1 KB of JSON; the clients are async, on uvloop. aspyx-service needs an
environment of its own; without one it is left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from http_door import free_port, pinned
from rpc_peers.worker import PEERS
from turns import in_turns, print_goal

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
WORKER = HERE / "rpc_peers" / "worker.py"
AT_ONCE = (1, 32)

# Ours, the peer, and how many times as many calls per second, in sequence and 32 at once.
GOALS = (
    ("msgpack", "aspyx msgpack", (1.25, 1.35)),
    ("msgpack fast", "aspyx msgpack", (2.5, 7.0)),
    ("stream", "aspyx msgpack", (6.0, 25.0)),
    ("stream", "grpc.aio", (1.0, 1.0)),
    ("stream", "raw TCP msgpack", (0.5, 0.5)),
)


class Peer:
    """Server and client process of one peer."""

    def __init__(self, name: str, python: str, stack: ExitStack) -> None:
        port = str(free_port())
        environment = os.environ | {"PYTHONPATH": str(HERE)}
        server = subprocess.Popen([*pinned(0), python, str(WORKER), "serve", name, port], env=environment)
        stack.callback(end, server)
        self._client = subprocess.Popen(
            [*pinned(1), python, str(WORKER), "call", name, port],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(end, self._client)

    def calls_per_second(self, at_once: int, seconds: float) -> float:
        self._client.stdin.write(f"{at_once} {seconds}\n")
        self._client.stdin.flush()
        return float(self._client.stdout.readline())


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def report(at_once: int, figures: dict[str, list[float]], place: int) -> None:
    print(f"\n{at_once} at a time: median calls per second, and microseconds per call")
    width = max(map(len, figures))
    for name, values in figures.items():
        print(f"  {name:{width}}  {median(values):8.0f}  {1e6 / median(values):8.0f}")
    for ours, peer, least in GOALS:
        if ours in figures and peer in figures:
            ratios = [mine / other for mine, other in zip(figures[ours], figures[peer], strict=True)]
            what = f"{ours} / {peer}, median ratio of a round"
            print_goal(what, median(ratios), least[place], at_least=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument(
        "--aspyx", default=".venv/servers/aspyx/bin/python", help="interpreter that has aspyx-service"
    )
    parser.add_argument("words", nargs="*", help="run the peers whose names hold one of these")
    given = parser.parse_args()
    pythons = {name: given.aspyx if name.startswith("aspyx") else sys.executable for name in PEERS}
    names = [name for name in PEERS if not given.words or any(word in name for word in given.words)]
    if not Path(given.aspyx).exists():
        print(f"aspyx-service is left out: there is no {given.aspyx}")
        names = [name for name in names if not name.startswith("aspyx")]
    print(
        "server and client on a core each" if pinned(1) else "not pinned: taskset or a second core is missing"
    )
    with ExitStack() as stack:
        peers = {name: Peer(name, pythons[name], stack) for name in names}
        for place, at_once in enumerate(AT_ONCE):
            rounds: dict[str, Callable[[], float]] = {
                name: lambda peer=peer, at_once=at_once: peer.calls_per_second(at_once, given.seconds)
                for name, peer in peers.items()
            }
            for warm in rounds.values():
                warm()
            report(at_once, in_turns(rounds, given.rounds), place)


if __name__ == "__main__":
    main()
