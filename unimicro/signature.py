"""Parameters of an entry: where each comes from, and what it must be.

Compiled once per operation: nothing is inspected while a request is served.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from unimicro.conversion import (
    Converter,
    converter,
    is_collection,
    is_scalar,
    strip_annotated,
)
from unimicro.errors import DefinitionError
from unimicro.forms import Upload, as_upload
from unimicro.invocation import Invocation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Body", "Header", "Parameter", "Path", "Query", "Signature"]

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
        for name, raw in _signature(method, where).parameters.items():
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
            parameter.source, parameter.wire_name = _source(parameter, verb, named, where)
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


def _signature(method: Callable[..., Any], where: str) -> inspect.Signature:
    try:
        return inspect.signature(method)
    except ValueError as error:
        raise DefinitionError(f"{where}: a method takes self: {error}") from error


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


def _source(parameter: Parameter, verb: str, named: tuple[str, ...] | None, where: str) -> tuple[Source, str]:
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
    if in_path and is_scalar(parameter.annotation):
        return "path", parameter.name
    # What fits no segment: a list may come as repeated query values, an object only in a body.
    if in_path and verb not in BODY_VERBS and not parameter.collects:
        raise DefinitionError(f"{where}: {parameter.name!r} fits no path segment and a {verb} has no body")
    return ("body" if verb in BODY_VERBS else "query"), parameter.name
