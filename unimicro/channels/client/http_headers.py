"""Header fields of requests: only what can be sent, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unimicro.channels.client.channel import remaining_ms
from unimicro.channels.client.http_arguments import refused_arguments
from unimicro.functional.requests import checked_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.invocation import Invocation
    from unimicro.outcome import Failure
    from unimicro.pipeline.ports import Clock

__all__ = ["OF_THE_CONNECTION", "header_fields"]

OF_THE_CONNECTION = frozenset(
    (
        *("accept-encoding", "connection", "content-encoding", "content-length", "expect", "host"),
        *("keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""The transport's business (RFC 9110 §7.6.1): no argument may set them."""


def header_fields(own: Mapping[str, str], invocation: Invocation, clock: Clock) -> dict[str, str] | Failure:
    """``own`` with token, trace, key and the time that is left; or the failure of what cannot be sent.

    A value is never shown, it may be a secret.
    """
    fields = {**own, **invocation.metadata.fields}
    left = remaining_ms(invocation, clock)
    if left is not None:
        fields["x-timeout-ms"] = str(left)
    texts = "".join(fields.values())
    if texts.isascii() and texts.isprintable():
        return fields
    for name, value in fields.items():
        try:
            checked_headers({name: value})
        except ValueError as error:
            return refused_arguments([{"name": name, "message": str(error)}])
    return fields
