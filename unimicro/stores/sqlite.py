"""A store in an SQLite file: state that the processes of one machine share, and that outlives them."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections import deque
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from unimicro.errors import ConfigurationError
from unimicro.pipeline.ports import GRACE, IdempotencyRecord
from unimicro.stores.settings import require_timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = """
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    expires_at REAL NOT NULL,
    answer BLOB
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS idempotency_expires_at ON idempotency (expires_at)"

_READ = "SELECT fingerprint, owner, expires_at, answer FROM idempotency WHERE key = ? AND expires_at > ?"
_WRITE = "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)"
_FORGET = (
    "DELETE FROM idempotency WHERE key IN"
    " (SELECT key FROM idempotency WHERE expires_at <= ? ORDER BY expires_at LIMIT 10)"
)
"""A few with each claim: more than one claim adds, and no claim waits for many."""
_COMPLETE = "UPDATE idempotency SET fingerprint = ?, expires_at = ?, answer = ? WHERE key = ? AND owner = ?"
_RELEASE = "DELETE FROM idempotency WHERE key = ? AND owner = ?"


class SqliteIdempotencyStore:
    """Keyed calls in a file on a local disk, never on a network file system (https://sqlite.org/wal.html).

    Args:
        path: Of the file; its folder must exist.
        timeout: Seconds to wait for another process that writes.

    Raises:
        ConfigurationError: The file cannot be opened, or a setting is impossible.
    """

    def __init__(self, *, path: str | os.PathLike[str], timeout: float = 5.0) -> None:
        if not isinstance(path, str | os.PathLike) or os.fspath(path) in ("", ":memory:"):
            raise ConfigurationError(f"path must name a file, got {path!r}")
        require_timeout(timeout)
        self._connections = _Connections(os.fspath(path), timeout)
        weakref.finalize(self, self._connections.close)
        try:
            with self._connections.one() as connection:
                connection.execute(_TABLE)
                connection.execute(_INDEX)
        except (sqlite3.Error, ValueError) as error:
            raise ConfigurationError(f"path {os.fspath(path)!r} cannot be opened: {error}") from error

    def claim(self, key: str, record: IdempotencyRecord, now: float) -> IdempotencyRecord | None:
        """See ``IdempotencyStore``.

        Raises:
            sqlite3.Error: The file cannot be used, or another process kept it for too long.
        """
        with self._connections.one() as connection:
            # Looked at before anything is locked: most duplicates come when the answer is there.
            held = _read(connection, key, now)
            if held is not None:
                return held
            with self._connections.writing():
                connection.execute("BEGIN IMMEDIATE")
                held = _read(connection, key, now)
                if held is None:
                    connection.execute(_FORGET, (now - GRACE,))
                    connection.execute(_WRITE, (key, *record))
                connection.execute("COMMIT")
            return held

    def complete(self, key: str, record: IdempotencyRecord, now: float) -> bool:
        """See ``IdempotencyStore``; raises as ``claim``."""
        changes = (record.fingerprint, record.expires_at, record.answer, key, record.owner)
        with self._connections.one() as connection, self._connections.writing():
            return connection.execute(_COMPLETE, changes).rowcount == 1

    def release(self, key: str, owner: str) -> None:
        """See ``IdempotencyStore``; raises as ``claim``."""
        with self._connections.one() as connection, self._connections.writing():
            connection.execute(_RELEASE, (key, owner))

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._connections.close()


def _read(connection: sqlite3.Connection, key: str, now: float) -> IdempotencyRecord | None:
    # All rows, of which there is one at most: a statement that is not read to its end stays open.
    rows = connection.execute(_READ, (key, now)).fetchall()
    return IdempotencyRecord(*rows[0]) if rows else None


class _Connections:
    """Connections to one file, each used by one thread at a time."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._idle: deque[sqlite3.Connection] = deque()
        self._turn = Lock()
        self._process = os.getpid()

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses; one on which something failed is not used again."""
        self._leave_the_parents()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One at a time, as SQLite demands; but a thread that finds it busy would sleep and try by chance."""
        if not self._turn.acquire(timeout=self._timeout):
            raise sqlite3.OperationalError("database is locked: other threads keep it for too long")
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close those that nobody uses."""
        self._leave_the_parents()
        while self._idle:
            self._idle.pop().close()

    def _leave_the_parents(self) -> None:
        """After a fork: a connection must not be carried into a child (howtocorrupt.html §2.6 of SQLite)."""
        if self._process != os.getpid():
            _of_parents.append(self._idle)
            self._idle = deque()
            self._turn = Lock()
            self._process = os.getpid()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            self._share(connection)
            # An answer that a power cut undoes would be a call made twice.
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _share(self, connection: sqlite3.Connection) -> None:
        """Let reads and a write go on at once. SQLite does not wait while others do this to a new file."""
        give_up = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                    raise
            time.sleep(0.01)


_of_parents: list[deque[sqlite3.Connection]] = []
"""Kept, so that nothing closes them."""
