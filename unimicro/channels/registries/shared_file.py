"""A small JSON object in a file that the processes of one machine and user share."""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unimicro.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SharedFile"]

log = logging.getLogger("unimicro")

MOST_BYTES = 16 * 1024 * 1024
_PERMISSIONS = 0o600
_AGAIN = 0.005


class SharedFile:
    """Replaced as a whole, under a lock that the system takes from a process that dies: never half written.

    What is no JSON object counts as empty, so that one spoilt by hand or by a power cut heals with the next
    change. Nobody else may write it: what stands in it is trusted.

    Args:
        path: Of the file, on a local disk; two more, ``.lock`` and ``.new``, lie beside it.
        timeout: Seconds to wait for another process that writes.

    Raises:
        ConfigurationError: The system has no such locks, or the file cannot be used.
    """

    def __init__(self, path: str, timeout: float) -> None:
        try:
            import fcntl
        except ImportError as error:
            raise ConfigurationError("a registry in a file needs the file locks of a POSIX system") from error
        self._flock = fcntl.flock
        self._exclusive, self._unlock = fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN
        self._path = path
        self._timeout = timeout
        try:
            with self._locked():
                self.read()
        except OSError as error:
            raise ConfigurationError(f"path {path!r} cannot be used: {error}") from error

    def read(self) -> dict[str, Any]:
        """What stands in the file; nothing where there is none.

        Raises:
            OSError: It cannot be read, is too large, or another user may write it.
        """
        try:
            descriptor = _opened(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise OSError(f"{self._path} has more than {MOST_BYTES} bytes")
        try:
            read = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, dict):
            return read
        log.warning("%s is no JSON object: taken as empty, and written anew", self._path)
        return {}

    @contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """What stands in the file, to be changed in place; it is written when the block ends well.

        Raises:
            OSError: It cannot be read or written, or others keep it for too long.
        """
        with self._locked():
            content = self.read()
            yield content
            new = self._path + ".new"
            # One that a process left behind when it was killed is written over.
            descriptor = _opened(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False, separators=(",", ":"))
            Path(new).replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        give_up = time.monotonic() + self._timeout
        descriptor = _opened(self._path + ".lock", os.O_RDWR | os.O_CREAT)
        try:
            while True:
                try:
                    self._flock(descriptor, self._exclusive)
                    break
                except BlockingIOError:
                    if time.monotonic() >= give_up:
                        raise TimeoutError(f"others keep it locked for {self._timeout} s") from None
                time.sleep(_AGAIN)
            try:
                yield
            finally:
                # Said, and not left to the closing: a child forked meanwhile has the descriptor too.
                self._flock(descriptor, self._unlock)
        finally:
            os.close(descriptor)


def _opened(path: str, flags: int) -> int:
    """A descriptor of a file that belongs to this user, or to root, and that nobody else may write.

    Raises:
        OSError: It is somebody else's, or no plain file.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, _PERMISSIONS)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError(f"{path} is no plain file")
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise PermissionError(f"{path} may be written by another user")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
