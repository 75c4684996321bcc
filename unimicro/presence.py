"""Whether an app is there to be called: started, ready, known to a registry, or on its way out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from unimicro.component import COMPONENT, connect_component
from unimicro.discovery import ChannelAddress
from unimicro.errors import ConfigurationError
from unimicro.health import PATH, READY, Health, HealthStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unimicro.app import App
    from unimicro.discovery import Check, Instance, Registry
    from unimicro.lifecycle import Lifecycle
    from unimicro.registration import Advertised, Registration, RegistrationSettings

__all__ = ["Presence"]

log = logging.getLogger("unimicro")

UNTIL_CLIENTS_KNOW = 3.0
"""Seconds that clients of a registry may take to see that an instance has gone."""


class Presence:
    """Of one app. Servers tell it what happens; ``/readyz`` and the registry tell others.

    Args:
        app: The app.
        lifecycle: It knows whether all has been started.

    Attributes:
        draining: The app has been asked to end.
    """

    def __init__(self, app: App, lifecycle: Lifecycle) -> None:
        self.draining = False
        self._app = app
        self._lifecycle = lifecycle
        self._planned = False
        self._registration: Registration | None = None
        self._announced = False

    # -- what /readyz and /startupz say --------------------------------------------------------

    def startedness(self) -> Health:
        """``OK`` once everything has been set up."""
        return Health() if self._lifecycle.ready else Health(HealthStatus.ERROR, notes=("not started",))

    def readiness(self) -> Health:
        """``OK`` from then on until the app drains."""
        return Health(HealthStatus.ERROR, notes=("draining",)) if self.draining else self.startedness()

    @property
    def drain_wait(self) -> float:
        """Seconds to go on serving once the app is not ready any more."""
        given = self._app.settings.drain_wait
        if given is not None:
            return given
        return 0.0 if self._registration is None else UNTIL_CLIENTS_KNOW

    # -- the registry --------------------------------------------------------------------------

    @property
    def registered(self) -> tuple[str, ...]:
        """Ids of the instances that ``announce`` makes known."""
        entries = () if self._registration is None else self._registration.entries
        return tuple(instance.id for instance, _ in entries)

    def plan(self, channels: Sequence[str], url: str = "") -> None:
        """Find out what to register; nobody is told yet. A second call does nothing.

        Args:
            channels: That the server has.
            url: Under which it is reached, where the configuration says none.

        Raises:
            ConfigurationError: Nothing says under which address the app is reached, or the registry cannot be
                as configured.
        """
        if self._planned:
            return
        from unimicro.registration import Advertised, Registration, RegistrationSettings

        settings = RegistrationSettings.of(self._app.settings.registry)
        registry = self._app.registry if settings.register else None
        given = settings.advertise or url
        if registry is not None and not given:
            raise ConfigurationError(
                "registry: nothing says under which address this app is reached: say it in [registry]"
                " advertise or UNIMICRO_ADVERTISE, start it with unimicro serve, or say register = false"
            )
        self._planned = True
        if not given:
            return
        at = Advertised(given, "registry.advertise" if settings.advertise else "the server")
        entries = self._entries(at, tuple(ChannelAddress(channel, at.url) for channel in channels), settings)
        if registry is not None:
            self._registration = Registration(self._registry, entries, self._app.clock)

    def _registry(self) -> Registry:
        """Asked when the app is served again too: one that it made itself was closed when it stopped."""
        return cast("Registry", self._app.registry)

    def _entries(
        self, at: Advertised, reachable: tuple[ChannelAddress, ...], settings: RegistrationSettings
    ) -> list[tuple[Instance, Check]]:
        """The components, and each other service as a component of its own name."""
        named: dict[str, tuple[str, Sequence[ChannelAddress]]] = {}
        for component in self._app.components:
            connect_component(component, reachable)
            path = getattr(component, PATH, READY)
            named[component.name] = path, component.get_addresses(at.port)
        for service in self._app.services:
            named.setdefault(getattr(service, COMPONENT, service.name), (READY, reachable))
        return [
            (at.instance(name, addresses), settings.check(at.url + path if path in self._app.pages else ""))
            for name, (path, addresses) in named.items()
            if addresses
        ]

    def announce(self) -> None:
        """The app is served from now on: register what was planned."""
        self.draining = False
        if self._registration is not None and not self._announced:
            self._announced = True
            self._registration.begin()

    def withdraw(self) -> None:
        """The app is about to end: not ready, and not in the registry. Blocks some seconds at most."""
        self.draining = True
        if self._registration is not None and self._announced:
            self._announced = False
            self._registration.end()

    async def awithdraw(self) -> None:
        """``withdraw`` on the running event loop."""
        from unimicro.pipeline.bottom import in_thread

        self.draining = True
        await in_thread(None, self.withdraw)
