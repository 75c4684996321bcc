from __future__ import annotations

import os

from tests.cli.commands import run, write


def greeting(*options: str) -> str:
    result = run("call", "orders.get_greeting", "--app", "shop", *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout.rstrip("\n")


def test_both_files_are_loaded_before_the_module(folder):
    write(folder, "shop.py", "import os\nassert os.environ['A'] + os.environ['B'] == 'ab'\n" + body())
    write(folder, ".env", "A=a\nGREETING=hello\n")
    write(folder, ".env.dev", "B=b\n")
    assert greeting() == "hello"


def test_the_stage_s_file_wins(folder):
    write(folder, "shop.py")
    write(folder, ".env", "GREETING=any\n")
    write(folder, ".env.prod", "GREETING=prod\n")
    assert greeting() == "any"
    assert "GREETING" in os.environ


def test_a_stage_on_the_command_line_chooses_the_file_and_the_stage(folder):
    write(folder, "shop.py", body() + "import os\nos.environ['GREETING'] += app.settings.stage\n")
    write(folder, ".env", "GREETING=any-\n")
    write(folder, ".env.prod", "GREETING=file-\n")
    assert greeting("--stage", "prod") == "file-prod"


def test_a_variable_that_is_set_wins_over_both(folder, monkeypatch):
    write(folder, "shop.py")
    write(folder, ".env", "GREETING=any\n")
    write(folder, ".env.dev", "GREETING=dev\n")
    monkeypatch.setenv("GREETING", "set")
    assert greeting() == "set"


def test_the_stage_may_stand_in_the_common_file(folder):
    write(folder, "shop.py")
    write(folder, ".env", "UNIMICRO_STAGE=test\n")
    write(folder, ".env.test", "GREETING=tested\n")
    assert greeting() == "tested"


def test_the_stage_may_stand_in_the_configuration_file(folder):
    write(folder, "shop.py")
    write(folder, "unimicro.toml", 'stage = "acceptance"\n')
    write(folder, ".env.acceptance", "GREETING=accepted\n")
    assert greeting() == "accepted"


def test_the_stage_s_file_may_refer_to_the_common_one(folder):
    write(folder, "shop.py")
    write(folder, ".env", "NAME=world\n")
    write(folder, ".env.dev", 'GREETING="hello ${NAME}"\n')
    assert greeting() == "hello world"


def test_a_malformed_line_is_named(folder):
    write(folder, "shop.py")
    write(folder, ".env", "A=1\n$$$ nonsense here\n")
    result = run("routes", "shop")
    assert result.exit_code == 1
    assert result.stderr == "Error: .env, line 2: expected NAME=value\n"


def test_a_wrong_configuration_file_is_named(folder):
    write(folder, "shop.py")
    write(folder, "unimicro.toml", 'stag = "x"\n')
    result = run("routes", "shop")
    assert result.exit_code == 1
    assert result.stderr == "Error: unimicro.toml: unknown setting 'stag'; did you mean 'stage'?\n"


def body() -> str:
    from tests.cli.commands import ORDERS

    return ORDERS.replace("from __future__ import annotations\n", "")


def test_a_byte_order_mark_is_no_part_of_the_first_name(folder):
    write(folder, "shop.py")
    for name in (".env", ".env.dev"):
        (folder / name).write_text(f"GREETING={name}\n", encoding="utf-8-sig")
    assert run("call", "orders.get_greeting", "--app", "shop").stdout == ".env.dev\n"
