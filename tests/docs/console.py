"""Replays the ``console`` blocks of a page: ``curl`` against the app that is served, ``unimicro`` as it is.

A block is a session: lines that begin with ``$`` are commands, the lines below each are its output.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    import pytest

URL = "http://127.0.0.1:5000"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
OF_THE_SERVER = ("date", "server", "content-length")

_curl = argparse.ArgumentParser("curl", exit_on_error=False)
_curl.add_argument("url")
_curl.add_argument("-i", action="store_true", dest="shows_head")
_curl.add_argument("-s", action="store_true")
_curl.add_argument("-X", dest="method")
_curl.add_argument("-H", action="append", default=[], dest="headers")
_curl.add_argument("-d", dest="data")
_curl.add_argument("--json")


class Command(NamedTuple):
    """A command and the output that the page shows."""

    words: list[str]
    output: str


def commands_of(text: str) -> list[Command]:
    """The commands of a session; a backslash at the end of a line continues it."""
    commands = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.replace("\\\n", " ").partition("\n")
        commands.append(Command(shlex.split(line, comments=True), output.strip()))
    return commands


class Console:
    """The terminals of one page: what one of them serves, the others can reach."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._client = None

    def replay(self, text: str) -> None:
        commands = commands_of(text)
        assert commands, "a console block without a command"
        for command in commands:
            words = self._with_variables(command.words)
            if words[:2] == ["make", "serve"]:
                self._serve(_served_by_make())
            elif words[:2] == ["unimicro", "serve"]:
                self._serve(words[2])
            else:
                run = {"curl": self._run_curl, "unimicro": _run_unimicro}[words[0]]
                assert alike(run(words[1:])) == alike(command.output), " ".join(words)

    def _with_variables(self, words: list[str]) -> list[str]:
        while "=" in words[0]:
            self._monkeypatch.setenv(*words[0].split("=", 1))
            words = words[1:]
        return words

    def _serve(self, target: str) -> None:
        """A new process knows nothing of what the one before has stored: the module is imported anew."""
        place, _, attribute = target.removesuffix(".py").partition(":")
        path = Path(place.replace(".", "/") + ".py")
        spec = importlib.util.spec_from_file_location(f"served_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        self._monkeypatch.setitem(sys.modules, module.__name__, module)
        spec.loader.exec_module(module)
        self._client = getattr(module, attribute or "app").test_client()

    def _run_curl(self, words: list[str]) -> str:
        options = _curl.parse_args(words)
        assert options.url.startswith(URL), f"{options.url} is not the address of `unimicro serve`"
        headers = dict(re.split(r":\s*", header, maxsplit=1) for header in options.headers)
        body = options.json or options.data
        if body is not None:
            kind = "application/json" if options.json else "application/x-www-form-urlencoded"
            headers = {"Content-Type": kind} | headers
        method = options.method or ("GET" if body is None else "POST")
        answer = self._client.open(method, options.url.removeprefix(URL) or "/", headers=headers, data=body)
        return f"{_head(answer)}\n\n{answer.text}" if options.shows_head else answer.text


def _head(answer) -> str:
    status = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}"
    return "\n".join([status, *(f"{name}: {value}" for name, value in answer.headers.items())])


def _run_unimicro(words: list[str]) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [str(Path(sys.executable).parent / "unimicro"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ, check=False)
    return done.stdout + done.stderr


def _served_by_make() -> str:
    return re.search(r"^APP \?= (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE).group(1)


def alike(output: str) -> str:
    """Output without what differs from run to run: the time, and header fields of the server's own."""
    lines = [line.rstrip() for line in output.splitlines() if line.partition(":")[0] not in OF_THE_SERVER]
    return TIME.sub("(time)", "\n".join(lines).strip())
