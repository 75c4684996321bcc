"""The service's own token in a file, for processes of one machine and for the next start."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from unimicro.outcome import Failure, Left, Outcome, Right
from unimicro.pipeline.self_token import StoredToken
from unimicro.wire import from_json, to_json


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
            document = from_json(self._path.read_bytes())
            return Right(StoredToken(str(document["token"]), float(document["expires_at"])))
        except FileNotFoundError:
            return Right(None)
        except (OSError, ValueError, TypeError, KeyError) as error:
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
