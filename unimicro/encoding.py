"""Values of known types to and from JSON and msgpack in one step, where that makes no difference.

The long way goes through plain data (``wire.to_plain``, ``conversion.converter``). Where a type allows it,
msgspec writes and reads the same octets straight from and to the objects, in about a third of the time.
``is_exact`` tells which types those are. A read that fails is repeated the long way, which words the error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from unimicro.conversion import (
    Converter,
    complete_defaults,
    converter,
    field_defaults,
    inspected_parts,
    load_model,
    strip_annotated,
)
from unimicro.errors import require
from unimicro.plain import Format
from unimicro.wire import dump_model, to_json, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "Format",
    "all_exact",
    "encode",
    "is_bounded",
    "is_exact",
    "may_be_deep",
    "read_whole",
    "reader",
    "reads_exactly",
    "result_writer",
]

_INEXACT = ("AnyType", "CustomType", "GenericCustomType", "DateTimeType", "ExtType", "RawType")
# Any: nobody knows what is in it. Times: msgspec has a msgpack extension of their own for them.


def is_exact(annotation: Any) -> bool:
    """Whether msgspec's own form of the type on every wire is the one that plain data have."""
    import msgspec.inspect

    try:
        parts = list(inspected_parts(msgspec.inspect.type_info(strip_annotated(annotation)), set()))
    except (TypeError, NameError):
        return False  # a union of several dataclasses
    return all(_is_exact_part(part) for part in parts)


def _is_exact_part(part: Any) -> bool:
    kind = type(part).__name__
    if kind == "DictType":
        return type(part.key_type).__name__ == "StrType"
    return kind not in _INEXACT or hasattr(getattr(part, "cls", None), "model_validate")


def reads_exactly(annotation: Any, form: Format) -> bool:
    """Whether msgspec reads the type from octets as it does from plain data."""
    try:
        return not _kinds(annotation) & _READ_OTHERWISE[form]
    except (TypeError, NameError):
        return False  # a union of several dataclasses


_READ_OTHERWISE: dict[Format, frozenset[str]] = {
    # A Decimal from a number: plain data keep of it what a float can hold.
    "json": frozenset(("DecimalType", "ExtType", "RawType")),
    # Any, models and times take what only msgspec makes of extension types; mappings with keys that are no
    # text take those that are.
    "msgpack": frozenset((*_INEXACT, "numbered")),
}


def _kinds(annotation: Any) -> frozenset[str]:
    """What there is in a type; ``numbered`` for a mapping with keys that are no text."""
    import msgspec.inspect

    info = msgspec.inspect.type_info(strip_annotated(annotation))
    parts = list(inspected_parts(info, set()))
    numbered = any(hasattr(part, "key_type") and type(part.key_type).__name__ != "StrType" for part in parts)
    return frozenset((*(type(part).__name__ for part in parts), *(["numbered"] if numbered else [])))


def is_bounded(annotation: Any) -> bool:
    """Whether the type itself says how deep its values nest; models do not."""
    import msgspec.inspect

    return _is_bounded(msgspec.inspect.type_info(strip_annotated(annotation)), ())


def _is_bounded(info: Any, around: tuple[int, ...]) -> bool:
    if isinstance(info, tuple | list):
        return all(_is_bounded(item, around) for item in info)
    if type(info).__module__ != "msgspec.inspect":
        return True
    if id(info) in around or type(info).__name__ in _INEXACT:
        return False
    fields = (getattr(info, name) for name in getattr(info, "__struct_fields__", ()))
    return all(_is_bounded(field, (*around, id(info))) for field in fields)


def may_be_deep(value: Any, depth: int) -> bool:
    """Whether typed data nest deeper than ``depth``, or hold an object of which that is not known."""
    level = [value]
    for _ in range(depth + 1):
        level = [inner for outer in level if not isinstance(outer, _LEAVES) for inner in _inside(outer)]
        if not level:
            return False
        if any(hasattr(inner, "model_validate") for inner in level):
            return True
    return True


_LEAVES = (str, bytes, int, float, type(None))


def _inside(value: Any) -> Iterable[Any]:
    kind = type(value)
    if issubclass(kind, list | tuple | set | frozenset):
        return value  # type: ignore[no-any-return]
    if kind is dict:
        return value.values()  # type: ignore[no-any-return]
    names = getattr(kind, "__dataclass_fields__", ()) or getattr(kind, "__struct_fields__", ())
    return [getattr(value, name) for name in names]


# -- to octets ---------------------------------------------------------------------------------


@lru_cache(1)
def _msgpack_encode() -> Callable[[Any], bytes]:
    import msgspec

    return msgspec.msgpack.Encoder(enc_hook=dump_model).encode


def encode(form: Format, *, exact: bool) -> Callable[[Any], bytes]:
    """A function from a value to its octets.

    Args:
        form: ``json`` or ``msgpack``.
        exact: All types in the values are, as ``is_exact`` says.

    Raises:
        MissingExtra: The package msgpack is needed and not installed.
    """
    if form == "json":
        return to_json
    if exact:
        return _msgpack_encode()
    packer = require("msgpack", "client", "msgpack of plain data").Packer

    def encode_plain(value: Any) -> bytes:
        # A packer of its own: they are not to be shared by threads.
        plain = value if type(value) in _SCALARS else to_plain(value)
        return packer().pack(plain)  # type: ignore[no-any-return]

    return encode_plain


_SCALARS = frozenset((str, int, float, bool, bytes, type(None)))
"""What msgpack writes as it is."""

_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
"""How msgpack's own times begin."""


def result_writer(annotation: Any, form: Format) -> Callable[[Any], bytes]:
    """A function from a result to its octets; nobody has checked that it is of the type ``annotation``.

    Raises:
        MissingExtra: The package msgpack is needed and not installed.
    """
    plain = encode(form, exact=False)
    # The keys of a mapping that is not what it should be would not become text.
    if form == "json" or not is_exact(annotation) or "DictType" in _kinds(annotation):
        return plain
    straight = encode(form, exact=True)

    def write(value: Any) -> bytes:
        octets = straight(value)
        # The last octet of each, which no text has, is looked for first: that is much quicker.
        if b"\xff" in octets and any(map(octets.__contains__, _TIMESTAMPS)):
            # A time where none should be, or other octets that look like one.
            return plain(value)
        return octets

    return write


def reader(annotation: Any, form: Format) -> Callable[[bytes], Any] | None:
    """A function from octets straight to the type; ``None`` where only the long way will do.

    It raises ``ValueError`` (also a subclass of it) or ``RecursionError`` where the octets do not fit: then
    the long way words the error.
    """
    if not reads_exactly(annotation, form):
        return None
    import msgspec

    annotation = strip_annotated(annotation)
    module = msgspec.json if form == "json" else msgspec.msgpack
    decode = module.Decoder(annotation, dec_hook=load_model).decode
    defaults = field_defaults(annotation)
    if not defaults:
        return decode  # type: ignore[no-any-return]

    def decode_and_complete(octets: bytes) -> Any:
        value = decode(octets)
        complete_defaults(value, defaults)
        return value

    return decode_and_complete


def read_whole(annotation: Any, form: Format, plain: Callable[[bytes], Any], where: str) -> Converter:
    """A function from octets to the type: straight where that is possible, else by way of plain data.

    Args:
        annotation: The type.
        form: ``json`` or ``msgpack``.
        plain: Octets to plain data; raises ``ValueError``.
        where: What an error of definition names.

    Returns:
        A callable that raises ``ValueError`` for what is no such format, ``ConversionError`` for what
        does not fit the type.
    """
    quick, convert = reader(annotation, form), converter(annotation, text=False, where=where)
    if quick is None:
        return lambda octets: convert(plain(octets))

    def read(octets: bytes) -> Any:
        try:
            return quick(octets)
        except (ValueError, RecursionError):
            return convert(plain(octets))

    return read


def all_exact(annotations: Iterable[Any]) -> bool:
    """``is_exact`` of each."""
    return all(map(is_exact, annotations))
