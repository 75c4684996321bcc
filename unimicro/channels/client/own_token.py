"""A token that has to be obtained, such as ``SelfToken``: fetched before the call, once more if refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from unimicro.metadata import Metadata
from unimicro.outcome import failure_of
from unimicro.pipeline.stages import ORDER, Await, Do, Stage

if TYPE_CHECKING:
    from unimicro.invocation import Invocation
    from unimicro.outcome import Failure, Outcome
    from unimicro.pipeline.stages import Steps

__all__ = ["TokenSource", "token_stage"]

REFUSED = ("expired", "invalid")


@runtime_checkable
class TokenSource(Protocol):
    """Where the token of this program comes from; ``SelfToken`` is one."""

    def token(self) -> Outcome[str]:
        """The token, obtained in this thread where there is none."""

    async def atoken(self) -> Outcome[str]:
        """``token`` on the running event loop."""

    def discard(self, token: str) -> None:
        """Obtain another one next time."""


def token_stage(source: TokenSource, *, is_async: bool) -> Stage:
    """Around the retries: puts the token on the call; one that the server refuses is replaced, once."""
    step = Await(source.atoken) if is_async else Do(source.token)

    def with_token(invocation: Invocation) -> Steps:
        obtained = yield step
        if not obtained.monoid[1]:
            return obtained
        outcome = yield _authorized(invocation, obtained.value)
        if outcome.monoid[1] or not _was_refused(failure_of(outcome)):
            return outcome
        source.discard(obtained.value)
        renewed = yield step
        if not renewed.monoid[1] or renewed.value == obtained.value:
            return outcome
        outcome = yield _authorized(invocation, renewed.value)
        return outcome

    return Stage("own_token", ORDER["auth"], with_token, "flow")


def _was_refused(failure: Failure) -> bool:
    """``unauthenticated``, or denied because of the token itself: not what a better token cannot help."""
    reason: Any = (failure.details or {}).get("reason")
    return failure.code == "unauthenticated" or (failure.code == "permission_denied" and reason in REFUSED)


def _authorized(invocation: Invocation, token: str) -> Invocation:
    fields = {**invocation.metadata.fields, "authorization": f"Bearer {token}"}
    return invocation._replace(metadata=Metadata.of_lower_case(fields))
