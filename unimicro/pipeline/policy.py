"""What a policy is: frozen settings that make one stage of one operation's pipeline."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar, get_args

from unimicro.errors import ConfigurationError, DefinitionError, nearest
from unimicro.pipeline.listeners import Listeners

if TYPE_CHECKING:
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.ports import Clock, Fetch
    from unimicro.pipeline.stages import Stage

T = TypeVar("T")

Mode = Literal["enforce", "shadow", "off"]
MODES: tuple[str, ...] = get_args(Mode)

_LARGEST = sys.float_info.max
"""A whole number above it is no time and no rate: arithmetic with it raises."""
MOST_SECONDS = 1e9
"""Thirty years: what threads and stores can still wait for."""


class Bound(NamedTuple):
    """The most that a call may take.

    Attributes:
        seconds: ``math.inf`` where nothing limits it.
        attempts: Calls of the method.
    """

    seconds: float
    attempts: int


class Assembly:
    """What policies may use while their stages are built.

    Attributes:
        clock: The app's source of time.
        listeners: Told of transitions, retries and rejections.

    Args:
        find_store: From (port, name) to the store of that name; see ``store``.
        find_fetch: Loads the HTTP client of authorizers.
    """

    def __init__(
        self,
        clock: Clock,
        listeners: Listeners | None = None,
        find_store: Callable[[str, str], Any] | None = None,
        find_fetch: Callable[[], Fetch] | None = None,
    ) -> None:
        self.clock = clock
        self.listeners = listeners or Listeners()
        self._find_store = find_store
        self._find_fetch = find_fetch
        self._shared: dict[tuple[str, str], tuple[object, Any]] = {}
        self._by_settings: list[tuple[Policy, Any]] = []

    def shared(self, kind: str, name: str, make: Callable[[], T], settings: object = None) -> T:
        """The one object of this app with that kind and name, made on first use.

        Raises:
            DefinitionError: It was made with other ``settings``.
        """
        if (kind, name) not in self._shared:
            self._shared[kind, name] = (settings, make())
        known, made = self._shared[kind, name]
        if known != settings:
            raise DefinitionError(f"{kind} {name!r} has other settings elsewhere")
        return made  # type: ignore[no-any-return]

    def shared_by_settings(self, policy: Policy, make: Callable[[], T]) -> T:
        """The one object of this app for policies equal to ``policy``, made on first use."""
        for known, made in self._by_settings:
            if known == policy:
                return made  # type: ignore[no-any-return]
        made = make()
        self._by_settings.append((policy, made))
        return made

    def store(self, port: str, store: Any, where: str) -> Any:
        """The store that a policy asks for.

        Args:
            port: ``breaker`` or ``idempotency``.
            store: A name from the configuration's ``[stores]``, ``memory``, or the store itself.
            where: Setting and place, for the error: ``Breaker.store of orders.place``.

        Raises:
            ConfigurationError: There is no store of that name, or it lacks this port.
        """
        if not isinstance(store, str):
            return store
        if self._find_store is None:
            raise ConfigurationError(f"{where}: there is no store {store!r}")
        find = self._find_store
        try:
            return self.shared(f"store of {port}", store, lambda: find(port, store))
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from error

    @property
    def fetch(self) -> Fetch:
        """The HTTP client for small documents, such as key sets."""
        if self._find_fetch is None:
            raise ConfigurationError("this app has no HTTP client for its authorizers")
        return self.shared("fetch", "", self._find_fetch)


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """Base of all policies. A subclass is a frozen dataclass of settings.

    Args:
        mode: ``enforce``; ``shadow`` decides, counts and logs but never changes an outcome; ``off`` leaves
            no stage.
    """

    mode: Mode = "enforce"

    name: ClassVar[str]
    """Key in the configuration; a policy replaces one of the same name that is merged before it."""

    @abstractmethod
    def stage(self, operation: Operation, assembly: Assembly) -> Stage | None:
        """Build the stage for ``operation``; ``None`` leaves no trace in its pipeline."""

    def check(self, options: EntryOptions) -> None:  # noqa: B027 - most policies have nothing to refuse
        """Refuse, when the entry is defined, what this policy must not be combined with.

        Raises:
            DefinitionError: With the reason.
        """

    def worst_case(self, below: Bound) -> Bound:
        """The most that a call may take with this policy around ``below``."""
        return below


def policy_from_config(kind: type[Policy], value: Any, where: str) -> Policy:
    """``true`` → the defaults, a table → the policy with those settings.

    Raises:
        ConfigurationError: A setting is unknown or impossible; the text names the place.
    """
    settings = {} if value is True else value
    if not isinstance(settings, Mapping):
        raise ConfigurationError(
            f"{where}: expected true, false, a mode ({', '.join(MODES)}) or a table, got {value!r}"
        )
    known = {field.name for field in fields(kind)}
    for name in settings:
        if name not in known:
            raise ConfigurationError(f"{where}: unknown setting {name!r}{nearest(name, known)}")
    try:
        policy = kind(**settings)
        require_mode(policy)
    except (TypeError, DefinitionError) as error:
        raise ConfigurationError(f"{where}: {error}") from error
    return policy


def require_mode(policy: Policy) -> None:
    """Check a policy's mode.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    if policy.mode not in MODES:
        raise DefinitionError(
            f"{type(policy).__name__}.mode must be one of {', '.join(MODES)}, got {policy.mode!r}"
        )


def require_above_zero(policy: Policy, **values: float) -> None:
    """Check settings at definition.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LARGEST:
            kind = type(policy).__name__
            raise DefinitionError(f"{kind}.{name} must be above 0 and finite, got {value!r}")


def require_seconds(policy: Policy, **values: float) -> None:
    """Check settings that are times at definition.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    require_above_zero(policy, **values)
    for name, value in values.items():
        if value > MOST_SECONDS:
            kind = type(policy).__name__
            raise DefinitionError(f"{kind}.{name} must be finite: at most {MOST_SECONDS:g} seconds")


def require_whole(policy: Policy, lowest: int = 1, **values: int) -> None:
    """Check settings that count something.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            kind = type(policy).__name__
            raise DefinitionError(f"{kind}.{name} must be a whole number from {lowest}, got {value!r}")


def require_text(policy: Policy, least: int = 1, **values: str) -> None:
    """Check settings that name something.

    Args:
        policy: Whose settings they are.
        least: Characters; 0 where the setting may be left empty.
        values: Setting to value.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    for name, value in values.items():
        if not isinstance(value, str) or len(value) < least:
            filled = " that is not empty" if least else ""
            raise DefinitionError(f"{type(policy).__name__}.{name} must be text{filled}, got {value!r}")


def require_flag(policy: Policy, **values: bool) -> None:
    """Check settings that are on or off: ``"false"`` would be on.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise DefinitionError(f"{type(policy).__name__}.{name} must be true or false, got {value!r}")
