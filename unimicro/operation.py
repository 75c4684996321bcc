"""The compiled description of one entry, and how a service is turned into operations."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args, get_origin

from unimicro.binder import Binder
from unimicro.conversion import strip_annotated
from unimicro.errors import DefinitionError, declared_codes, expected_failure
from unimicro.outcome import Either, Failure, Left, Outcome, Response, Right
from unimicro.service import BINDINGS, INTERFACE, VERBS, Binding, Event, Every, Http
from unimicro.signature import BODY_VERBS, Signature, template_names
from unimicro.wire import is_plain, plain_to_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unimicro.invocation import Invocation
    from unimicro.options import EntryOptions
    from unimicro.service import Service

__all__ = ["HttpBinding", "Operation", "operations_of"]

log = logging.getLogger("unimicro")


@dataclass(frozen=True)
class HttpBinding:
    """Where HTTP finds an operation.

    Attributes:
        verb: Upper case.
        template: ``/orders/{order_id}``; no trailing slash except for the root.
        names: Path parameters in the order of the template.
    """

    verb: str
    template: str
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """What every door, policy and plugin may know of an entry. Built once, at assembly.

    Attributes:
        service: The instance that serves it.
        name: Qualified name, ``orders.place``.
        method: Bound method.
        documentation: The method's docstring, cleaned.
        signature: Parameters and return annotation.
        binder: Compiled argument binding.
        options: What the decorator declared.
        http: ``None`` for events and timers.
        events: Events that call it.
        interval: Seconds between calls by a timer; ``None`` for none.
        is_async: ``method`` is a coroutine function.
        errors: Declared error class to code.
        may_respond: The method may return an ``Outcome``, a ``Response`` or ``(body, status)``.
        encode_json: Result to JSON bytes.
    """

    service: Service
    name: str
    method: Callable[..., Any]
    documentation: str
    signature: Signature
    binder: Binder
    options: EntryOptions
    http: HttpBinding | None
    events: tuple[Event, ...]
    interval: float | None
    is_async: bool
    errors: dict[type[Exception], str]
    may_respond: bool
    encode_json: Callable[[Any], bytes]

    def call(self, invocation: Invocation) -> Any:
        """Call the method with the bound arguments (an async one returns its awaitable)."""
        signature = self.signature
        rest: dict[str, Any] = dict(invocation.arguments)
        if signature.injected is not None:
            rest[signature.injected] = invocation
        if not signature.positional_only:
            return self.method(**rest)
        defaults = {parameter.name: parameter.default for parameter in signature.parameters}
        first = [rest.pop(name, defaults.get(name)) for name in signature.positional_only]
        return self.method(*first, **rest)

    def failure(self, error: Exception, invocation: Invocation) -> Failure:
        """The failure that an exception of the method stands for; an unexpected one is logged."""
        try:
            expected = expected_failure(error, self.errors)
        except Exception as broken:
            # A public error whose own text or code cannot be read; it is the context of the new one.
            return unexpected_failure(broken, invocation)
        return expected or unexpected_failure(error, invocation)

    def outcome(self, value: Any) -> Outcome[Any]:
        """``Right`` of what the method returned, or the failure that its status stands for."""
        if not self.may_respond:
            return Right(value)
        if isinstance(value, Either):
            failure, is_right = value.monoid
            if not is_right:
                return Left(_checked(failure))
            value = value.value
        response = _as_response(value)
        if response is None:
            return Right(value)
        if not 200 <= response.status <= 599:
            raise ValueError(
                f"{self.name} returned the status {response.status}; annotate another return type"
                " (a list, a dataclass) if its result is data"
            )
        return Right(response) if response.status < 400 else Left(Failure.from_response(response))


def unexpected_failure(error: BaseException, invocation: Invocation, layer: str = "") -> Failure:
    """``internal``, with one log record that holds the traceback; the text stays in this process."""
    log.error(
        "%s failed unexpectedly%s (invocation %s)",
        invocation.operation,
        f" in stage {layer!r}" if layer else "",
        invocation.id,
        exc_info=error,
    )
    return Failure("internal", "internal error", layer=layer, cause=error)


def _checked(failure: object) -> Failure:
    if not isinstance(failure, Failure):
        raise TypeError(f"a Left holds a Failure, not {failure!r}")
    return failure


def _as_response(value: Any) -> Response | None:
    if type(value) is Response:
        return value
    if type(value) is tuple and len(value) in (2, 3) and _is_status(type(value[1])):
        return Response(value[0], int(value[1]), *value[2:])
    return None


def _is_status(kind: Any) -> bool:
    """``int`` or ``http.HTTPStatus``, but no ``bool``."""
    return isinstance(kind, type) and issubclass(kind, int) and kind is not bool


def may_respond(returns: Any) -> bool:
    """Whether a returned tuple is ``(body, status[, headers])`` rather than data.

    Told by the annotation, never by the value: no annotation, ``Outcome``, ``Response`` and ``tuple[X, int]``
    with an X that makes a body do; a pair of numbers is data.
    """
    returns = strip_annotated(returns)
    members = get_args(returns)
    if (get_origin(returns) or returns) is Either:
        return True
    if returns in (Any, Response, tuple) or any(member is Response for member in members):
        return True
    if get_origin(returns) is not tuple:
        return any(may_respond(member) for member in members if get_origin(member) is tuple)
    if len(members) == 3 and members[2] in (str, int, float, bool, bytes):
        return False
    return len(members) in (2, 3) and _is_status(members[1]) and members[0] not in (int, float, bool)


def operations_of(service: Service, stage: str, max_fields: int) -> Iterator[Operation]:
    """Compile every decorated method of ``service`` that exists in ``stage``.

    Raises:
        DefinitionError: An entry cannot work as written; the text names it.
    """
    bound = bindings_of(type(service))
    if not bound:
        kind = type(service).__name__
        raise DefinitionError(f"{kind} has no entries: decorate its methods with @entry, @event or @every")
    for name, bindings in bound.items():
        method = getattr(service, name)
        if not inspect.ismethod(method):
            raise DefinitionError(f"{service.name}.{name}: an entry is a method, not a static one")
        if bindings[0].options.stage in (None, stage):
            yield _compile(service, name, method, bindings, max_fields)


def bindings_of(kind: type[Service]) -> dict[str, list[Binding]]:
    """The decorated methods of a service class, of every stage.

    Raises:
        DefinitionError: A method without decorator overrides an entry, which would be gone unnoticed.
    """
    bound: dict[str, list[Binding]] = {}
    for name in dir(kind):
        # Not inspect.getmembers: it would run descriptors.
        found = [_bindings(vars(base)[name]) for base in kind.__mro__ if name in vars(base)]
        if found and found[0]:
            bound[name] = found[0]
        elif any(found) and declared_in(kind, name) is not None:
            bound[name] = next(filter(None, found))
        elif any(found):
            raise DefinitionError(f"{kind.__name__}.{name} overrides an entry: decorate it with @entry too")
    return bound


def declared_in(kind: type[Service], name: str) -> type | None:
    """The interface (see ``@service``) that declares the entry ``name``, if there is one."""
    return next((base for base in kind.__mro__ if name in vars(base) and INTERFACE in vars(base)), None)


def _bindings(attribute: Any) -> list[Binding]:
    """What decorates an attribute as it stands in its class."""
    if isinstance(attribute, classmethod | staticmethod):
        attribute = attribute.__func__
    found: list[Binding] = getattr(attribute, BINDINGS, [])
    return found


def _compile(
    service: Service, name: str, method: Callable[..., Any], bindings: list[Binding], max_fields: int
) -> Operation:
    qualified = f"{service.name}.{name}"
    triggers = [binding.trigger for binding in bindings]
    http = [trigger for trigger in triggers if isinstance(trigger, Http)]
    if http and len(triggers) > 1:
        raise DefinitionError(f"{qualified}: @entry stands alone on a method; write a second method")
    options = bindings[0].options
    if any(replace(binding.options, idempotent=options.idempotent) != options for binding in bindings):
        raise DefinitionError(f"{qualified}: its decorators must have the same options: it has one pipeline")
    interface = declared_in(type(service), name)
    declared = method if interface is None else vars(interface)[name].__get__(service)
    if inspect.iscoroutinefunction(declared) != inspect.iscoroutinefunction(method):
        raise DefinitionError(
            f"{qualified}: it is async on one side only, in the interface or in its override"
        )
    signature = Signature.of(declared, qualified)
    _check_names(signature, options, qualified)
    binding = _http_binding(service, name, http[0], signature, qualified) if http else None
    intervals = [trigger.seconds for trigger in triggers if isinstance(trigger, Every)]
    if len(intervals) > 1:
        raise DefinitionError(f"{qualified}: one @every is enough")
    plain = is_plain(strip_annotated(signature.returns)) and options.content_type is None
    return Operation(
        service=service,
        name=qualified,
        method=method,
        documentation=inspect.cleandoc(method.__doc__ or declared.__doc__ or ""),
        signature=signature,
        binder=Binder(
            signature,
            binding.names if binding else (),
            reads_body=binding is not None and binding.verb in BODY_VERBS,
            max_fields=max_fields,
        ),
        options=options,
        http=binding,
        events=tuple(trigger for trigger in triggers if isinstance(trigger, Event)),
        interval=intervals[0] if intervals else None,
        is_async=inspect.iscoroutinefunction(method),
        errors=declared_codes(options.errors, qualified),
        may_respond=may_respond(signature.returns),
        encode_json=plain_to_json if plain else to_json,
    )


def _check_names(signature: Signature, options: EntryOptions, where: str) -> None:
    names = {parameter.name for parameter in signature.parameters}
    for option, given in (("key", (options.key,) if options.key else ()), ("sensitive", options.sensitive)):
        for name in given:
            if name not in names:
                raise DefinitionError(f"{where}: {option}={name!r} is no parameter of the method")


def _http_binding(
    service: Service, name: str, trigger: Http, signature: Signature, where: str
) -> HttpBinding:
    verb, path = _verb_and_path(name)
    verb = trigger.verb or verb
    if trigger.path is not None:
        if not trigger.path.startswith("/"):
            raise DefinitionError(f"{where}: the path {trigger.path!r} must start with '/'")
        names = signature.place(verb, trigger.path, where)
        path = trigger.path
    else:
        names = signature.place(verb, None, where)
        path = "/".join([path.rstrip("/"), *(f"{{{name}}}" for name in names)])
    template = (service.url_prefix + path).rstrip("/") or "/"
    if any(character in template for character in "%?#"):
        raise DefinitionError(f"{where}: write the path {template!r} decoded and without a query")
    if template_names(template, where) != names:
        raise DefinitionError(f"{where}: the url_prefix {service.url_prefix!r} can hold no parameters")
    return HttpBinding(verb, template, names)


def _verb_and_path(method_name: str) -> tuple[str, str]:
    verb, _, rest = method_name.partition("_")
    if verb.upper() not in VERBS:
        verb, rest = "POST", method_name
    words = [word for word in rest.split("_") if word]
    return verb.upper(), "/" + "/".join(words)
