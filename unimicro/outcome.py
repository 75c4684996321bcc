"""What a call comes back as: ``Right(value)`` or ``Left(Failure)``.

``Outcome[T]`` is pymonad's ``Either[Failure, T]``. The sixteen failure codes are those of
gRPC (https://grpc.io/docs/guides/status-codes/); their meaning per door stands in one table
here, ``CODES``, and nowhere else. The HTTP body of a failure is an RFC 9457 problem document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    # pymonad says nothing of its types; what stands there travels with this package.
    from unimicro._either import Either, Left, Right
else:
    from pymonad.either import Either, Left, Right

__all__ = [
    "CODES",
    "Code",
    "CodeRule",
    "Either",
    "Failure",
    "Left",
    "Outcome",
    "Response",
    "Right",
    "failure_of",
]

Code = Literal[
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
]

Retryable = Literal["no", "safe", "yes"]
Counts = Literal["success", "failure", "neutral"]


class CodeRule(NamedTuple):
    """How every door and policy treats one code."""

    status: int
    """HTTP status."""
    title: str
    """RFC 9457 title."""
    retryable: Retryable
    """``safe``: only for operations declared safe, idempotent or keyed."""
    breaker: Counts
    """What a circuit breaker records."""


CODES: dict[str, CodeRule] = {
    "canceled": CodeRule(499, "Client Closed Request", "no", "neutral"),
    "unknown": CodeRule(500, "Internal Server Error", "safe", "failure"),
    "invalid_argument": CodeRule(400, "Bad Request", "no", "success"),
    "deadline_exceeded": CodeRule(504, "Gateway Timeout", "safe", "failure"),
    "not_found": CodeRule(404, "Not Found", "no", "success"),
    "already_exists": CodeRule(409, "Conflict", "no", "success"),
    "permission_denied": CodeRule(403, "Forbidden", "no", "success"),
    "resource_exhausted": CodeRule(429, "Too Many Requests", "yes", "neutral"),
    "failed_precondition": CodeRule(400, "Bad Request", "no", "success"),
    "aborted": CodeRule(409, "Conflict", "no", "success"),
    "out_of_range": CodeRule(400, "Bad Request", "no", "success"),
    "unimplemented": CodeRule(501, "Not Implemented", "no", "success"),
    "internal": CodeRule(500, "Internal Server Error", "safe", "failure"),
    "unavailable": CodeRule(503, "Service Unavailable", "yes", "failure"),
    "data_loss": CodeRule(500, "Internal Server Error", "safe", "failure"),
    "unauthenticated": CodeRule(401, "Unauthorized", "no", "success"),
}

_TITLES = {
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
}

_TYPE_PREFIX = "urn:unimicro:error:"

_CODE_OF_STATUS = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "aborted",
    422: "invalid_argument",
    429: "resource_exhausted",
    499: "canceled",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline_exceeded",
}

CODE_OF_REPLY = {
    400: "internal",
    401: "unauthenticated",
    403: "permission_denied",
    404: "unimplemented",
    429: "unavailable",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
"""For a client: what a reply without a code of ours says by its HTTP status; any other is ``unknown``."""


class Response(NamedTuple):
    """A result with its HTTP status and headers. Doors other than HTTP carry the body alone."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    """A mapping, or (name, value) pairs where a name repeats."""


class Failure:
    """Why a call did not succeed.

    Args:
        code: One of ``CODES``.
        message: Public text: it reaches the caller as it is.
        details: JSON-able extras, public too.
        errors: One ``{"name": ..., "message": ...}`` per argument that failed validation.
        retry_after: Seconds after which a retry makes sense.
        layer: The stage that refused; empty when the service itself failed.
        policy: Which policy of that stage: the name of a circuit, ``jwt``.
        error_type: Class name of the declared error that this stands for.
        status: HTTP status, where it is more exact than the code's (404, 405, 413, 415).
        headers: Extra HTTP headers, such as ``Allow``.
        body: The service's own answer when it returned a status of 400 or above.
        cause: The exception; never serialised, never compared.

    Attributes:
        dropped: What the call came back with after its deadline, for those who keep outcomes.

    Raises:
        ValueError: ``code`` is not one of ``CODES``.
    """

    __slots__ = (
        "body",
        "cause",
        "code",
        "details",
        "dropped",
        "error_type",
        "errors",
        "headers",
        "layer",
        "message",
        "policy",
        "retry_after",
        "status",
    )

    def __init__(
        self,
        code: Code | str,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
        layer: str = "",
        policy: str = "",
        error_type: str = "",
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: Response | None = None,
        cause: BaseException | None = None,
    ) -> None:
        if code not in CODES:
            raise ValueError(f"unknown failure code {code!r}; the codes are {', '.join(CODES)}")
        self.code = code
        self.message = message
        # An error class that is not ours may call anything `details` or `retry_after`.
        self.details = details if isinstance(details, Mapping) else None
        self.errors = errors
        self.retry_after = _seconds(retry_after)
        self.layer = layer
        self.policy = policy
        self.error_type = error_type
        self.status: int = status or (422 if errors else CODES[code].status)
        self.headers = headers
        self.body = body
        self.cause = cause
        self.dropped: Outcome[Any] | None = None

    @property
    def retryable(self) -> Retryable:
        """Whether a caller may try again: ``no``, ``yes``, or ``safe`` (see ``CodeRule``)."""
        return CODES[self.code].retryable

    @property
    def title(self) -> str:
        """The RFC 9457 title: the reason phrase of the status."""
        return _TITLES.get(self.status) or CODES[self.code].title

    def to_problem(self, instance: str = "", trace_id: str = "") -> dict[str, Any]:
        """The RFC 9457 problem document.

        The extensions ``code``, ``layer``, ``policy``, ``errors``, ``details``, ``retry_after_ms`` and
        ``trace_id`` are there where they say something.
        """
        problem: dict[str, Any] = {
            "type": f"{_TYPE_PREFIX}{self.error_type}" if self.error_type else "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
        }
        optional = (
            ("instance", instance),
            ("code", self.code),
            ("layer", self.layer),
            ("policy", self.policy),
            ("errors", list(self.errors)),
            ("details", dict(self.details or ())),
            ("trace_id", trace_id),
        )
        problem.update((name, value) for name, value in optional if value)
        if self.retry_after is not None:
            problem["retry_after_ms"] = max(0, round(self.retry_after * 1000))
        return problem

    @classmethod
    def from_problem(cls, problem: Mapping[str, Any]) -> Failure:
        """Read a problem document that came over a wire; what is missing or odd is left out."""
        code = problem.get("code")
        kind = _string(problem.get("type"))
        wait = _seconds(problem.get("retry_after_ms"))
        status = problem.get("status")
        details = problem.get("details")
        errors = problem.get("errors")
        return cls(
            code if isinstance(code, str) and code in CODES else "unknown",
            _string(problem.get("detail")),
            details=details if isinstance(details, dict) else None,
            errors=[e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else (),
            retry_after=None if wait is None else wait / 1000,
            layer=_string(problem.get("layer")),
            policy=_string(problem.get("policy")),
            error_type=kind.removeprefix(_TYPE_PREFIX) if kind.startswith(_TYPE_PREFIX) else "",
            status=status if type(status) is int and 400 <= status <= 599 else None,
        )

    @classmethod
    def from_response(cls, response: Response) -> Failure:
        """The failure that a returned status of 400 or above stands for; the body is kept."""
        fallback = "failed_precondition" if response.status < 500 else "internal"
        return cls(
            _CODE_OF_STATUS.get(response.status, fallback),
            response.body if isinstance(response.body, str) else "",
            status=response.status,
            body=response,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and self.to_problem() == other.to_problem()

    def __hash__(self) -> int:
        return hash((self.code, self.message, self.layer))

    def __repr__(self) -> str:
        where = f", layer={self.layer!r}" if self.layer else ""
        return f"Failure({self.code!r}, {self.message!r}{where})"


def _seconds(value: object) -> float | None:
    """A wait that can be waited for: a number that is finite and not negative; ``None`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= 1e15 else None


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


SUCCESS = (None, True)
"""The ``monoid`` of every ``Right``."""

T = TypeVar("T")
Outcome = Either[Failure, T]


def failure_of(outcome: Either[Failure, Any]) -> Failure:
    """The failure inside a ``Left``.

    Raises:
        ValueError: ``outcome`` is a ``Right``.
    """
    failure, is_right = outcome.monoid
    if is_right:
        raise ValueError("a Right holds no failure")
    return failure  # type: ignore[no-any-return]
