"""A registry for the processes of one machine and user, through a file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from unimicro.channels.registries.asking import status_at
from unimicro.channels.registries.checked import require_registrable, require_seconds
from unimicro.channels.registries.keeping import Keeper
from unimicro.channels.registries.kept import KeptRegistry
from unimicro.channels.registries.shared_file import SharedFile
from unimicro.channels.registries.watching import Watches
from unimicro.discovery import ChannelAddress, Instance, RegistryUnavailable
from unimicro.errors import ConfigurationError
from unimicro.pipeline.clock import SystemClock
from unimicro.stores.settings import require_timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unimicro.channels.registries.watching import Watch
    from unimicro.discovery import Check
    from unimicro.pipeline.ports import Clock

__all__ = ["FileRegistry"]

BEATS = 3
"""Reports within the time that one of them must come in."""


class FileRegistry(KeptRegistry):
    """Instances in a file. Each process reports for its own from a thread, and asks their ``Check.url``.

    An instance whose report does not come within ``Check.interval`` is critical, and forgotten
    ``Check.deregister_after`` seconds later: its process was killed. One that the file has lost is put in
    again with its next report. Child processes of a fork report for none of their parent's.

    Args:
        path: Of the file, on a local disk. It is made with permission 0600; see ``SharedFile``.
        refresh: Seconds between two looks for changes.
        timeout: Seconds to wait for other processes that write.
        clock: Another source of the time of day, for tests.

    Raises:
        ConfigurationError: The file cannot be used, or a setting is impossible.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        refresh: float = 0.5,
        timeout: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ConfigurationError(f"path must name a file, got {path!r}")
        require_seconds("refresh", refresh)
        require_timeout(timeout)
        if clock is not None and not callable(getattr(clock, "time", None)):
            raise ConfigurationError(f"clock must be a Clock, got {clock!r}")
        self._now = (clock or SystemClock()).time
        self._file = SharedFile(os.fspath(path), timeout)
        self._refresh = refresh
        self._watches = Watches(self._follow)
        self._keeper = Keeper()

    def register(self, instance: Instance, check: Check) -> None:
        """See ``Registry``.

        Raises:
            ConfigurationError: Instance or check are impossible.
            RegistryUnavailable: The file cannot be written, or the registry was closed.
        """
        require_registrable(instance, check)
        self._watches.require_open()
        self._keeper.drop(instance.id)
        report = _Report(instance, check)
        self._write(report)
        self._keeper.keep(instance.id, check.interval / BEATS, partial(self._beat, report))

    def deregister(self, instance_id: str) -> None:
        """See ``Registry``."""
        self._keeper.drop(instance_id)
        with self._changed() as rows:
            rows.pop(instance_id, None)

    def find(self, component: str) -> tuple[Instance, ...]:
        """See ``Registry``."""
        with _unavailable():
            rows = self._file.read()
        now = self._now()
        found = (_instance(instance_id, row, component, now) for instance_id, row in rows.items())
        return tuple(instance for instance in found if instance is not None)

    def _follow(self, watch: Watch) -> None:
        while not watch.ended:
            try:
                watch.tell(self.find(watch.component))
            except RegistryUnavailable as error:
                watch.failed(error)
            else:
                watch.answered()
            watch.pause(self._refresh)

    def _beat(self, report: _Report) -> None:
        report.look()
        self._write(report)

    def _write(self, report: _Report) -> None:
        with self._changed() as rows:
            now = self._now()
            # A report is written whole: the file may have lost the one before.
            rows[report.instance.id] = report.row(now)
            for instance_id in [each for each, row in rows.items() if _is_forgotten(row, now)]:
                del rows[instance_id]

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        with _unavailable(), self._file.changed() as rows:
            yield rows
        self._watches.wake()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryUnavailable(f"the file of the registry cannot be used: {error}") from error


class _Report:
    """What a process says of one of its instances."""

    def __init__(self, instance: Instance, check: Check) -> None:
        self.instance = instance
        self._check = check
        self._status: str = instance.status
        self._beats = 0

    def look(self) -> None:
        """Ask the instance, once per interval of its check."""
        self._beats += 1
        if self._check.url and self._beats % BEATS == 0:
            self._status = status_at(self._check.url, self._check.timeout)

    def row(self, now: float) -> dict[str, Any]:
        """As it stands in the file."""
        check = self._check
        return {
            "component": self.instance.component,
            "addresses": [list(address) for address in self.instance.addresses],
            "status": self._status,
            "meta": dict(self.instance.meta),
            "reported": now,
            # Asking may hold up the report.
            "within": check.interval + (check.timeout if check.url else 0.0),
            "forget_after": check.deregister_after,
        }


def _is_forgotten(row: Any, now: float) -> bool:
    """Also what somebody else wrote and nobody can read."""
    try:
        return bool(now > row["reported"] + row["within"] + row["forget_after"])
    except (TypeError, KeyError):
        return True


def _instance(instance_id: str, row: Any, component: str, now: float) -> Instance | None:
    if _is_forgotten(row, now) or row.get("component") != component:
        return None
    # A report of the future is none: the clock was set back.
    alive = -row["within"] <= now - row["reported"] <= row["within"]
    try:
        addresses = tuple(ChannelAddress(channel, uri) for channel, uri in row["addresses"])
        return Instance(
            instance_id, component, addresses, row["status"] if alive else "critical", row["meta"]
        )
    except (TypeError, ValueError, KeyError):
        return None
