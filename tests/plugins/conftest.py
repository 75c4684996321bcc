from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.plugins.scratch import Scratch

EXAMPLES = Path(__file__).parents[2] / "examples" / "plugins"

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


IMPOSTOR = """\
from unimicro import hookimpl

@hookimpl
def unimicro_register_channels(register):
    register("impostor", dict)

@hookimpl
def unimicro_register_registries(register):
    register("another", dict)
"""

LATE = """\
from unimicro import Channel, channel, hookimpl

@channel("late")
class Late(Channel):
    def prepare(self, operation): ...
    def connect(self, uri): ...

@hookimpl
def unimicro_register_channels(register):
    register("late", Late)

@hookimpl
def unimicro_assembled(app):
    print("assembled")
"""


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    """The example plugins, and their neighbours ``broken`` and ``misspelt``, installed together."""
    scratch = Scratch(tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("installed"))
    for example in sorted(EXAMPLES.iterdir()):
        shutil.copytree(example, scratch.sources / example.name, ignore=shutil.ignore_patterns("__pycache__"))
    scratch.write_plugin("broken", BROKEN)
    scratch.write_plugin("misspelt", MISSPELT)
    scratch.write_plugin("impostor", IMPOSTOR)
    scratch.write_plugin("late", LATE)
    scratch.install()
    return scratch
