"""Arguments of calls by name: from what a wire carries to the types of the parameters.

The long way goes through plain data, takes any type and words every error. Where msgspec reads all parameters
of an operation exactly as the long way would, it reads them in one step; what it refuses goes the long way.
The two differ in one thing: members that a dataclass does not have are skipped in the one step, unread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from unimicro.conversion import complete_defaults, field_defaults, load_model, strip_annotated
from unimicro.encoding import is_bounded, may_be_deep, reads_exactly
from unimicro.forms import Upload, malformed_body
from unimicro.invocation import NO_ARGUMENTS, CallPayload, EncodedCall
from unimicro.outcome import Failure
from unimicro.plain import LISTS, MAPS, Format, openers_in, plain_reader
from unimicro.wire import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unimicro.signature import Parameter

    QuickReader = Callable[[bytes, bytes], dict[str, Any] | None]

__all__ = ["encoded_call", "malformed_call", "no_call", "plain_call", "quick_reader", "read_call"]

_new = tuple.__new__

DEPTH = MAX_DEPTH - 1
"""Deepest nesting of ``args`` and of ``kwargs``: the envelope around them counts."""

_NOTHING = (b"", b"{}", b"\x80", b"[]", b"\x90")


def read_call(body: object) -> CallPayload | Failure:
    """The arguments of a decoded call envelope: an object with ``args``, ``kwargs``, both or neither."""
    if not isinstance(body, dict):
        return no_call()
    args, kwargs = body.get("args", ()), body.get("kwargs", NO_ARGUMENTS)
    if type(args) is list and type(kwargs) is dict and not kwargs:
        return _new(CallPayload, (tuple(args), kwargs))
    is_object = isinstance(kwargs, dict) and all(isinstance(name, str) for name in kwargs)
    if not (isinstance(args, list | tuple) and is_object):
        return malformed_call(args=isinstance(args, list | tuple), kwargs=is_object)
    return CallPayload(tuple(args), kwargs)


def no_call() -> Failure:
    """The failure of a body that is no envelope."""
    return Failure("invalid_argument", "the body must be an object with args and kwargs", layer="arguments")


def malformed_call(*, args: bool = True, kwargs: bool = True, method: bool = True) -> Failure:
    """The failure of an envelope with members of the wrong kind: those that are ``False``."""
    expected = (
        ("args", args, "expected an array"),
        ("kwargs", kwargs, "expected an object"),
        ("method", method, "expected 'component:service:method'"),
    )
    errors = [{"name": name, "message": text} for name, right, text in expected if not right]
    return Failure("invalid_argument", "malformed call", errors=errors, layer="arguments")


def encoded_call(args: bytes, kwargs: bytes, form: Format) -> EncodedCall | Failure:
    """A call of well-formed octets, where they are a list and a map; none are nothing given."""
    is_list = not args or args[0] in LISTS[form]
    is_map = not kwargs or kwargs[0] in MAPS[form]
    if is_list and is_map:
        return _new(EncodedCall, (args, kwargs, form))
    return malformed_call(args=is_list, kwargs=is_map)


def plain_call(payload: EncodedCall) -> CallPayload | Failure:
    """The long way: plain data, or why there are none."""
    args, kwargs, form = payload
    read = plain_reader(form, DEPTH)
    try:
        positional = read(args) if args not in _NOTHING else []
        named = read(kwargs) if kwargs not in _NOTHING else NO_ARGUMENTS
    except ValueError as error:
        return malformed_body(str(error))
    if not named and type(positional) is list:
        return _new(CallPayload, (tuple(positional), named))
    return read_call({"args": positional, "kwargs": named})


def quick_reader(parameters: Sequence[Parameter], form: Format) -> QuickReader | None:
    """The short way for an operation: the arguments by name, or ``None`` for what must go the long way.

    ``None`` instead of a function where all calls must.
    """
    annotations = [strip_annotated(parameter.annotation) for parameter in parameters]
    if any(each is Upload or not reads_exactly(each, form) for each in annotations):
        return None
    return _QuickReader(parameters, annotations, form).read


class _QuickReader:
    """One step of msgspec for ``args`` and one for ``kwargs``: structures with the parameters as fields.

    Of what it gives up on: some of the required positional ones by name and the others not.
    """

    def __init__(self, parameters: Sequence[Parameter], annotations: list[Any], form: Format) -> None:
        import msgspec

        typed = list(zip(parameters, annotations, strict=True))
        positional = [each for each in typed if each[0].positional]
        self._args = _decoder(positional, form, array_like=True)
        self._kwargs = _decoder(typed, form, array_like=False)
        self._some_optional = not all(parameter.required for parameter, _ in positional)
        self._count = len(parameters)
        self._required = frozenset(parameter.name for parameter in parameters if parameter.required)
        defaults = [(parameter.name, field_defaults(annotation)) for parameter, annotation in typed]
        self._defaults = [(name, found) for name, found in defaults if found]
        self._bounded = all(map(is_bounded, annotations))
        self._form = form
        self._absent = msgspec.UNSET
        self._fields = msgspec.structs.asdict

    def read(self, args: bytes, kwargs: bytes) -> dict[str, Any] | None:
        try:
            arguments = self._read(args, kwargs)
        except Exception:
            # Also what a class of the service raises: it raises it again on the long way.
            return None
        if self._bounded or arguments is None:
            return arguments
        if openers_in(args, self._form) + openers_in(kwargs, self._form) <= DEPTH:
            return arguments
        # The list or the map around them counts.
        return None if any(may_be_deep(value, DEPTH - 1) for value in arguments.values()) else arguments

    def _read(self, args: bytes, kwargs: bytes) -> dict[str, Any] | None:
        arguments: dict[str, Any] = {}
        if args not in _NOTHING:
            arguments = self._fields(self._args(args))
            if self._some_optional:
                arguments = self._given(arguments)
        if kwargs not in _NOTHING:
            named = self._given(self._fields(self._kwargs(kwargs)))
            if not named.keys().isdisjoint(arguments):
                return None
            arguments.update(named)
        if len(arguments) < self._count and not self._required <= arguments.keys():
            return None
        for name, defaults in self._defaults:
            if name in arguments:
                complete_defaults(arguments[name], defaults)
        return arguments

    def _given(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if value is not self._absent}


def _decoder(
    fields: Sequence[tuple[Parameter, Any]], form: Format, *, array_like: bool
) -> Callable[[bytes], Any]:
    """Octets to a structure; a field that was not given is ``UNSET``."""
    import msgspec

    structure = msgspec.defstruct(
        "Arguments",
        [
            (parameter.name, annotation)
            if array_like and parameter.required
            else (parameter.name, annotation, msgspec.UNSET)
            for parameter, annotation in fields
        ],
        array_like=array_like,
        forbid_unknown_fields=True,
    )
    module = msgspec.json if form == "json" else msgspec.msgpack
    return cast("Callable[[bytes], Any]", module.Decoder(structure, dec_hook=load_model).decode)
