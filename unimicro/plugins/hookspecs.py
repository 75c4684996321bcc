"""All hooks of unimicro. They run while an app is assembled or a door or proxy is made, never per request.

A plugin is any object (a module, usually) whose functions carry ``@hookimpl`` and the names below.
Parameters that an implementation does not need may be left out of its signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unimicro.app import App
    from unimicro.channels.client.channel import Channel
    from unimicro.discovery import Registry
    from unimicro.frontend import FrontEnd
    from unimicro.operation import Operation
    from unimicro.pipeline.policy import Policy

PROJECT = "unimicro"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class RegisterDoor(Protocol):
    """Make a door available under ``name``; ``factory`` gets the app when the door is first asked for."""

    def __call__(self, name: str, factory: Callable[[App], FrontEnd[Any, Any]]) -> None: ...


class RegisterChannel(Protocol):
    """Make a channel available under ``name``; ``factory`` is its class, which has the name too."""

    def __call__(self, name: str, factory: type[Channel[Any]]) -> None: ...


class RegisterRegistry(Protocol):
    """Let ``[registry] kind`` be ``name``; ``factory`` gets the other settings of the table as keywords."""

    def __call__(self, name: str, factory: Callable[..., Registry]) -> None: ...


class RegisterStage(Protocol):
    """Add a guard or a flow to the operation's pipeline; a lower ``order`` runs first."""

    def __call__(self, name: str, stage: Callable[..., Any], *, order: int = 40) -> None: ...


class RegisterPolicy(Protocol):
    """Put a policy on the operation; it takes the place of one of the same name from anywhere else."""

    def __call__(self, policy: Policy) -> None: ...


class RegisterPolicyKind(Protocol):
    """Let the configuration name a kind of policy: ``name`` is its key in ``[policies]``, ``[entries]``."""

    def __call__(self, name: str, kind: type[Policy]) -> None: ...


class RegisterEvent(Protocol):
    """Recognise a shape of Lambda event before the built-in ones.

    ``matches`` is asked with each event; ``respond(event, context)`` returns what the function answers.
    """

    def __call__(
        self,
        name: str,
        matches: Callable[[Mapping[str, Any]], bool],
        respond: Callable[[Mapping[str, Any], Any], Any],
    ) -> None: ...


class UnimicroSpec:
    """The hooks, in the order in which they run."""

    @hookspec
    def unimicro_register_doors(self, register: RegisterDoor) -> None:
        """Register doors."""

    @hookspec
    def unimicro_register_channels(self, register: RegisterChannel) -> None:
        """Register channels over which other services can be called."""

    @hookspec
    def unimicro_register_registries(self, register: RegisterRegistry) -> None:
        """Register kinds of registries."""

    @hookspec
    def unimicro_register_policy_kinds(self, register: RegisterPolicyKind) -> None:
        """Register kinds of policies that the configuration may name."""

    @hookspec
    def unimicro_register_policies(self, operation: Operation, register: RegisterPolicy) -> None:
        """Register policies of ``operation``; called once per operation, after everything else was merged."""

    @hookspec
    def unimicro_register_stages(self, operation: Operation, register: RegisterStage) -> None:
        """Register stages of ``operation``; called once per operation."""

    @hookspec
    def unimicro_assembled(self, app: App) -> None:
        """The app is complete: look at ``app.operations``, keep a reference, change nothing."""

    @hookspec
    def unimicro_register_lambda_events(self, app: App, register: RegisterEvent) -> None:
        """Register shapes of Lambda events; called when the Lambda door is made."""
