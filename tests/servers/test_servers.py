"""The servers of the tests themselves: what happens where one cannot be had, and that none is left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import programs
from tests.servers.processes import LIMIT, ends_with_parent

ROOT = Path(__file__).parents[2]
SCRIPT = Path("tests") / "servers" / "install.sh"

STARTS_AND_STAYS = """
import sys, time
from pathlib import Path
from tests.servers import programs

with programs.redis(Path(sys.argv[1])) as server:
    print(server.port, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "INSTALLED", tmp_path)


@pytest.mark.parametrize("start", [programs.redis, programs.consul])
def test_without_its_server_a_test_is_skipped_with_the_reason(
    start, nothing_installed, tmp_path, monkeypatch
):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"is not installed: run tests/servers/install\.sh"):
        start(tmp_path)


@pytest.mark.parametrize("start", [programs.redis, programs.consul])
def test_in_ci_it_fails_instead(start, nothing_installed, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"is not installed: run tests/servers/install\.sh"):
        start(tmp_path)


def test_where_nothing_can_be_installed_the_script_says_so_and_goes_on(tmp_path):
    (tmp_path / SCRIPT).parent.mkdir(parents=True)
    shutil.copy(ROOT / SCRIPT, tmp_path / SCRIPT)
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "id"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    run = subprocess.run(
        [tmp_path / SCRIPT],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert [line.split(": ")[1] for line in run.stderr.splitlines()] == [
        "redis-server is missing",
        "consul is missing",
        "aspyx-service is missing",
    ]


@pytest.mark.skipif(not ends_with_parent(), reason="no setpriv on this system")
def test_a_server_does_not_outlive_tests_that_are_killed(tmp_path):
    programs.redis(tmp_path)
    tests = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_STAYS, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    )
    port = int(tests.stdout.readline())
    tests.kill()
    tests.communicate(timeout=LIMIT)
    end = time.monotonic() + LIMIT
    while is_served(port):
        assert time.monotonic() < end, "the server is still there"
        time.sleep(0.02)


def is_served(port):
    try:
        return programs.redis_is_ready(port)
    except OSError:
        return False
