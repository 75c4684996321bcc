"""The options of a ``ServiceManager``, for type checkers: ``connect`` takes them too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.app import App
    from unimicro.channels.client.own_token import TokenSource
    from unimicro.channels.client.selectors import Selector
    from unimicro.config import Config
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.ports import Clock

__all__ = ["ManagerOptions"]


class ManagerOptions(TypedDict, total=False):
    """All but ``registry``; what they mean stands at ``ServiceManager``."""

    app: App | None
    policies: Sequence[Policy]
    selector: str | Callable[[], Selector]
    token: str | Callable[[], str | None] | TokenSource | None
    forward_token: bool
    client: Callable[[], Any] | None
    async_client: Callable[[], Any] | None
    listeners: Sequence[object]
    plugins: Sequence[object]
    config: Config
    clock: Clock | None
