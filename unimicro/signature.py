"""Arguments of an entry: where each comes from, what it must be, bound the same on every door.

Compiled once per operation: nothing is inspected while a request is served.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from unimicro.conversion import (
    ConversionError,
    Converter,
    converter,
    is_collection,
    is_scalar,
    is_union,
    strip_annotated,
)
from unimicro.errors import DefinitionError
from unimicro.forms import Upload, as_upload, parse_body
from unimicro.invocation import CallPayload, HttpPayload, Invocation, Metadata
from unimicro.outcome import Either, Failure, Left

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Binder", "Body", "Header", "Parameter", "Path", "Query", "Signature"]

Source = Literal["path", "query", "body", "whole body", "header", "invocation"]
BODY_VERBS = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class Marker:
    """Says where an argument comes from: ``Annotated[str, Header("x-tenant")]``."""

    name: str = ""
    """Name on the wire; the parameter's own by default."""


class Body(Marker):
    """The parameter is the whole request body."""


class Query(Marker):
    """The parameter is a member of the query string, whatever the verb."""


class Path(Marker):
    """The parameter is a segment of the path, even when it has a default."""


class Header(Marker):
    """The parameter is a header field; its own name with ``-`` for ``_`` by default."""


class Parameter:
    """One parameter of an entry."""

    __slots__ = (
        "annotation",
        "collects",
        "default",
        "from_text",
        "from_value",
        "name",
        "positional",
        "required",
        "source",
        "wire_name",
    )

    def __init__(self, name: str, annotation: Any, default: Any, positional: bool, where: str) -> None:
        self.name = name
        self.wire_name = name
        self.annotation = annotation
        self.default = default
        self.positional = positional
        self.required = default is inspect.Parameter.empty
        self.collects = is_collection(annotation)
        self.source: Source = "body"
        label = f"{where}: parameter {name!r}"
        self.from_text: Converter
        self.from_value: Converter
        if strip_annotated(annotation) is Upload:
            self.from_text = self.from_value = as_upload
        else:
            self.from_text = converter(annotation, text=True, where=label)
            self.from_value = converter(annotation, text=False, where=label)


@dataclass(frozen=True)
class Signature:
    """The parameters of a method, before an HTTP binding places them.

    Attributes:
        parameters: In the order of the definition; ``self`` is left out.
        takes_rest: There is a ``**kwargs``.
        returns: The return annotation, ``Any`` where there is none.
        injected: Name of the parameter annotated ``Invocation``, which the pipeline fills.
        positional_only: Names of the parameters before a ``/``.
        reserved: Names that no caller may fill: ``self`` and the injected one.
    """

    parameters: tuple[Parameter, ...]
    takes_rest: bool
    returns: Any
    injected: str | None
    positional_only: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()

    @classmethod
    def of(cls, method: Callable[..., Any], where: str) -> Signature:
        """Read the signature of a bound method.

        Raises:
            DefinitionError: A hint cannot be resolved, or a type or ``*args`` cannot be served.
        """
        hints = _hints(method, where)
        parameters: list[Parameter] = []
        takes_rest, injected, positional_only = False, None, []
        for name, raw in inspect.signature(method).parameters.items():
            if raw.kind is raw.VAR_POSITIONAL:
                raise DefinitionError(f"{where}: *{name} cannot be filled by name; take a list instead")
            if raw.kind is raw.VAR_KEYWORD:
                takes_rest = True
                continue
            annotation = hints.get(name, Any)
            if raw.kind is raw.POSITIONAL_ONLY:
                positional_only.append(name)
            if strip_annotated(annotation) is Invocation:
                injected = name
                continue
            positional = raw.kind is not raw.KEYWORD_ONLY
            parameters.append(Parameter(name, annotation, raw.default, positional, where))
        return cls(
            tuple(parameters),
            takes_rest,
            hints.get("return", Any),
            injected,
            tuple(positional_only),
            tuple(name for name in (_own_name(method), injected) if name),
        )

    def place(self, verb: str, template: str | None, where: str) -> tuple[str, ...]:
        """Decide the source of each parameter for an HTTP binding.

        Args:
            verb: Upper-case HTTP verb.
            template: Explicit path template, or ``None`` where the parameters make the path.
            where: What an error names.

        Returns:
            The names of the path parameters, in path order.

        Raises:
            DefinitionError: The template and the parameters disagree.
        """
        named = None if template is None else template_names(template, where)
        for parameter in self.parameters:
            parameter.source, parameter.wire_name = _source(parameter, verb, named)
        self._check_sources(verb, where)
        in_path = tuple(p.name for p in self.parameters if p.source == "path")
        if named is None:
            return in_path
        if set(named) != set(in_path):
            unknown = sorted(set(named) ^ set(in_path))
            raise DefinitionError(f"{where}: {template} and the method disagree about {unknown}")
        return named

    def _check_sources(self, verb: str, where: str) -> None:
        """Every parameter must have a place of its own that the verb can fill."""
        taken: set[tuple[Source, str]] = set()
        for parameter in self.parameters:
            place = (parameter.source, parameter.wire_name)
            if place in taken:
                raise DefinitionError(f"{where}: two parameters are {place[1]!r} in the {place[0]}")
            taken.add(place)
        sources = [parameter.source for parameter in self.parameters]
        if "whole body" not in sources:
            return
        if verb not in BODY_VERBS:
            raise DefinitionError(f"{where}: a {verb} request has no body")
        if sources.count("whole body") + sources.count("body") > 1:
            raise DefinitionError(
                f"{where}: one parameter is the whole body; mark the others Query, Path or Header"
            )


def template_names(template: str, where: str) -> tuple[str, ...]:
    """The parameter names of ``/orders/{order_id}``, in order.

    Raises:
        DefinitionError: A segment mixes text and braces, or a name comes twice.
    """
    names: list[str] = []
    for segment in template.strip("/").split("/"):
        if "{" not in segment and "}" not in segment:
            continue
        name = segment[1:-1]
        if segment != f"{{{name}}}" or not name.isidentifier():
            raise DefinitionError(
                f"{where}: path segment {segment!r} is neither text nor one {{name}} of a parameter"
            )
        if name in names:
            raise DefinitionError(f"{where}: {{{name}}} stands twice in {template}")
        names.append(name)
    return tuple(names)


def _hints(method: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(method, include_extras=True)
    except Exception as error:
        # A hint in quotes is evaluated: it may raise anything.
        raise DefinitionError(f"{where}: a type hint cannot be resolved: {error}") from error


def _own_name(method: Callable[..., Any]) -> str | None:
    """What the method calls itself: ``self``, as a rule."""
    function = getattr(method, "__func__", None)
    return None if function is None else next(iter(inspect.signature(function).parameters), None)


def _marker(annotation: Any) -> Marker | None:
    if get_origin(annotation) is not Annotated:
        return None
    for extra in get_args(annotation)[1:]:
        if isinstance(extra, Marker):
            return extra
        if isinstance(extra, type) and issubclass(extra, Marker):
            return extra()
    return None


_MARKED: dict[type[Marker], Source] = {
    Body: "whole body",
    Query: "query",
    Path: "path",
    Header: "header",
}


def _source(parameter: Parameter, verb: str, named: tuple[str, ...] | None) -> tuple[Source, str]:
    """Semantics: positional without default → path; the rest → query, or body where there is one."""
    marker = _marker(parameter.annotation)
    if named is not None and parameter.name in named:
        return "path", parameter.name
    if marker is not None:
        name = marker.name or parameter.name
        if isinstance(marker, Header):
            name = (marker.name or parameter.name.replace("_", "-")).lower()
        return _MARKED[type(marker)], name
    in_path = named is None and parameter.positional and parameter.required
    # A dataclass or a list fits no URL segment: it is a member of the body.
    if in_path and (verb not in BODY_VERBS or is_scalar(parameter.annotation)):
        return "path", parameter.name
    return ("body" if verb in BODY_VERBS else "query"), parameter.name


Bound = Either[Failure, dict[str, Any]]


class Binder:
    """Turns a payload into the arguments of one operation.

    Or into one failure that names each argument that is missing, unexpected or of the wrong type.
    """

    def __init__(
        self,
        signature: Signature,
        path_names: tuple[str, ...] = (),
        *,
        reads_body: bool = False,
        max_fields: int = 1000,
    ) -> None:
        by_name = {p.name: p for p in signature.parameters}
        self._parameters = signature.parameters
        self._by_name = by_name
        self._path = tuple(by_name[name] for name in path_names)
        self._query = {p.wire_name: p for p in signature.parameters if p.source == "query"}
        self._headers = tuple(p for p in signature.parameters if p.source == "header")
        self._members = {p.wire_name: p for p in signature.parameters if p.source == "body"}
        self._whole = next((p for p in signature.parameters if p.source == "whole body"), None)
        self._raw = None if self._whole is None else _raw_type(self._whole.annotation)
        # No octets are octets too: an empty file, an empty text.
        self._takes_empty = self._raw is not None and self._whole is not None and self._whole.required
        self._rest = frozenset(signature.reserved) if signature.takes_rest else None
        self._positional = tuple(p for p in signature.parameters if p.positional)
        self._reads_body = reads_body
        self._max_fields = max_fields
        in_path = frozenset(path_names)
        # Nothing but the path has to be looked at while there is neither query nor body.
        self._path_suffices = not self._headers and all(
            p.name in in_path or not p.required for p in signature.parameters
        )
        self._all_optional = not any(p.required for p in signature.parameters)
        self._from_path = tuple((p.name, p.from_text) for p in self._path)

    def guard(self, invocation: Invocation) -> Invocation | Either[Failure, Any]:
        """The stage that fills ``invocation.arguments``."""
        payload = invocation.payload
        if type(payload) is HttpPayload:
            bound = self._bind_http(payload, invocation.metadata)
        else:
            bound = self._bind_call(payload)  # type: ignore[arg-type]
        if type(bound) is Failure:
            return Left(bound)
        return invocation.with_arguments(bound)  # type: ignore[arg-type]

    def _bind_http(self, payload: HttpPayload, metadata: Metadata) -> dict[str, Any] | Failure:
        if self._path_suffices and not payload.query and not self._reads_body:
            try:
                arguments = {}
                # Saying strict= costs more than the loop; the route table gives as many values as names.
                for (name, convert), value in zip(self._from_path, payload.path):  # noqa: B905
                    arguments[name] = convert(value)
                return arguments
            except ConversionError:
                pass  # the long way names what is wrong
        found = _Found(self._rest)
        for parameter, value in zip(self._path, payload.path, strict=True):
            found.take(parameter, value, parameter.from_text)
        if payload.query:
            self._take_fields(found, payload.query, self._query, rest=not self._reads_body)
        for parameter in self._headers:
            values = metadata.getall(parameter.wire_name)
            if values:
                given: Any = list(values) if parameter.collects else metadata[parameter.wire_name]
                found.take(parameter, given, parameter.from_text)
        if self._reads_body and (payload.body or self._takes_empty):
            failure = self._take_body(found, payload)
            if failure is not None:
                return failure
        return found.finish(self._parameters)

    def _take_body(self, found: _Found, payload: HttpPayload) -> Failure | None:
        whole = self._whole
        body = parse_body(payload.body, payload.content_type, self._max_fields, raw=self._raw)
        if isinstance(body, Failure):
            return body
        if body.fields is not None:
            if whole is not None:
                found.take(whole, body.as_object(), whole.from_text)
            else:
                self._take_fields(found, body.fields, self._members, rest=True)
        elif whole is not None:
            found.take(whole, body.value, whole.from_value)
        elif isinstance(body.value, dict):
            for name, value in body.value.items():
                self._take_member(found, name, value, self._members)
        else:
            found.problem("body", "expected an object")
        return None

    def _take_member(self, found: _Found, name: str, value: Any, known: Mapping[str, Parameter]) -> None:
        parameter = known.get(name)
        if parameter is not None:
            found.take(parameter, value, parameter.from_value)
        else:
            found.take_rest(name, value, self._by_name)

    def _take_fields(
        self,
        found: _Found,
        fields: tuple[tuple[str, Any], ...],
        known: Mapping[str, Parameter],
        rest: bool,
    ) -> None:
        """Query or form fields: text, and a name may come more than once."""
        values: dict[str, list[Any]] = {}
        for name, value in fields:
            values.setdefault(name, []).append(value)
        for name, given in values.items():
            parameter = known.get(name)
            if parameter is None:
                found.take_rest(name, given[0] if len(given) == 1 else given, self._by_name, allowed=rest)
            elif parameter.collects:
                found.take(parameter, given, parameter.from_text)
            elif len(given) > 1 and strip_annotated(parameter.annotation) is not Any:
                found.problem(name, "given more than once")
            else:
                found.take(parameter, given[0] if len(given) == 1 else given, parameter.from_text)

    def _take_positional(self, found: _Found, args: tuple[Any, ...]) -> None:
        if len(args) > len(self._positional):
            given, most = len(args), len(self._positional)
            found.problem("args", f"takes at most {most} positional arguments, got {given}")
        for parameter, value in zip(self._positional, args, strict=False):
            found.take(parameter, value, parameter.from_value)

    def _bind_call(self, payload: CallPayload) -> dict[str, Any] | Failure:
        args, kwargs = payload
        if self._all_optional and not args and not kwargs:
            return {}
        found = _Found(self._rest)
        if args:
            self._take_positional(found, args)
        for name, value in kwargs.items():
            known = self._by_name.get(name)
            if known is not None and name in found.arguments:
                found.problem(name, "given more than once")
            elif known is not None:
                found.take(known, value, known.from_value)
            else:
                found.take_rest(name, value, self._by_name)
        return found.finish(self._parameters)


def _raw_type(annotation: Any) -> type[bytes | str] | None:
    """``bytes`` or ``str`` where a whole body is taken as it is, ``| None`` or not."""
    annotation = strip_annotated(annotation)
    members = set(get_args(annotation)) - {type(None)} if is_union(annotation) else {annotation}
    return next((raw for raw in (bytes, str) if members == {raw}), None)


class _Found:
    """Arguments and problems gathered while one payload is bound."""

    __slots__ = ("arguments", "problems", "rest")

    def __init__(self, rest: frozenset[str] | None) -> None:
        self.arguments: dict[str, Any] = {}
        self.problems: list[dict[str, str]] = []
        self.rest = rest
        """Names that ``**kwargs`` may not take; ``None`` where there is no ``**kwargs``."""

    def problem(self, name: str, message: str) -> None:
        self.problems.append({"name": name, "message": message})

    def take(self, parameter: Parameter, value: Any, convert: Converter) -> None:
        try:
            self.arguments[parameter.name] = convert(value)
        except ConversionError as error:
            self.arguments[parameter.name] = None
            self.problem(f"{parameter.wire_name}{error.path}", str(error))

    def take_rest(
        self, name: str, value: Any, parameters: Mapping[str, Parameter], *, allowed: bool = True
    ) -> None:
        """An argument for ``**kwargs``, which never replaces one that has its own place."""
        if name in parameters:
            self.problem(name, f"belongs in the {parameters[name].source}")
        elif self.rest is not None and allowed and isinstance(name, str) and name not in self.rest:
            self.arguments[name] = value
        else:
            self.problem(str(name), "unexpected argument")

    def finish(self, parameters: tuple[Parameter, ...]) -> dict[str, Any] | Failure:
        arguments = self.arguments
        if len(arguments) < len(parameters) or self.rest is not None:
            for parameter in parameters:
                if parameter.required and parameter.name not in arguments:
                    self.problem(parameter.wire_name, "missing")
        if not self.problems:
            return arguments
        named = "; ".join(f"{problem['name']}: {problem['message']}" for problem in self.problems)
        return Failure("invalid_argument", named, errors=self.problems, layer="arguments")
