"""A forked worker process (a pre-forking WSGI server) works like a fresh one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from unimicro import App, Service, entry
from unimicro.invocation import new_id

class Forked(Service):
    @entry(no_auth=True)
    async def get(self):
        return "answered"

app = App(Forked())
print(app.call("forked.get").value, new_id().partition("-")[0], flush=True)
child = os.fork()
print(app.call("forked.get").value, new_id().partition("-")[0], flush=True)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_ids_stay_unique_and_async_methods_run_after_a_fork():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [answer for answer, _ in lines] == ["answered"] * 3
    # Two processes, two prefixes: the parent's before and after the fork is the same.
    assert len({prefix for _, prefix in lines}) == 2
