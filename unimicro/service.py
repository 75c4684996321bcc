"""What a user writes: a ``Service`` with entries, events and timers."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from unimicro.errors import DefinitionError, declared_code

if TYPE_CHECKING:
    from unimicro.pipeline.policy import Policy
    from unimicro.pipeline.stages import Flow, Guard

__all__ = ["Binding", "Cors", "EntryOptions", "Event", "Every", "Http", "Service", "entry", "event", "every"]

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
BINDINGS = "__unimicro_bindings__"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Cors:
    """Cross-origin rule of an entry (https://fetch.spec.whatwg.org/#http-cors-protocol).

    Args:
        origins: Allowed origins; ``"*"`` allows all.
        headers: Request headers that a preflight may ask for; ``"*"`` allows those asked for.
        expose: Response headers that a script may read.
        credentials: Cookies and authorization may be sent; never together with ``"*"``.
        max_age: Seconds a browser may keep the answer of a preflight.
    """

    origins: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ("authorization", "content-type")
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 600

    def __post_init__(self) -> None:
        for name in ("origins", "headers", "expose"):
            if isinstance(getattr(self, name), str):
                raise DefinitionError(f"Cors: {name} takes a tuple of strings, not one string")
        if self.credentials and "*" in self.origins:
            raise DefinitionError("Cors: credentials=True needs named origins, not '*'")


@dataclass(frozen=True)
class EntryOptions:
    """Everything an entry may say about itself, HTTP or not.

    Attributes:
        no_auth: Open to everyone. All other entries are protected.
        stage: The entry exists in this stage only.
        content_type: Content type of the answer.
        binary: The answer is binary whatever its content type.
        cors: Cross-origin rule; none means no cross-origin access.
        blocking: A sync method may block, so an async door runs it in a worker thread.
        safe: Changes nothing, so it may be repeated.
        idempotent: Repeating it has the effect of calling it once.
        key: Name of the parameter that identifies a repeated call.
        errors: Exception classes that travel to the caller as they are.
        sensitive: Names of parameters that no log, record or replay may show.
        policies: Policy objects; a later one of the same name replaces an earlier one.
        stages: Guards and flows of the user, run in this order once arguments are bound.
    """

    no_auth: bool = False
    stage: str | None = None
    content_type: str | None = None
    binary: bool = False
    cors: Cors | None = None
    blocking: bool = True
    safe: bool = False
    idempotent: bool = False
    key: str | None = None
    errors: tuple[type[Exception], ...] = ()
    sensitive: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    stages: tuple[Guard | Flow, ...] = ()

    def __post_init__(self) -> None:
        for error in self.errors:
            declared_code(error)
        for policy in self.policies:
            policy.check(self)
            if self.no_auth and policy.name == "auth":
                raise DefinitionError("no_auth=True and an authorizer contradict each other")

    @property
    def repeatable(self) -> bool:
        """Whether a retry is allowed: the call was declared safe, idempotent or keyed."""
        return self.safe or self.idempotent or bool(self.key)


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


def _bind(method: F, trigger: Http | Event | Every, options: EntryOptions) -> F:
    if not callable(method) or isinstance(method, staticmethod):
        raise DefinitionError(f"decorate a method, not {method!r}")
    method.__dict__.setdefault(BINDINGS, []).append(Binding(trigger, options))
    return method


def _policies(given: Sequence[Policy], named: dict[str, Policy | None]) -> tuple[Policy, ...]:
    return (*given, *(policy for policy in named.values() if policy is not None))


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
    retry: Policy | None = None,
    breaker: Policy | None = None,
    deadline: Policy | None = None,
    policies: Sequence[Policy] = (),
    stages: Sequence[Guard | Flow] = (),
) -> Callable[[F], F]: ...


def entry(
    verb: Any = None,
    path: str | None = None,
    /,
    *,
    auth: Policy | None = None,
    errors: Sequence[type[Exception]] = (),
    sensitive: Sequence[str] = (),
    retry: Policy | None = None,
    breaker: Policy | None = None,
    deadline: Policy | None = None,
    policies: Sequence[Policy] = (),
    stages: Sequence[Guard | Flow] = (),
    **options: Any,
) -> Any:
    """Make a method an operation, reachable through every door.

    ``@entry`` alone takes verb and path from the method's name: ``get`` → ``GET /``,
    ``get_order_lines`` → ``GET /order/lines``, ``refresh`` → ``POST /refresh``. Positional parameters
    without default become path segments (of POST, PUT and PATCH only those that fit one: a dataclass or a
    list is a member of the body); ``@entry("GET", "/orders/{order_id}")`` says so itself.

    The options are those of ``EntryOptions``; ``auth``, ``retry``, ``breaker`` and ``deadline`` are
    policies by name, ``policies`` takes any others.

    Raises:
        DefinitionError: The options contradict each other, such as a retry on an entry that is not
            declared safe, idempotent or keyed.
    """
    if callable(verb):
        return _bind(verb, Http(), EntryOptions())
    if verb is not None and (not isinstance(verb, str) or verb.upper() not in VERBS):
        raise DefinitionError(f"entry: the verb is {verb!r}; it must be one of {', '.join(VERBS)}")
    named = {"auth": auth, "retry": retry, "breaker": breaker, "deadline": deadline}
    collected = EntryOptions(
        errors=tuple(errors),
        sensitive=tuple(sensitive),
        policies=_policies(policies, named),
        stages=tuple(stages),
        **options,
    )
    return lambda method: _bind(method, Http(verb and verb.upper(), path), collected)


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
    options = EntryOptions(
        no_auth=True,
        idempotent=True,
        blocking=blocking,
        errors=tuple(errors),
        sensitive=tuple(sensitive),
        policies=_policies(policies, {"retry": retry, "breaker": breaker, "deadline": deadline}),
        stages=tuple(stages),
    )
    return lambda method: _bind(method, Event(source, type), options)


def every(seconds: float, /, *, policies: Sequence[Policy] = (), blocking: bool = True) -> Callable[[F], F]:
    """Call the method every ``seconds`` while the app runs; the door ``timers`` does it.

    Raises:
        DefinitionError: ``seconds`` is not above zero.
    """
    if not seconds > 0:
        raise DefinitionError(f"every: {seconds!r} seconds is no interval; it must be above 0")
    options = EntryOptions(no_auth=True, blocking=blocking, policies=tuple(policies))
    return lambda method: _bind(method, Every(float(seconds)), options)


class Service:
    """Base class of services; its docstring is the documentation that every door shows.

    Args:
        name: Qualifies the operations; by default a class attribute ``name``, or else the class name in
            snake case.
        url_prefix: Put before the path of each entry, such as ``"/admin"``.
    """

    token_header: ClassVar[str] = "authorization"  # noqa: S105 - a field name
    """Header field that carries the token."""

    policies: ClassVar[Sequence[Policy]] = ()
    """Policies of every entry of the service; an entry's own replace those of the same name."""

    stages: ClassVar[Sequence[Guard | Flow]] = ()
    """Guards and flows run before those of the entry."""

    def __init__(self, *, name: str | None = None, url_prefix: str = "") -> None:
        self.name = name or getattr(type(self), "name", "") or snake_case(type(self).__name__)
        self.url_prefix = url_prefix.rstrip("/")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", self.name):
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
        import hmac

        expected = os.environ.get("TOKEN", "")
        return bool(expected) and hmac.compare_digest(token.encode(), expected.encode())

    def setup(self) -> Awaitable[None] | None:
        """Called when the app starts, in the order the services were given; may be async."""
        return None

    def stop(self) -> Awaitable[None] | None:
        """Called when the app stops, in reverse order; may be async."""
        return None


def snake_case(name: str) -> str:
    """``OrderService`` → ``order_service``, ``HTTPProxy`` → ``http_proxy``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
