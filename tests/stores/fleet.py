"""Processes that share a circuit through a store, driven line by line."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.servers.processes import ends_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
LIMIT = 20.0
"""Seconds for an answer."""
CIRCUIT = "shop.post_order"
DONE = "done"
FAILED = "unavailable "
REFUSED = "unavailable breaker"


class Process:
    """A worker; use as a context manager.

    Args:
        store: Table of the store in the configuration.
        breaker: Settings of the circuit beside those that open it after two failures.
        environment: Added to this process's.
    """

    def __init__(self, store: Mapping[str, Any], environment: Mapping[str, str], **breaker: Any) -> None:
        two_failures = {"window": 2, "minimum_calls": 2, "failure_rate": 1.0}
        breaker = {"store": "fleet", "refresh": 0.25, **two_failures, **breaker}
        config = {"stores": {"fleet": store}, "entries": {CIRCUIT: {"breaker": breaker}}}
        command = [sys.executable, "-W", "error", "-m", "tests.stores.fleet_worker", json.dumps(config)]
        self._process = subprocess.Popen(
            [*ends_with_parent(), *command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=LIMIT)

    def call(self, item: str = "work") -> str:
        """How a call ends: ``DONE``, ``FAILED`` or ``REFUSED``."""
        self._process.stdin.write(f"{item}\n".encode())
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], LIMIT)
        assert readable, f"no answer to {item!r} in {LIMIT} s"
        return self._process.stdout.readline().decode().rstrip("\n")

    def comes_to(self, ending: str, seconds: float) -> bool:
        """Whether calls end like that within so many seconds, counted by the waits between them.

        A machine that is slow makes the calls slow, and gives no process less of them.
        """
        return any(call == ending for call in self._calls(seconds))

    def stays(self, ending: str, seconds: float) -> bool:
        """Whether all calls end like that for so long."""
        return all(call == ending for call in self._calls(seconds))

    def _calls(self, seconds: float) -> Iterator[str]:
        for _ in range(round(seconds / 0.02)):
            yield self.call()
            time.sleep(0.02)
