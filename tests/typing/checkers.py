"""Two type checkers, away from this project: neither its settings nor its folders help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "typeCheckingMode": "strict",
    # Each checker has comments of its own, and tells when one is not needed.
    "enableTypeIgnoreComments": False,
    "reportUnnecessaryTypeIgnoreComment": "error",
    # Follows from another error of the same line.
    "reportUnknownMemberType": False,
}


def mypy(folder: Path, *files: str) -> dict[str, str]:
    """What ``mypy --strict`` has against the files: ``name:line`` to text."""
    cache = str(ROOT / ".mypy_cache" / "user")
    done = _run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *files], folder)
    found = re.findall(r"^(\S+?:\d+): error: (.*)$", done.stdout, flags=re.MULTILINE)
    assert (done.returncode == 0) == (not found), done.stdout + done.stderr
    return dict(found)


def basedpyright(folder: Path, *files: str) -> dict[str, str]:
    """The same of ``basedpyright`` in mode strict."""
    (folder / "pyrightconfig.json").write_text(json.dumps({"include": files, **SETTINGS}))
    command = [str(Path(sys.executable).parent / "basedpyright"), "--outputjson", "-p", "."]
    done = _run([*command, "--pythonpath", sys.executable], folder)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files), done.stdout
    return {
        f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}": each["message"]
        for each in report["generalDiagnostics"]
    }


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=55)
