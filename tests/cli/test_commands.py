from __future__ import annotations

import subprocess
import sys

import unimicro
from tests.cli.commands import run, write


def test_the_version_is_the_library_s():
    assert run("--version").stdout == f"unimicro {unimicro.__version__}\n"


def test_every_command_shows_an_example():
    for command in ("serve", "routes", "call"):
        result = run(command, "--help")
        assert result.exit_code == 0
        examples = result.stdout.partition("  Examples:\n")[2].splitlines()
        assert examples[0].startswith(f"    unimicro {command} ")


def test_the_help_says_what_the_exit_codes_mean():
    lines = run("--help").stdout.splitlines()
    codes = lines[lines.index("  Exit codes:") + 1 :][:4]
    assert [line.split()[0] for line in codes] == ["0", "1", "2", "3"]


def test_an_unknown_command_names_the_nearest():
    result = run("rotes")
    assert result.exit_code == 2
    assert "there is no command 'rotes'; did you mean 'routes'?" in result.stderr


def test_help_imports_nothing_heavy():
    program = (
        "import sys\n"
        "import unimicro_cli.main\n"
        "heavy = {'flask', 'fastapi', 'uvicorn', 'httpx', 'msgspec', 'pluggy', 'asyncio', 'dotenv',"
        " 'unimicro.app'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_missing_extra_is_named(folder, monkeypatch):
    write(folder, "shop.py")
    for module, options, extra in (
        ("uvicorn", ("serve", "shop"), "fastapi"),
        ("flask", ("serve", "shop", "--door", "flask"), "flask"),
        ("httpx", ("call", "orders.place", "--url", "http://127.0.0.1:1"), "client"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            result = run(*options)
        assert result.exit_code == 1
        assert f"pip install 'unimicro[{extra}]'" in result.stderr
        assert "Traceback" not in result.stderr
