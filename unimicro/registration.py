"""Makes the components of a served app known to a registry, and takes them back."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unimicro.discovery import ChannelAddress, Check, Instance
from unimicro.errors import ConfigurationError
from unimicro.pipeline.time_limit import TimeLimit
from unimicro.siblings import Siblings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unimicro.discovery import Registry
    from unimicro.pipeline.ports import Clock

__all__ = ["Advertised", "Registration", "RegistrationSettings"]

log = logging.getLogger("unimicro")

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds between two attempts to register, doubled up to the longest."""

LEAVING = 5.0
"""Seconds that a registry may take to be told that the app goes: its outage must not hold up the end."""


@dataclass(frozen=True)
class RegistrationSettings:
    """What ``[registry]`` says of this app itself, beside the registry's own settings.

    Attributes:
        advertise: URL under which others reach this server; what the server knows if empty.
        register: Whether the app makes itself known; without it is a client of the registry only.
        check_interval: Seconds between two checks by the registry.
        check_timeout: Seconds that an answer to one may take.
        deregister_after: Seconds critical after which the registry forgets an instance; at least 60.
    """

    advertise: str = ""
    register: bool = True
    check_interval: float = 2.0
    check_timeout: float = 1.0
    deregister_after: float = 60.0

    def __post_init__(self) -> None:
        if not isinstance(self.advertise, str):
            raise ConfigurationError(f"registry.advertise must be a URL, got {self.advertise!r}")
        if type(self.register) is not bool:
            raise ConfigurationError(f"registry.register must be true or false, got {self.register!r}")
        lowest = {"check_interval": 0.1, "check_timeout": 0.1, "deregister_after": 60.0}
        for name, least in lowest.items():
            seconds = getattr(self, name)
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not number or not least <= seconds <= 86_400:
                raise ConfigurationError(f"registry.{name} must be {least:g} to 86400 s, got {seconds!r}")

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> RegistrationSettings:
        """From the table of the configuration; the registry's own settings in it are passed over."""
        return cls(**{name: table[name] for name in cls.__dataclass_fields__ if name in table})

    def check(self, url: str) -> Check:
        """The check that asks ``url``; an instance that reports by itself if empty."""
        return Check(url, self.check_interval, self.check_timeout, self.deregister_after)


class Advertised:
    """A URL under which a server is reached.

    Args:
        url: ``http://10.0.0.5:8000``.
        where: Who says so, for errors.

    Raises:
        ConfigurationError: It is no HTTP URL of one machine, or has a query or a password.
    """

    def __init__(self, url: str, where: str) -> None:
        if set("@?#").intersection(url):
            # First: no other refusal may show a password.
            raise ConfigurationError(f"{where}: the URL may have neither a login nor a query")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"{where}: {url!r} is no URL: {error}") from error
        ascii_only = re.fullmatch(r"[!-~]+", url)  # RFC 3986 §2; urlsplit drops line ends without a word
        if not ascii_only or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ConfigurationError(f"{where}: {url!r} is no URL such as http://10.0.0.5:8000")
        if _is_every_address(parts.hostname):
            raise ConfigurationError(
                f"{where}: {parts.hostname} is every address of this machine, not one that others can call;"
                " say which in [registry] advertise or UNIMICRO_ADVERTISE"
            )
        self.url = url.rstrip("/")
        self.port = port or {"http": 80, "https": 443}[parts.scheme]
        self._place = f"{parts.hostname}-{self.port}{parts.path.rstrip('/')}"

    def instance(self, component: str, addresses: Sequence[ChannelAddress]) -> Instance:
        """The copy of a component that is served here; its id is the same after a restart."""
        where = re.sub(r"[^A-Za-z0-9.-]+", "-", self._place)
        return Instance(f"{component}-{where}", component, tuple(addresses))


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


class Registration:
    """Registers in the background, again and again until it succeeds.

    A registry that is down is no reason for an app to be.

    Args:
        registry: Finds the one to tell; asked each time that the app begins to be served.
        entries: Instances, and how each is checked.
        clock: Source of time.
    """

    def __init__(
        self,
        registry: Callable[[], Registry],
        entries: Sequence[tuple[Instance, Check]],
        clock: Clock,
    ) -> None:
        self.entries = tuple(entries)
        self._find_registry = registry
        self._registry = registry()
        self._clock = clock
        self._siblings = Siblings("\n".join(instance.id for instance, _ in entries))
        self._ending = Event()
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Register in a thread."""
        self._ending = Event()
        self._registry = self._find_registry()
        self._thread = Thread(
            target=self._run, args=(self._ending,), name="unimicro-registration", daemon=True
        )
        self._thread.start()

    def _run(self, ending: Event) -> None:
        self._siblings.join()
        pending, wait = list(self.entries), FIRST_WAIT
        while not ending.is_set():
            pending = [entry for entry in pending if not self._told(*entry, wait)]
            if not pending:
                return
            self._clock.wait_for(ending, wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def _told(self, instance: Instance, check: Check, wait: float) -> bool:
        try:
            self._registry.register(instance, check)
        except ConfigurationError as error:
            log.error("%s cannot be registered: %s", instance.id, error)
            return True
        except Exception as error:
            # Any: registries of others may raise anything, and the app is served all the same.
            log.warning("%s is not registered yet, next try in %g s: %s", instance.id, wait, error)
            return False
        log.info(
            "registered %s: %s", instance.id, ", ".join(address.uri for address in instance.addresses[:1])
        )
        return True

    def end(self) -> None:
        """Take the instances back, unless other workers of the same server still serve them."""
        self._ending.set()
        try:
            TimeLimit(LEAVING)(self._leave)
        except Exception as error:
            log.warning("the registry was not told that this app goes: %s", error)

    def _leave(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if not self._siblings.leave():
            for instance, _ in self.entries:
                self._registry.release(instance.id)
            return
        try:
            for instance, _ in self.entries:
                self._registry.deregister(instance.id)
        finally:
            self._siblings.done()
