"""The retry of operations that must not be repeated: of calls that were never sent, and of no others."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from unimicro.channels.client.channel import NotSent
from unimicro.pipeline.circuit import CircuitOpen
from unimicro.pipeline.retry import Retry

if TYPE_CHECKING:
    from unimicro.options import EntryOptions
    from unimicro.outcome import Failure

__all__ = ["RetryUnsent"]


@dataclass(frozen=True)
class RetryUnsent(Retry):
    """A client's ``Retry`` with the same settings, for any operation.

    That a call was not sent is known in this process alone, by the ``cause`` of its failure: a service can
    say what it likes.
    """

    @classmethod
    def like(cls, retry: Retry) -> RetryUnsent:
        """With the settings of ``retry``."""
        return cls(**{field.name: getattr(retry, field.name) for field in fields(Retry)})

    def check(self, options: EntryOptions) -> None:
        """Nothing to refuse: no call is made twice."""

    def repeats(self, failure: Failure) -> bool:
        return isinstance(failure.cause, NotSent | CircuitOpen)
