"""What an HTTP answer without a result says: by its problem document, else by its status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from unimicro.functional.replies import NEVER_AGAIN, problem_in, retry_after_of
from unimicro.outcome import CODE_OF_REPLY, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from unimicro.channels.client.http_transport import Answer

__all__ = ["malformed", "refused", "too_large", "waits"]

PROBLEM = "application/problem+json"

# RFC 9110 §11.2: name=token or name="quoted string".
_PARAMETER = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
LONGEST_CHALLENGE = 1024
"""Characters of a ``WWW-Authenticate`` that are looked at."""


def malformed(why: str) -> Failure:
    """The failure of an answer that cannot be understood; a repetition would bring the same again."""
    return Failure("internal", f"the answer {why}", layer="channel", details=NEVER_AGAIN)


def too_large(limit: int) -> Failure:
    """The failure of an answer of more bytes than the channel's ``max_bytes``."""
    return malformed(f"is longer than {limit} bytes")


def refused(answer: Answer, sent: Mapping[str, str], now: float) -> Failure:
    """The failure that an answer of any status but 2xx stands for.

    Args:
        answer: One whose body is no envelope.
        sent: Header fields of the request.
        now: Seconds since the epoch.
    """
    # A document of ours says itself how long to wait, or that nobody has said so.
    described = problem_in(answer.body) if answer.media == PROBLEM else None
    return described or waits(_of_status(answer, sent), answer, now)


def waits(failure: Failure, answer: Answer, now: float) -> Failure:
    """``failure`` with the wait that the header ``Retry-After`` asks for, where it says none itself."""
    if failure.retry_after is None and "retry-after" in answer.headers:
        failure.retry_after = retry_after_of(answer.headers["retry-after"], now)
    return failure


def _of_status(answer: Answer, sent: Mapping[str, str]) -> Failure:
    status = answer.status
    details: dict[str, Any] | None = None
    if status == 401:
        details = {"reason": _reason(answer.headers.get("www-authenticate", ""), "authorization" in sent)}
    code = CODE_OF_REPLY.get(status, "unknown")
    if code == "unknown" and status < 500:
        details = NEVER_AGAIN
    return Failure(code, f"the server answered {status}", layer="channel", details=details)


def _reason(challenge: str, with_token: bool) -> str:
    """``missing``, ``expired`` or ``invalid``, from a challenge (RFC 6750 §3).

    Without ``error`` it is the answer to a request without credentials. That a token has expired is told in
    the description only (§3.1); one server of this wire says there, too, that it is missing.
    """
    found = _PARAMETER.findall(challenge[:LONGEST_CHALLENGE])
    parameters = {name.lower(): quoted or token for name, quoted, token in found}
    if "error" not in parameters:
        return "invalid" if with_token else "missing"
    text = parameters.get("error_description", "").lower()
    return next((reason for reason in ("expired", "missing") if reason in text), "invalid")
