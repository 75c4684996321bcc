"""What a policy is: frozen settings that make one stage of one operation's pipeline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from unimicro.errors import ConfigurationError, DefinitionError, nearest

if TYPE_CHECKING:
    from unimicro.operation import Operation
    from unimicro.options import EntryOptions
    from unimicro.pipeline.ports import Clock
    from unimicro.pipeline.stages import Stage

T = TypeVar("T")


class Assembly:
    """What policies may use while their stages are built: the clock, and state shared by name."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._shared: dict[tuple[str, str], Any] = {}

    def shared(self, kind: str, name: str, make: Callable[[], T]) -> T:
        """The one object of this app with that kind and name, made on first use."""
        return self._shared.setdefault((kind, name), make())  # type: ignore[no-any-return]


class Policy(ABC):
    """Base of all policies. A subclass is a frozen dataclass of settings."""

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


def policy_from_config(kind: type[Policy], value: Any, where: str) -> Policy | None:
    """``false`` → off, ``true`` → the defaults, a table → the policy with those settings.

    Raises:
        ConfigurationError: A setting is unknown or impossible; the text names the place.
    """
    if value is False:
        return None
    settings = {} if value is True else value
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{where}: expected true, false or a table, got {value!r}")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            raise ConfigurationError(f"{where}: unknown setting {name!r}{nearest(name, known)}")
    try:
        return kind(**settings)
    except (TypeError, DefinitionError) as error:
        raise ConfigurationError(f"{where}: {error}") from error


def require_above_zero(policy: Policy, **values: float) -> None:
    """Check settings at definition.

    Raises:
        DefinitionError: Naming policy and setting.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise DefinitionError(f"{type(policy).__name__}.{name} must be above 0, got {value!r}")
