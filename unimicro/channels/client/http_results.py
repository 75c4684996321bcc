"""What a result is on the client's side: the type of the body that an operation's annotation promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from unimicro.channels.client.http_refusals import malformed
from unimicro.conversion import is_union, strip_annotated
from unimicro.operation import may_respond
from unimicro.outcome import Either

if TYPE_CHECKING:
    from unimicro.conversion import ConversionError
    from unimicro.outcome import Failure

__all__ = ["body_type", "raw_type", "unfit"]


def body_type(returns: Any) -> Any:
    """The type of the value that a caller gets: outcomes, statuses and headers are left behind.

    Args:
        returns: A return annotation.
    """
    if not may_respond(returns):
        return returns
    returns = strip_annotated(returns)
    members = get_args(returns)
    if is_union(returns):
        return Union[tuple(map(body_type, members))]  # noqa: UP007 - of a tuple made here
    if (get_origin(returns) or returns) is Either:
        return body_type(members[-1]) if members else Any
    return members[0] if get_origin(returns) is tuple else Any


def raw_type(annotation: Any) -> type[bytes | str] | None:
    """``bytes`` or ``str`` where a body is that as it is, ``| None`` or not."""
    annotation = strip_annotated(annotation)
    members = set(get_args(annotation)) - {type(None)} if is_union(annotation) else {annotation}
    return next((raw for raw in (bytes, str) if members == {raw}), None)


def unfit(error: ConversionError) -> Failure:
    """The failure of a result that is not of the declared type."""
    place = f"{error.path}: " if error.path else ""
    return malformed(f"has another result than declared: {place}{error}")
