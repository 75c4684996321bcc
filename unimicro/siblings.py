"""Processes that serve the same instance: the workers of one server. The last one takes it back."""

from __future__ import annotations

import logging
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Siblings"]

log = logging.getLogger("unimicro")


class Siblings:
    """Who else serves the same on this machine, as this user, told by a lock that ends with its process.

    Where there are no such locks (Windows, no folder for temporary files), each process is alone.

    Args:
        key: What they serve.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._file: int | None = None

    def join(self) -> None:
        """Be one of them until ``leave``. Waits while the last one of before still takes its leave."""
        fcntl = _locks()
        if fcntl is None or self._file is not None:
            return
        try:
            self._file = _open(self._key)
            fcntl.flock(self._file, fcntl.LOCK_SH)
        except OSError as error:
            log.warning("workers of the same server cannot be told from each other: %s", error)
            self._close()

    def leave(self) -> bool:
        """Be none of them any more; whether no other is left. They are held up until ``done``."""
        fcntl = _locks()
        if fcntl is None or self._file is None:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.done()
            return False
        return True

    def done(self) -> None:
        """Let those go on who joined meanwhile."""
        fcntl = _locks()
        if fcntl is not None and self._file is not None:
            # Closing does not do: a child that was forked has the file open, too.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _locks() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    return fcntl


def _open(key: str) -> int:
    """The file to lock, in a folder that nobody else can write to.

    Raises:
        OSError: There can be none.
    """
    import tempfile

    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"unimicro-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != user or found.st_mode & 0o170777 != 0o040700:
        raise PermissionError(f"{folder} is not a folder of this user alone")
    name = sha256(key.encode()).hexdigest()[:32] + ".lock"
    return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
