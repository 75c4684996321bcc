"""A proxy has the type of its interface, for mypy and for pyright alike, without generated code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from tests.typing.checkers import basedpyright, mypy
from unimicro import ServiceManager
from unimicro.channels.client.manager_options import ManagerOptions

PROGRAM = Path(__file__).with_name("client_program.py").read_text()
NAME = "program_of_a_client.py"


def test_a_program_that_calls_services_passes_both_checkers(tmp_path):
    (tmp_path / NAME).write_text(PROGRAM)
    assert mypy(tmp_path, NAME) == {}
    assert basedpyright(tmp_path, NAME) == {}


def test_both_checkers_find_the_same_mistakes(tmp_path):
    """Without the comments that expect them."""
    (tmp_path / NAME).write_text(re.sub(r"  # type: ignore.*", "", PROGRAM))
    lines = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# type: ignore" in line]
    wrong = {f"{NAME}:{number}" for number in lines}
    assert len(wrong) >= 20
    assert mypy(tmp_path, NAME).keys() == wrong
    assert basedpyright(tmp_path, NAME).keys() == wrong


def test_the_options_of_connect_are_those_of_a_manager():
    parameters = inspect.signature(ServiceManager).parameters.values()
    of_a_manager = {each.name: each.annotation for each in parameters if each.name != "registry"}
    hints = ManagerOptions.__annotations__
    assert {name: hint.__forward_arg__ for name, hint in hints.items()} == of_a_manager
