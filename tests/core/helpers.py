"""What the tests of the core share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unimicro.testing.client import HttpResult


def complaints(result: HttpResult) -> dict[str, str]:
    """Name → message of a 422 answer."""
    assert result.status_code == 422, (result.status_code, result.data)
    problem = result.json
    assert problem["code"] == "invalid_argument"
    return {error["name"]: error["message"] for error in problem["errors"]}


def code_of(result: HttpResult) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert result.headers["content-type"] == "application/problem+json"
    return result.status_code, result.json["code"]


def failure(outcome: Any) -> Any:
    """The failure inside a ``Left``."""
    failed, is_right = outcome.monoid
    assert not is_right, outcome
    return failed
