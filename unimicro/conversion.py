"""Plain data to types. msgspec does the work; this module decides once per type.

Nothing here imports msgspec before a type needs it: a Lambda function whose parameters are
strings starts without it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from unimicro.errors import DefinitionError

Converter = Callable[[Any], Any]


class ConversionError(Exception):
    """A value that does not fit its type.

    Attributes:
        path: Where inside the value, such as ``.items[0].sku``; empty for the value itself.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


def converter(annotation: Any, *, text: bool, where: str) -> Converter:
    """A function from plain data to ``annotation``.

    Args:
        annotation: The type; ``Any`` and a missing annotation take everything.
        text: The values are strings of a URL or a form, so ``"5"`` is an ``int``.
        where: What an error names, such as ``orders.place: parameter 'quantity'``.

    Returns:
        A callable that raises ``ConversionError`` for a value that does not fit.

    Raises:
        DefinitionError: No wire format can carry the type.
    """
    annotation = strip_annotated(annotation)
    if annotation is Any:
        return _unchanged
    if annotation is str:
        return _text
    check_supported(annotation, where)
    members = _dataclass_union(annotation)
    if members:
        return _best_that_fits(
            [(_field_names(member), _typed(member, text)) for member in members], annotation
        )
    return _typed(annotation, text)


def strip_annotated(annotation: Any) -> Any:
    """``Annotated[T, ...]`` without its markers, and what a ``NewType`` stands for."""
    if get_origin(annotation) is Annotated:
        return strip_annotated(get_args(annotation)[0])
    return strip_annotated(annotation.__supertype__) if hasattr(annotation, "__supertype__") else annotation


def _unchanged(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)
    raise ConversionError(f"expected str, got {_json_name(value)}")


def _json_name(value: Any) -> str:
    if value is None:
        return "null"
    kind = type(value)
    return {"list": "array", "tuple": "array", "dict": "object"}.get(kind.__name__, kind.__name__)


def _typed(annotation: Any, text: bool) -> Converter:
    import msgspec

    convert, invalid = msgspec.convert, msgspec.ValidationError
    strict = not text
    defaults = field_defaults(annotation)

    def typed(value: Any) -> Any:
        try:
            converted = convert(value, annotation, strict=strict, str_keys=True, dec_hook=load_model)
            if defaults:
                complete_defaults(converted, defaults)
            return converted
        except invalid as error:
            message, _, place = str(error).partition(" - at ")
            message = message.replace("`", "")
            path = place.partition("`$")[2].rstrip("`")
            raise ConversionError(message[:1].lower() + message[1:], path) from error
        except RecursionError as error:
            raise ConversionError("nested too deeply") from error
        except UnicodeEncodeError as error:
            raise ConversionError("expected Unicode text") from error

    return typed


def _best_that_fits(members: list[tuple[frozenset[str], Converter]], annotation: Any) -> Converter:
    """The first member that fits; of an object, the one that leaves the fewest of its names unused."""

    def union(value: Any) -> Any:
        tried = members
        if type(value) is dict:
            tried = sorted(members, key=lambda member: len(value.keys() - member[0]))
        for _, convert in tried:
            try:
                return convert(value)
            except ConversionError:
                continue
        raise ConversionError(f"fits none of {type_name(annotation)}")

    return union


def _field_names(annotation: Any) -> frozenset[str]:
    """Names that an object of the type has on the wire; none for what is no object."""
    if _is_model(annotation):
        fields = annotation.model_fields
        return frozenset(fields) | {f.alias for f in fields.values() if f.alias}
    return frozenset(getattr(annotation, "__dataclass_fields__", ()))


def is_union(annotation: Any) -> bool:
    """``Union[...]``, ``A | B`` or ``Optional[...]``."""
    return get_origin(annotation) in (Union, types.UnionType)


def _dataclass_union(annotation: Any) -> tuple[Any, ...]:
    """The members of a union that msgspec refuses: more than one class it reads from an object."""
    if not is_union(annotation):
        return ()
    members = get_args(annotation)
    return members if sum(_reads_object(member) for member in members) > 1 else ()


def _reads_object(annotation: Any) -> bool:
    return hasattr(annotation, "__dataclass_fields__") or _is_model(annotation)


def _is_model(annotation: Any) -> bool:
    """A pydantic model, told by its methods so that pydantic is not imported."""
    return isinstance(annotation, type) and hasattr(annotation, "model_validate")


def load_model(annotation: Any, value: Any) -> Any:
    """Msgspec's hook for classes it does not know."""
    if isinstance(value, annotation):
        return value
    try:
        return annotation.model_validate(value)
    except ValueError as error:
        problems = error.errors() if hasattr(error, "errors") else []
        text = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
        raise ValueError(text or "does not fit the model") from None


def check_supported(annotation: Any, where: str) -> None:
    """Refuse at definition what would fail at the first call.

    Raises:
        DefinitionError: The type cannot be read from plain data.
    """
    import msgspec.inspect

    for member in _dataclass_union(annotation) or (annotation,):
        try:
            unknown = next(_unknown_classes(msgspec.inspect.type_info(member)), None)
        except (TypeError, NameError) as error:
            raise DefinitionError(f"{where}: {type_name(annotation)} cannot be converted: {error}") from error
        if unknown is not None:
            raise DefinitionError(
                f"{where}: {type_name(unknown)} has no wire form; use builtin types, dataclasses, enums,"
                " datetime, UUID, Decimal or pydantic models"
            )


def _unknown_classes(info: Any) -> typing.Iterator[Any]:
    """Classes inside a msgspec type description that neither msgspec nor pydantic can read."""
    for part in inspected_parts(info, set()):
        if type(part).__name__ in ("CustomType", "GenericCustomType") and not _is_model(part.cls):
            yield part.cls


def inspected_parts(info: Any, seen: set[int]) -> typing.Iterator[Any]:
    """A msgspec type description and all descriptions inside it, recursive ones once."""
    if isinstance(info, tuple | list):
        for item in info:
            yield from inspected_parts(item, seen)
    elif type(info).__module__ == "msgspec.inspect" and id(info) not in seen:
        seen.add(id(info))
        yield info
        for name in getattr(info, "__struct_fields__", ()):
            yield from inspected_parts(getattr(info, name), seen)


Defaults = dict[type, dict[str, Any]]


def field_defaults(annotation: Any) -> Defaults:
    """Plain defaults of the dataclasses inside a type.

    msgspec leaves a field that was not given to the class attribute of the same name, and omits it
    when it writes the object again. ``complete_defaults`` mends that.
    """
    import msgspec.inspect

    found: Defaults = {}
    for part in inspected_parts(msgspec.inspect.type_info(annotation), set()):
        if type(part).__name__ == "DataclassType" and hasattr(part.cls, "__dataclass_fields__"):
            fields = part.cls.__dataclass_fields__.values()
            found[part.cls] = {field.name: field.default for field in fields if field.default is not MISSING}
    return found if any(found.values()) else {}


def complete_defaults(value: Any, defaults: Defaults) -> None:
    """Give every dataclass instance in ``value`` its defaulted fields as attributes of its own."""
    kind = type(value)
    if kind in defaults:
        attributes = getattr(value, "__dict__", None)
        if attributes is not None:  # None: the class has slots, which msgspec fills
            for name, default in defaults[kind].items():
                attributes.setdefault(name, default)
        for name in kind.__dataclass_fields__:
            complete_defaults(getattr(value, name), defaults)
    elif kind in (list, tuple, set, frozenset):
        for inner in value:
            complete_defaults(inner, defaults)
    elif kind is dict:
        for inner in value.values():
            complete_defaults(inner, defaults)


def is_scalar(annotation: Any) -> bool:
    """Whether one URL segment can hold the type: a structured type belongs in a body."""
    annotation = strip_annotated(annotation)
    if is_union(annotation):
        return all(is_scalar(member) for member in get_args(annotation))
    if get_origin(annotation) is Literal or annotation is Any or annotation is type(None):
        return True
    if not isinstance(annotation, type):
        return False
    structured = get_origin(annotation) is not None or _reads_object(annotation)
    return not structured and not issubclass(annotation, list | tuple | dict | set | frozenset | bytes)


def is_collection(annotation: Any) -> bool:
    """Whether repeated query or form values collect into the type."""
    annotation = strip_annotated(annotation)
    if is_union(annotation):
        return any(is_collection(member) for member in get_args(annotation))
    return (get_origin(annotation) or annotation) in (list, tuple, set, frozenset)


def type_name(annotation: Any) -> str:
    """A type as a reader writes it: names without their modules, ``int | None``."""
    annotation = strip_annotated(annotation)
    if annotation is type(None):
        return "None"
    if annotation is ...:
        return "..."
    members = get_args(annotation)
    if is_union(annotation):
        return " | ".join(map(type_name, members))
    if members and get_origin(annotation) is not Literal:
        return f"{type_name(get_origin(annotation))}[{', '.join(map(type_name, members))}]"
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return name.replace("typing.", "")
