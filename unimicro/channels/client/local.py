"""The channel ``local``: the service in this process, through the same pipeline as behind any door."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from unimicro.channels.client.channel import Channel, Connection, NotSent
from unimicro.errors import ConfigurationError
from unimicro.invocation import IN_PROCESS
from unimicro.outcome import Left, failure_of
from unimicro.pipeline.circuit import CircuitOpen

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.invocation import Invocation
    from unimicro.operation import Operation
    from unimicro.outcome import Outcome


class LocalChannel(Channel[None]):
    """Calls the services of an app; arguments and results are the objects themselves."""

    name = "local"

    def prepare(self, operation: Operation) -> None:
        """Nothing: the app has compiled the operation."""

    def connect(self, uri: str) -> Connection[None]:
        app = self.context.app
        if app is None:
            raise ConfigurationError("the channel 'local' needs an app")
        return LocalConnection(app)


class LocalConnection(Connection[None]):
    """To one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def invoke(self, wire: None, invocation: Invocation) -> Outcome[Any]:
        return _answer(self._app.run(self._received(invocation)))

    async def ainvoke(self, wire: None, invocation: Invocation) -> Outcome[Any]:
        return _answer(await self._app.arun(self._received(invocation)))

    def _received(self, invocation: Invocation) -> Invocation:
        """Code that holds the app is trusted, as with ``App.call``."""
        return invocation._replace(
            principal=IN_PROCESS, door="local", stage=self._app.settings.stage, native=None
        )


def _answer(outcome: Outcome[Any]) -> Outcome[Any]:
    """As every channel brings it back: a failure of the service is none of its client.

    A service may hand on the failure of a call of its own that was never sent. It has run itself.
    """
    if outcome.monoid[1] or not isinstance(failure_of(outcome).cause, NotSent | CircuitOpen):
        return outcome
    failure = copy(failure_of(outcome))
    failure.cause = None
    return Left(failure)
