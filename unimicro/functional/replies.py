"""What an HTTP server answered, as an outcome."""

from __future__ import annotations

import codecs
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.errors import UnimicroError
from unimicro.outcome import CODE_OF_REPLY, CODES, Failure, Left, Outcome, Right
from unimicro.wire import from_json

if TYPE_CHECKING:
    from unimicro.metadata import Metadata

__all__ = [
    "NEVER_AGAIN",
    "Reply",
    "ReplyError",
    "described_by",
    "outcome_of",
    "problem_in",
    "retry_after_of",
]

NEVER_AGAIN = {"retry": False}
"""Details of a failure that a repetition would only bring again."""

_NO_CHARSETS = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
"""Codecs of Python's for other things than the text of a document."""

_WORTH_REPEATING = (408, 425, 429)
"""Of the statuses that blame the request: too slow, too early, too often."""


class Reply(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: Of the answer.
        headers: Whatever the case of their names.
        body: Complete and, if it came compressed, unpacked.
    """

    status: int
    headers: Metadata
    body: bytes

    @property
    def text(self) -> str:
        """The body in the charset of the content type, else UTF-8; what is none is replaced."""
        _, _, charset = self.headers.get("content-type", "").lower().partition("charset=")
        try:
            known = codecs.lookup(charset.partition(";")[0].strip(' "')).name
            return self.body.decode("utf-8" if known in _NO_CHARSETS else known, "replace")
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")

    def json(self) -> Outcome[Any]:
        """The parsed body (RFC 8259); ``Left`` of ``internal`` if it is no JSON."""
        try:
            return Right(from_json(self.body))
        except ValueError as error:
            return Left(Failure("internal", "the answer is no JSON", cause=error))


class ReplyError(UnimicroError):
    """The ``cause`` of a failure that stands for a status of 400 or above.

    Attributes:
        reply: The answer; it may be secret, so no failure shows it.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP status {reply.status}")
        self.reply = reply


def outcome_of(reply: Reply, now: float) -> Outcome[Reply]:
    """``Right`` below status 400, else the failure that the answer describes or that its status stands for.

    Args:
        reply: The answer.
        now: Seconds since the epoch.
    """
    if reply.status < 400:
        return Right(reply)
    failure = _described(reply) or _of_status(reply.status)
    failure.cause = ReplyError(reply)
    if failure.retry_after is None:
        failure.retry_after = retry_after_of(reply.headers.get("retry-after", ""), now)
    return Left(failure)


def _described(reply: Reply) -> Failure | None:
    media = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return problem_in(reply.body) if media == "application/problem+json" else None


def problem_in(body: bytes) -> Failure | None:
    """``described_by`` of the JSON in a body."""
    try:
        problem = from_json(body)
    except ValueError:
        return None
    return described_by(problem)


def described_by(problem: object) -> Failure | None:
    """The failure of a decoded problem document (RFC 9457) with a code of ours; ``None`` for all else."""
    ours = isinstance(problem, dict) and isinstance(problem.get("code"), str) and problem["code"] in CODES
    return Failure.from_problem(problem) if ours else None  # type: ignore[arg-type] # a dict: it is ours


def _of_status(status: int) -> Failure:
    final = (status < 500 and status not in _WORTH_REPEATING) or status == 501
    return Failure(
        CODE_OF_REPLY.get(status, "unknown"),
        f"the server answered {status}",
        details=NEVER_AGAIN if final else None,
    )


def retry_after_of(value: str, now: float) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110 §10.2.3): a number of them, or a date."""
    if value.isascii() and value.isdecimal():
        return float(value[:10])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
