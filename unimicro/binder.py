"""Binding: a payload becomes the arguments of one operation, the same on every door.

Compiled once per operation: nothing is inspected while a request is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from unimicro.call_reader import plain_call, quick_reader
from unimicro.conversion import ConversionError, is_union, strip_annotated
from unimicro.forms import parse_body, refused_coding
from unimicro.invocation import CallPayload, EncodedCall, HttpPayload, Invocation
from unimicro.outcome import Failure, Left, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro.call_reader import QuickReader
    from unimicro.conversion import Converter
    from unimicro.metadata import Metadata
    from unimicro.plain import Format
    from unimicro.signature import Parameter, Signature

__all__ = ["Binder"]


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
        # Nothing but the positional arguments has to be looked at when all of them are given.
        only_positional = len(self._positional) == len(signature.parameters)
        self._only_positional = len(self._positional) if only_positional else None
        self._quick: dict[Format, QuickReader | None] = {}
        self._from_args = tuple((p.name, p.from_value) for p in self._positional)
        self._from_path = tuple((p.name, p.from_text) for p in self._path)

    def guard(self, invocation: Invocation) -> Invocation | Outcome[Any]:
        """The stage that fills ``invocation.arguments``."""
        payload = invocation.payload
        kind = type(payload)
        if kind is HttpPayload:
            bound = self._bind_http(payload, invocation.metadata)  # type: ignore[arg-type]
        elif kind is EncodedCall:
            bound = self._bind_encoded(payload)  # type: ignore[arg-type]
        else:
            bound = self._bind_call(payload)  # type: ignore[arg-type]
        if type(bound) is Failure:
            return Left(bound)
        if not bound and not invocation.arguments:
            return invocation
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
                given: Any = _list_of(values) if parameter.collects else metadata[parameter.wire_name]
                found.take(parameter, given, parameter.from_text)
        if self._reads_body and (payload.body or self._takes_empty):
            failure = self._take_body(found, payload, metadata.get("content-encoding"))
            if failure is not None:
                return failure
        return found.finish(self._parameters)

    def _take_body(self, found: _Found, payload: HttpPayload, coding: str | None) -> Failure | None:
        whole = self._whole
        if coding is not None and self._raw is not bytes:
            refused = refused_coding(coding)
            if refused is not None:
                return refused
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

    def prepare(self, form: Format) -> None:
        """Have what reads ``EncodedCall``s of that format ready before the first one comes."""
        self._quick[form] = quick_reader(self._parameters, form)

    def _bind_encoded(self, payload: EncodedCall) -> dict[str, Any] | Failure:
        args, kwargs, form = payload
        if form not in self._quick:
            self.prepare(form)
        quick = self._quick[form]
        if quick is not None:
            arguments = quick(args, kwargs)
            if arguments is not None:
                return arguments
        call = plain_call(payload)
        return call if type(call) is Failure else self._bind_call(call)  # type: ignore[arg-type]

    def _bind_call(self, payload: CallPayload) -> dict[str, Any] | Failure:
        args, kwargs = payload
        if self._all_optional and not args and not kwargs:
            return {}
        if len(args) == self._only_positional and not kwargs:
            try:
                arguments = {}
                for (name, convert), value in zip(self._from_args, args):  # noqa: B905 - as above
                    arguments[name] = convert(value)
                return arguments
            except ConversionError:
                pass  # the long way names what is wrong
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


def _list_of(values: tuple[str, ...]) -> list[str]:
    """RFC 9110 §5.3, §5.6.1: repeated fields and one with commas mean the same, and WSGI joins them."""
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


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
