from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.plugins.scratch import Scratch

LINES = Path(__file__).parents[2] / "examples" / "plugins" / "unimicro-lines"

BROKEN = """\
print("broken was imported")
raise RuntimeError("the licence has run out")
"""

MISSPELT = """\
from unimicro import hookimpl

@hookimpl
def unimicro_register_door(register):
    pass
"""


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    """The example plugin ``lines``, and its neighbours ``broken`` and ``misspelt``, installed together."""
    scratch = Scratch(tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("installed"))
    shutil.copytree(LINES, scratch.sources / LINES.name, ignore=shutil.ignore_patterns("__pycache__"))
    scratch.write_plugin("broken", BROKEN)
    scratch.write_plugin("misspelt", MISSPELT)
    scratch.install()
    return scratch
