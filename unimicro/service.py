"""What a user writes: a ``Service`` with entries, events and timers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from unimicro.errors import DefinitionError
from unimicro.options import EntryOptions, collect_options

if TYPE_CHECKING:
    from unimicro.options import Cors
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.stages import Flow, Guard

__all__ = ["Binding", "Event", "Every", "Http", "Service", "entry", "event", "every"]

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
BINDINGS = "__unimicro_bindings__"
INTERFACE = "__unimicro_interface__"
"""On a class that ``@service`` made an interface: the class itself."""

_WHO_MAY = ("auth", "activities")
"""Policies that say who may call."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Http:
    """An HTTP binding. ``verb`` and ``path`` are ``None`` where the method's name decides."""

    verb: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class Event:
    """Called for each event of ``type`` that ``source`` publishes."""

    source: str
    type: str


@dataclass(frozen=True)
class Every:
    """Called every ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Binding:
    """One decorator on a method: what calls it, and how."""

    trigger: Http | Event | Every
    options: EntryOptions = field(default_factory=EntryOptions)
    says_auth: bool = False
    """It was said who may call; else ``@service(no_auth=True)`` may open it."""


def _bind(method: F, trigger: Http | Event | Every, options: EntryOptions, *, says_auth: bool = False) -> F:
    if not callable(method) or isinstance(method, staticmethod):
        raise DefinitionError(f"decorate a method, not {method!r}")
    method.__dict__.setdefault(BINDINGS, []).append(Binding(trigger, options, says_auth))
    return method


@overload
def entry(method: F, /) -> F: ...


@overload
def entry(
    verb: str | None = None,
    path: str | None = None,
    /,
    *,
    no_auth: bool = False,
    auth: Policy | None = None,
    stage: str | None = None,
    content_type: str | None = None,
    binary: bool = False,
    cors: Cors | None = None,
    blocking: bool = True,
    safe: bool = False,
    idempotent: bool = False,
    key: str | None = None,
    errors: Sequence[type[Exception]] = (),
    sensitive: Sequence[str] = (),
    deadline: Policy | None = None,
    activities: Policy | None = None,
    rate_limit: Policy | None = None,
    idempotency: Policy | None = None,
    cache: Policy | None = None,
    fallback: Policy | None = None,
    retry: Policy | None = None,
    hedge: Policy | None = None,
    timeout: Policy | None = None,
    breaker: Policy | None = None,
    bulkhead: Policy | None = None,
    policies: Sequence[Policy] = (),
    stages: Sequence[Guard | Flow] = (),
) -> Callable[[F], F]: ...


def entry(verb: Any = None, path: str | None = None, /, **options: Any) -> Any:
    """Make a method an operation, reachable through every door.

    ``@entry`` alone takes verb and path from the method's name: ``get`` → ``GET /``,
    ``get_order_lines`` → ``GET /order/lines``, ``refresh`` → ``POST /refresh``. Positional parameters
    without default that fit a path segment become one (a dataclass or a list is a member of the body);
    ``@entry("GET", "/orders/{order_id}")`` says so itself.

    The options are those of ``EntryOptions``; ``auth``, ``retry``, ``breaker`` and the like are
    policies by name, ``policies`` takes any others.

    Raises:
        DefinitionError: An option is unknown or not what it must be, or options contradict each other, such
            as a retry on an entry that is not declared safe, idempotent or keyed.
    """
    if callable(verb):
        return _bind(verb, Http(), EntryOptions())
    if verb is not None and (not isinstance(verb, str) or verb.upper() not in VERBS):
        raise DefinitionError(f"entry: the verb is {verb!r}; it must be one of {', '.join(VERBS)}")
    collected = collect_options("entry", **options)
    says_auth = "no_auth" in options or any(policy.name in _WHO_MAY for policy in collected.policies)
    trigger = Http(verb and verb.upper(), path)
    return lambda method: _bind(method, trigger, collected, says_auth=says_auth)


def event(
    source: str,
    type: str,  # noqa: A002 - the event's type is what the field calls it
    /,
    *,
    retry: Policy | None = None,
    breaker: Policy | None = None,
    deadline: Policy | None = None,
    policies: Sequence[Policy] = (),
    stages: Sequence[Guard | Flow] = (),
    errors: Sequence[type[Exception]] = (),
    sensitive: Sequence[str] = (),
    blocking: bool = True,
) -> Callable[[F], F]:
    """Call the method with the payload of each event of ``type`` that ``source`` publishes.

    Events are delivered at least once, so a retry needs no further declaration. They come from
    the app's own broker: the bearer of a token is the broker's login, not the event.
    """
    options = collect_options(
        "event",
        no_auth=True,
        idempotent=True,
        retry=retry,
        breaker=breaker,
        deadline=deadline,
        policies=policies,
        stages=stages,
        errors=errors,
        sensitive=sensitive,
        blocking=blocking,
    )
    return lambda method: _bind(method, Event(source, type), options)


def every(seconds: float, /, *, policies: Sequence[Policy] = (), blocking: bool = True) -> Callable[[F], F]:
    """Call the method every ``seconds`` while the app runs; the door ``timers`` does it.

    Raises:
        DefinitionError: ``seconds`` is no number above zero.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise DefinitionError(f"every: {seconds!r} is no interval; write @every(30), in seconds above 0")
    options = collect_options("every", no_auth=True, policies=policies, blocking=blocking)
    return lambda method: _bind(method, Every(float(seconds)), options)


class Service:
    """Base class of services; its docstring is the documentation that every door shows.

    Args:
        name: Qualifies the operations; by default a class attribute ``name``, or else the class name in
            snake case.
        url_prefix: Put before the path of each entry, such as ``"/admin"``; by default a class attribute
            ``url_prefix``, which ``@rest`` sets.
    """

    name: str = ""

    url_prefix: str = ""

    token_header: ClassVar[str] = "authorization"  # noqa: S105 - a field name
    """Header field that carries the token."""

    policies: ClassVar[Sequence[Policy]] = ()
    """Policies of every entry of the service; an entry's own replace those of the same name."""

    stages: ClassVar[Sequence[Guard | Flow]] = ()
    """Guards and flows run before those of the entry."""

    def __init__(self, *, name: str | None = None, url_prefix: str = "") -> None:
        self.name = service_name(type(self), name)
        self.url_prefix = (url_prefix or type(self).url_prefix).rstrip("/")
        if not is_name(self.name):
            raise DefinitionError(f"{self.name!r} is no service name: letters, digits, '_' and '-' only")
        if self.url_prefix and not self.url_prefix.startswith("/"):
            raise DefinitionError(f"service {self.name}: url_prefix {url_prefix!r} must start with '/'")

    def token_authorizer(self, token: str) -> bool | str | Awaitable[bool | str]:
        """Decide whether ``token`` may call this service. May be overridden, also as ``async def``.

        Returns:
            ``True`` for every stage, ``False`` for none, or the name of the one stage allowed. This
            default compares with the environment variable ``TOKEN`` in constant time; without the
            variable it denies.
        """
        from unimicro.environment_token import is_environment_token

        return is_environment_token(token)

    def setup(self) -> Awaitable[None] | None:
        """Called when the app starts, in the order the services were given; may be async."""
        return None

    def stop(self) -> Awaitable[None] | None:
        """Called when the app stops, in reverse order; may be async."""
        return None


def is_name(name: object) -> bool:
    """Whether services and components may be called so."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) is not None


def service_name(kind: type[Service], given: str | None = None) -> str:
    """The name of a service: ``given``, else its class's own, else the class name in snake case."""
    return given or kind.name or snake_case(kind.__name__)


def snake_case(name: str) -> str:
    """``OrderService`` → ``order_service``, ``HTTPProxy`` → ``http_proxy``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
