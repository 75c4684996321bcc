"""The files ``.env`` and ``.env.<stage>`` of the working directory.

A variable that is already set wins over both files; ``.env.<stage>`` wins over ``.env``.
"""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import click

STAGE_VARIABLE = "UNIMICRO_STAGE"


def load_environment(stage: str | None) -> None:
    """Load both files into the environment, before any module of the user is imported.

    Args:
        stage: Given on the command line; it overrides ``UNIMICRO_STAGE``. Without either, the stage
            is that of ``.env`` or of the configuration file.

    Raises:
        click.ClickException: A file cannot be read, or has a line that is no ``NAME=value``.
        ConfigurationError: The configuration file is wrong.
    """
    if stage is not None:
        os.environ[STAGE_VARIABLE] = stage
    common = _text(Path(".env"))
    special = _text(Path(f".env.{_stage(common)}"))
    if common or special:
        from dotenv import load_dotenv

        # As one text, so that the second file may refer to variables of the first.
        load_dotenv(stream=StringIO(f"{common}\n{special}"), override=False)


def _stage(common: str) -> str:
    from unimicro.config import load_settings

    named = os.environ.get(STAGE_VARIABLE)
    if named is None and common:
        from dotenv import dotenv_values

        named = dotenv_values(stream=StringIO(common)).get(STAGE_VARIABLE)
    return named or load_settings(None, None).stage


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        # Windows editors put a byte order mark first; it is no part of the first name.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {path}: {error}") from error
    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise click.ClickException(f"{path}, line {binding.original.line}: expected NAME=value")
    return text
