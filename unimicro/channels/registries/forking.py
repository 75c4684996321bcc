"""After a fork the child has none of its parent's threads: what lives by them is told."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["tell_after_fork"]


class Forked(Protocol):
    """What has threads."""

    def after_fork(self) -> None:
        """Called in the child, which has this thread alone: locks may be held by others that are gone."""


_told: weakref.WeakSet[Forked] = weakref.WeakSet()


def tell_after_fork(forked: Forked) -> None:
    """Call ``forked.after_fork()`` in every child process, as long as it lives."""
    _told.add(forked)


def _tell() -> None:
    for forked in list(_told):
        forked.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
