"""The service's own token in a file, for processes of one machine and for the next start."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from unimicro.outcome import Failure, Left, Outcome, Right
from unimicro.pipeline.self_token import StoredToken
from unimicro.wire import from_json, to_json

_LATEST = 1e15
"""Seconds since the epoch that are still a time."""


class FileTokenStore:
    """A ``TokenStore`` in a file that only its owner may read; replaced as a whole, never written in part.

    Args:
        path: Of the file; its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def __repr__(self) -> str:
        return f"FileTokenStore({os.fspath(self._path)!r})"

    def read(self) -> Outcome[StoredToken | None]:
        """The token in the file; ``None`` where there is no file."""
        try:
            return Right(_stored(from_json(self._path.read_bytes())))
        except FileNotFoundError:
            return Right(None)
        except (OSError, ValueError) as error:
            return Left(
                Failure("unavailable", f"the file cannot be read: {type(error).__name__}", cause=error)
            )

    def write(self, token: StoredToken) -> Outcome[None]:
        """Put ``token`` in place of the one in the file."""
        body = to_json({"token": token.token, "expires_at": token.expires_at})
        try:
            # mkstemp makes a file that only its owner may read.
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(body)
                Path(name).replace(self._path)
            except OSError:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            failure = Failure(
                "unavailable", f"the file cannot be written: {type(error).__name__}", cause=error
            )
            return Left(failure)
        return Right(None)


def _stored(document: object) -> StoredToken:
    """The token of a file.

    Raises:
        ValueError: It holds none.
    """
    held = document if isinstance(document, dict) else {}
    token, expires_at = held.get("token"), held.get("expires_at")
    if not isinstance(token, str) or not token:
        raise ValueError("the file holds no token")
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float) or expires_at > _LATEST:
        raise ValueError("the file holds no time of expiry")
    return StoredToken(token, float(expires_at))
