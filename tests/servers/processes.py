"""A server as a private process: on 127.0.0.1, on a free port, with a folder of its own."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 20.0
"""Seconds that a server may take to become ready, and to end."""


class ServerProcess:
    """One server; use as a context manager.

    Args:
        command: From the port to the command that serves on it, in ``folder``.
        is_ready: From the port to whether the server answers there; may raise ``OSError`` while it does not.
        folder: Of this server alone: its data, and what it writes.
    """

    def __init__(
        self, command: Callable[[int], list[str]], is_ready: Callable[[int], bool], folder: Path
    ) -> None:
        self.port = free_port()
        self._command = command
        self._is_ready = is_ready
        self._folder = folder

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start, or start again on the same port, and wait until it answers."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*ends_with_parent(), *self._command(self.port)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self._process.pid

    def kill(self) -> None:
        """End it without warning, as a crash does."""
        self._process.kill()
        self._process.wait(LIMIT)

    def _wait(self) -> None:
        end = time.monotonic() + LIMIT
        while not self._answers():
            written = (self._folder / "output").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"the server ended: {written}"
            assert time.monotonic() < end, f"the server is not ready after {LIMIT} s: {written}"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self._is_ready(self.port)
        except OSError:
            return False


def free_port() -> int:
    """A port nobody listens on, below those that the system gives to clients.

    A server that is started again finds it free still: no connection takes it meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def ends_with_parent() -> list[str]:
    """A prefix with which a command is killed when the tests are, where the system has it (util-linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
