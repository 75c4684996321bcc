from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory; what a command does to this process is undone."""
    for name in [name for name in os.environ if name.startswith("UNIMICRO_") or name == "TOKEN"]:
        monkeypatch.delenv(name)
    environ, path, modules = dict(os.environ), list(sys.path), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        module = sys.modules[name]
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", [])]
        if any(place.startswith(str(tmp_path)) for place in places):
            del sys.modules[name]
