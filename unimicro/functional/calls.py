"""Calls that a program makes by itself, with policies of the house around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from unimicro.invocation import Invocation, current_invocation
from unimicro.pipeline.compiler import stage_of

if TYPE_CHECKING:
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Assembly, Policy
    from unimicro.pipeline.stages import Stage

__all__ = ["call_of", "stages_for"]


class _Target(NamedTuple):
    """What stands for the operation: of such a call policies use the name."""

    name: str


def call_of(name: str, **fields: Any) -> Invocation:
    """The invocation of a call with that name; one that is made while another is served has its id."""
    served = current_invocation()
    return Invocation(name, id="none" if served is None else served.id, **fields)


def stages_for(policy: Policy | None, name: str, assembly: Assembly) -> tuple[Stage, ...]:
    """The stage of ``policy`` for calls with that name, if it leaves one.

    Raises:
        DefinitionError: A setting is impossible.
    """
    if policy is None:
        return ()
    stage = stage_of(policy, cast("Operation", _Target(name)), assembly)
    return () if stage is None else (stage,)
