"""A scratch environment: plugins installed as distributions, beside what the project itself has."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "unimicro-{name}"
version = "1.0.0"

[project.entry-points.unimicro]
{name} = "unimicro_{name}"
"""

SHOP = """\
from unimicro import App, Service, entry
from unimicro.errors import ConfigurationError

class Shop(Service):
    @entry(no_auth=True)
    def price(self, *, sku: str) -> dict[str, str]:
        return {"sku": sku, "price": "2.50"}

def refusal(make):
    try:
        make()
    except ConfigurationError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print("no error")
"""


class Scratch(NamedTuple):
    """Where the plugins are.

    Attributes:
        sources: A folder with a project per plugin.
        installed: Put on ``sys.path`` of the processes started here.
    """

    sources: Path
    installed: Path

    def write_plugin(self, name: str, module: str) -> None:
        """A plugin of one module whose entry point is called ``name``."""
        folder = self.sources / f"unimicro-{name}"
        folder.mkdir()
        (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name))
        (folder / f"unimicro_{name}.py").write_text(module)

    def install(self) -> None:
        """Install every plugin written so far, without a network."""
        options = ["--quiet", "--no-input", "--no-index", "--no-deps", "--no-build-isolation"]
        sources = sorted(str(source) for source in self.sources.iterdir())
        command = ["-m", "pip", "install", *options, "--target", str(self.installed), *sources]
        done = self.python(*command, cwd=self.sources)
        assert done.returncode == 0, done.stderr

    def python(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run this interpreter with the plugins at hand."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("UNIMICRO_")}
        environment = own | {"PYTHONPATH": str(self.installed), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment,
            timeout=50,
        )

    def program(self, text: str, cwd: Path) -> str:
        """What a program that has the shop prints; it must not fail."""
        done = self.python("-W", "error", "-c", SHOP + text, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout
