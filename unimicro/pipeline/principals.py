"""Claims of a token or of user information as a principal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.invocation import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping


def principal_of(claims: Mapping[str, Any], subject_claim: str, activities_claim: str) -> Principal | None:
    """The principal that claims describe; ``None`` without a subject.

    Scopes are those of ``scope`` (RFC 8693 §4.2) or ``scp``. Scopes and activities may be a list, or a text
    that separates them by spaces.
    """
    subject = claims.get(subject_claim)
    if not isinstance(subject, str) or not subject:
        return None
    scopes = _texts(claims.get("scope")) or _texts(claims.get("scp"))
    return Principal(subject, scopes, _texts(claims.get(activities_claim)), claims)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
