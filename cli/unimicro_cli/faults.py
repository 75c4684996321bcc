"""Errors of the user's code, told apart from errors of the command line.

What unimicro refuses is its text and the line that caused it; anything else is a traceback that
begins in the user's code.
"""

from __future__ import annotations

import importlib
import os
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import unimicro
from unimicro.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = str(Path(__file__).parent) + os.sep
_UNIMICRO = str(Path(unimicro.__file__).parent) + os.sep
_IMPORTLIB = str(Path(importlib.__file__).parent) + os.sep


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turn what the user's code raises into an error of the command, exit code 1.

    Args:
        what: What was being done, such as ``importing module 'first'``.

    Raises:
        click.ClickException: In place of the exception.
    """
    try:
        yield
    except click.ClickException:
        raise
    except ConfigurationError as error:
        raise click.ClickException(str(error) + _users_line(error)) from error
    except (Exception, SystemExit) as error:
        # SystemExit too: its code would pass for one of this command's, 0 for success.
        message = f"{what} raised {type(error).__name__}"
        raise click.ClickException(f"{message}\n\n{users_traceback(error).rstrip()}") from error


def is_of_the_user(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is neither of this command nor of the import machinery."""
    return not frame.filename.startswith((_HERE, _IMPORTLIB, "<frozen importlib"))


def users_traceback(error: BaseException) -> str:
    """The traceback without the frames of this command and of the import machinery."""
    report = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [report]
    while pending:
        part = pending.pop()
        if part is not None:
            part.stack = traceback.StackSummary.from_list([f for f in part.stack if is_of_the_user(f)])
            pending += [part.__cause__, part.__context__]
    return "".join(report.format())


def _users_line(error: BaseException) -> str:
    """The last line outside unimicro: the one to change."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if is_of_the_user(frame) and not frame.filename.startswith((_UNIMICRO, "<"))
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f"\n  {_short(last.filename)}, line {last.lineno}: {last.line}"


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
