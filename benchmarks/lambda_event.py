"""One HTTP API event through unimicro and its peers, and what importing each costs.

python benchmarks/lambda_event.py
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from handlers import bare, mangum_fastapi, mangum_starlette, powertools, unimicro_service
from handlers.event import EVENT, Context
from turns import in_turns, per_call, print_goal, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 500
ROUNDS = 15
IMPORTS = 9
FURTHER = 500
TIME_GOAL = 0.45
FLATNESS_GOAL = 10.0
IMPORT_GOAL = 0.4

PEERS = {
    "unimicro": unimicro_service,
    "powertools": powertools,
    "mangum+starlette": mangum_starlette,
    "mangum+fastapi": mangum_fastapi,
    "bare function": bare,
}

IMPORT = "import time; begin = time.process_time(); import handlers.{}; print(time.process_time() - begin)"


def handlers(further: int) -> dict[str, Callable]:
    built = {name: module.build(further) for name, module in PEERS.items()}
    built["unimicro, token"] = unimicro_service.build(further, unimicro_service.Guarded)
    return built


def check(built: dict[str, Callable]) -> None:
    """Every candidate gives the same status and, byte for byte, the same body."""
    answers = {name: handler(EVENT, Context()) for name, handler in built.items()}
    for name, answer in answers.items():
        assert answer["statusCode"] == 200, (name, answer)
        assert answer["body"] == '{"hello":"world"}', (name, answer)
        assert not answer.get("isBase64Encoded"), (name, answer)


def candidate(handler: Callable) -> Callable[[], float]:
    context = Context()
    return per_call(lambda: handler(EVENT, context), CALLS)


def import_seconds(module: str) -> float:
    """CPU milliseconds, user and system, of importing ``handlers.<module>`` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(module)],
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
        cwd=Path(__file__).parent,
    )
    return float(done.stdout) * 1e3


def time_events() -> None:
    candidates = {}
    for further in (0, FURTHER):
        built = handlers(further)
        check(built)
        candidates |= {f"{name} +{further}": candidate(handler) for name, handler in built.items()}
    figures = in_turns(candidates, ROUNDS)
    best = {name: min(values) for name, values in figures.items()}
    for further in (0, FURTHER):
        shown = {name: values for name, values in figures.items() if name.endswith(f" +{further}")}
        title = f"one event, {further} further routes: CPU us, best of {ROUNDS} rounds of {CALLS} events"
        print_table(title, shown, "us", f"powertools +{further}")
    print_goal("unimicro / powertools", best["unimicro +0"] / best["powertools +0"], TIME_GOAL)
    change = (best[f"unimicro +{FURTHER}"] / best["unimicro +0"] - 1) * 100
    print_goal(f"change from 0 to {FURTHER} further routes", abs(change), FLATNESS_GOAL, " %")


def time_imports() -> None:
    modules = {name: module.__name__.rpartition(".")[2] for name, module in PEERS.items()}
    for module in modules.values():
        import_seconds(module)  # writes the bytecode caches
    candidates = {name: lambda module=module: import_seconds(module) for name, module in modules.items()}
    figures = in_turns(candidates, IMPORTS)
    title = f"import of the handler module: CPU ms without the interpreter's start, best of {IMPORTS}"
    print_table(title, figures, "ms", "powertools")
    print_goal("unimicro / powertools", min(figures["unimicro"]) / min(figures["powertools"]), IMPORT_GOAL)


def main() -> None:
    os.environ["TOKEN"] = "token"
    asyncio.set_event_loop(asyncio.new_event_loop())  # Mangum runs its application on it
    print(f"event: {len(json.dumps(EVENT))} octets of HTTP API v2 (already parsed), GET {EVENT['rawPath']}")
    print("'unimicro, token' also checks the bearer token with the default authorizer; the peers have none")
    time_events()
    time_imports()


if __name__ == "__main__":
    main()
