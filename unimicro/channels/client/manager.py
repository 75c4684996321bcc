"""Typed proxies of services: ``connect`` for one, ``ServiceManager`` for several."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from unimicro.assembly import StoreFinder
from unimicro.channels.client.calls import Route, method_for
from unimicro.channels.client.channel import Channel, ChannelContext
from unimicro.channels.client.context import Outgoing
from unimicro.channels.client.endpoints import Endpoints, uris_of
from unimicro.channels.client.interface import Interface, owner_of
from unimicro.channels.client.kinds import Kinds
from unimicro.channels.client.own_token import TokenSource
from unimicro.channels.client.settings import ClientSettings, client_settings
from unimicro.config import load_settings
from unimicro.discovery import RegistryUnavailable
from unimicro.errors import ConfigurationError
from unimicro.options import listed
from unimicro.pipeline.clock import SystemClock, WithoutWaits
from unimicro.pipeline.listeners import Listeners
from unimicro.pipeline.policy import Assembly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.app import App
    from unimicro.channels.client.endpoints import Endpoint
    from unimicro.channels.client.manager_options import ManagerOptions
    from unimicro.channels.client.selectors import Selector
    from unimicro.config import Config
    from unimicro.discovery import Instance, Registry
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.ports import Clock

__all__ = ["ServiceManager", "adisconnect", "connect", "disconnect"]

T = TypeVar("T")
_Place = tuple[str, str, tuple[str, ...]]
"""Component, channel, and the addresses that were given."""

PREFERENCE = ("dispatch-msgpack", "dispatch-json", "rest", "stream")
"""Which channel is taken where neither the caller nor the configuration says."""


class ServiceManager:
    """Makes proxies of service interfaces, and keeps what they share: connections, circuits, watches.

    Args:
        app: Its services are called in this process, through the same pipeline, unless another channel is
            asked for; its settings, clock and listeners are used.
        registry: Where instances are found; by default the app's, or what ``[registry]`` of the configuration
            says.
        policies: Around every call, instead of those of the same name among ``DEFAULT_POLICIES``; the tables
            ``[clients]`` and ``[clients.<service>]`` of the configuration replace them in turn.
        selector: ``first``, ``round robin``, ``random``, ``two choices``, or a factory of a ``Selector``.
        token: Sent with each call: text, a function asked for it, or a ``SelfToken``; by default the token of
            the caller that is being served.
        forward_token: Whether that token is sent on.
        client: Makes the ``httpx.Client`` of each HTTP channel: here requests can be intercepted.
        async_client: Makes its ``httpx.AsyncClient``, once per event loop.
        listeners: As for ``App``.
        plugins: Objects, or names of installed plugins: for their channels and registries. One that is called
            as its channel or registry is found without being listed; so are those of ``app``.
        config: As for ``App``; the app's own where there is one.
        clock: Another source of time, for tests: that of the app in whose services the proxies are used, as
            the deadlines of its calls are on it.

    Raises:
        ConfigurationError: A setting is impossible.
    """

    def __init__(
        self,
        *,
        app: App | None = None,
        registry: Registry | None = None,
        policies: Sequence[Policy] = (),
        selector: str | Callable[[], Selector] = "",
        token: str | Callable[[], str | None] | TokenSource | None = None,
        forward_token: bool = True,
        client: Callable[[], Any] | None = None,
        async_client: Callable[[], Any] | None = None,
        listeners: Sequence[object] = (),
        plugins: Sequence[object] = (),
        config: Config = None,
        clock: Clock | None = None,
    ) -> None:
        self._app = app
        self._settings = load_settings(None, config) if app is None else app.settings
        self._clock = clock or (SystemClock() if app is None else app.clock)
        if app is None and not self._settings.waits:
            self._clock = WithoutWaits(self._clock)
        self._registry = registry
        self._policies = listed("policies", policies)
        self._selector = selector
        self._token_source = token if isinstance(token, TokenSource) else None
        self._outgoing = Outgoing(None if isinstance(token, TokenSource) else token, forward=forward_token)
        self._make_clients = (client, async_client)
        self._listeners = (
            app.listeners if app is not None and not listeners else Listeners(listed("listeners", listeners))
        )
        self._kinds = Kinds(app, self._settings, listed("plugins", plugins))
        self._find_store = cache(StoreFinder({}, self._settings.stores))
        self._lock = RLock()
        self._ways: dict[_Place, tuple[Channel[Any], Endpoints]] = {}
        self._unwatch: dict[_Place, Callable[[], None]] = {}
        self._assemblies: dict[tuple[Endpoints, str], Assembly] = {}

    def get_service(
        self,
        interface: Callable[..., T],
        preferred_channel: str = "",
        *,
        address: str | Sequence[str] = (),
        name: str = "",
    ) -> T:
        """An object of the interface whose methods call the service, wherever it is.

        Args:
            interface: A class derived from ``Service``, abstract or not.
            preferred_channel: Name of a channel; else what the configuration says, the app's own service, or
                the one that most instances offer, of several the first of ``PREFERENCE``.
            address: Of the service, one or several, instead of a registry.
            name: Of the service, where its ``__init__`` gives it another than the class has.

        Returns:
            Sync methods block, async ones are awaited. A failure is raised: a declared error as the same
            class, any other as the class of its code, see ``unimicro.errors``.

        Raises:
            ConfigurationError: There is no such channel, nothing says where the service is, the registry does
                not answer, or the interface has a type that the channel cannot carry.
        """
        known = Interface(interface, name, self._settings.stage, self._settings.max_fields)
        settings = client_settings(
            known.name, self._settings.clients, self._policies, self._selector, preferred_channel, address
        )
        selector = settings.new_selector()
        channel, endpoints = self._way(known, settings)
        # Budgets and the like are those of a service, however many proxies of it there are.
        with endpoints.making:
            route = Route(
                channel=channel,
                endpoints=endpoints,
                selector=selector,
                policies=settings.policies,
                assembly=self._assemblies.setdefault((endpoints, known.name), self._assembly()),
                assembly_of=self._assembly_of,
                outgoing=self._outgoing,
                token_source=self._token_source,
            )
            methods = {
                method: method_for(operation, settings.for_operation(operation, route))
                for method, operation in known.operations.items()
            }
        return cast("T", known.proxy(methods, self))

    async def aget_service(
        self,
        interface: Callable[..., T],
        preferred_channel: str = "",
        *,
        address: str | Sequence[str] = (),
        name: str = "",
    ) -> T:
        """``get_service`` in a worker thread: the registry may take its time to answer."""
        import asyncio

        return await asyncio.to_thread(
            self.get_service, interface, preferred_channel, address=address, name=name
        )

    # -- where it is ---------------------------------------------------------------------------

    def _way(self, interface: Interface, settings: ClientSettings) -> tuple[Channel[Any], Endpoints]:
        if settings.channel:
            # A misspelt one is named before it is asked where the service is.
            self._kinds.channel(settings.channel)
        if self._is_local(interface, settings):
            return self._kept(interface, "local", ("",), None)
        if settings.addresses:
            return self._kept(interface, settings.channel or PREFERENCE[0], settings.addresses, None)
        registry = self._registry_for(interface)
        try:
            instances = registry.find(interface.component)
            channel = settings.channel or _offered(instances)
            return self._kept(interface, channel, tuple(uris_of(instances, channel)), registry)
        except RegistryUnavailable as error:
            raise ConfigurationError(f"{interface.name}: the registry does not answer: {error}") from error

    def _is_local(self, interface: Interface, settings: ClientSettings) -> bool:
        served = self._app is not None and any(s.name == interface.name for s in self._app.services)
        if settings.channel == "local" and not served:
            raise ConfigurationError(
                f"{interface.name}: the channel 'local' needs an app that has the service"
            )
        return served and settings.channel in ("", "local") and not settings.addresses

    def _registry_for(self, interface: Interface) -> Registry:
        found = self._kinds.registry() if self._registry is None else self._registry
        if found is None:
            raise ConfigurationError(
                f"{interface.name}: nothing says where it is; give registry=, address=, or"
                f" [clients.{interface.name}] address in the configuration"
            )
        return found

    def _kept(
        self, interface: Interface, channel_name: str, uris: tuple[str, ...], registry: Registry | None
    ) -> tuple[Channel[Any], Endpoints]:
        """The endpoints of a component on a channel, made once: proxies of its services share them.

        What a registry says is watched; after ``close`` anew.
        """
        given = uris if registry is None else ()
        place = (interface.component, channel_name, given)
        with self._lock:
            if place not in self._ways:
                channel = self._channel(channel_name, interface)
                self._ways[place] = channel, Endpoints(channel, given)
            _, endpoints = self._ways[place]
            if registry is not None and place not in self._unwatch:
                endpoints.replace(uris)
                self._unwatch[place] = registry.watch(interface.component, endpoints.take)
            return self._ways[place]

    def _channel(self, name: str, interface: Interface) -> Channel[Any]:
        kind = self._kinds.channel(name)
        client, async_client = self._make_clients
        settings = self._settings.channels.get(name, {})
        return kind(
            ChannelContext(self._clock, interface.component, settings, client, async_client, self._app)
        )

    def _assembly(self) -> Assembly:
        return Assembly(self._clock, self._listeners, self._find_store)

    def _assembly_of(self, endpoint: Endpoint) -> Assembly:
        if endpoint.assembly is None:
            endpoint.assembly = self._assembly()
        return endpoint.assembly

    # -- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """End all watches and connections.

        Proxies can still be used: they connect anew, and hear of no changes until ``get_service`` is called
        for their service again. A registry that was given stays open.
        """
        # A stack, last in first out: one that cannot be closed must not keep the others open.
        with ExitStack() as closing:
            for channel, endpoints in tuple(self._ways.values()):
                closing.callback(channel.close)
                closing.callback(endpoints.close)
            self._end_watches(closing)

    async def aclose(self) -> None:
        """``close``, and what the running event loop holds open."""
        async with AsyncExitStack() as closing:
            for channel, endpoints in tuple(self._ways.values()):
                closing.push_async_callback(channel.aclose)
                closing.push_async_callback(endpoints.aclose)
            self._end_watches(closing)

    def _end_watches(self, closing: ExitStack | AsyncExitStack) -> None:
        with self._lock:
            watches, self._unwatch = self._unwatch, {}
        closing.callback(self._kinds.close)
        for end in watches.values():
            closing.callback(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def _offered(instances: Sequence[Instance]) -> str:
    """The channel on which most instances can be called; of several the first of ``PREFERENCE``."""
    healthy = [instance for instance in instances if instance.status != "critical"]
    offered = Counter(
        channel
        for instance in healthy or instances
        for channel in {address.channel for address in instance.addresses}
    )
    return max(PREFERENCE, key=offered.__getitem__)


def connect(
    interface: Callable[..., T],
    *,
    address: str | Sequence[str] = (),
    registry: Registry | None = None,
    channel: str = "",
    name: str = "",
    **options: Unpack[ManagerOptions],
) -> T:
    """A proxy of one service, with a ``ServiceManager`` of its own.

    >>> orders = connect(Orders, address="http://127.0.0.1:8000")

    Args:
        interface: As for ``ServiceManager.get_service``, like ``address`` and ``name``.
        address: Of the service.
        registry: Where it is found, instead of ``address``.
        channel: Name of the channel.
        name: Of the service.
        options: Of ``ServiceManager``.

    Raises:
        ConfigurationError: As ``ServiceManager.get_service``.
    """
    manager = ServiceManager(registry=registry, **options)
    return manager.get_service(interface, channel, address=address, name=name)


def disconnect(proxy: object) -> None:
    """Close the connections of a proxy, and of all others of its manager.

    Raises:
        TypeError: It is no proxy.
    """
    cast("ServiceManager", owner_of(proxy)).close()


async def adisconnect(proxy: object) -> None:
    """``disconnect``, and what the running event loop holds open."""
    await cast("ServiceManager", owner_of(proxy)).aclose()
