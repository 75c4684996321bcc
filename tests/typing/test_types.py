"""The public API keeps its types for a user's type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("program.py")
ROOT = Path(__file__).parents[2]


def test_a_users_program_is_typed_as_strictly_as_it_asks(tmp_path):
    """Away from this project: neither its settings nor its folders help."""
    (tmp_path / "program.py").write_text(PROGRAM.read_text())
    cache = str(ROOT / ".mypy_cache" / "user")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "program.py"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=55,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
