"""Values of known types to and from JSON and msgpack in one step, where that makes no difference.

The long way goes through plain data (``wire.to_plain``, ``conversion.converter``). Where a type allows it,
msgspec writes and reads the same octets straight from and to the objects, in about a third of the time.
``is_exact`` tells which types those are. A read that fails is repeated the long way, which words the error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

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
from unimicro.wire import dump_model, to_json, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Format", "all_exact", "encode", "is_exact", "read_whole", "reader"]

Format = Literal["json", "msgpack"]

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
    pack = require("msgpack", "client", "msgpack of plain data").packb

    def encode_plain(value: Any) -> bytes:
        return pack(to_plain(value))  # type: ignore[no-any-return]

    return encode_plain


def reader(annotation: Any, form: Format) -> Callable[[bytes], Any] | None:
    """A function from octets straight to the type; ``None`` where only the long way will do.

    It raises ``ValueError`` (also a subclass of it) or ``RecursionError`` where the octets do not fit: then
    the long way words the error.
    """
    if not is_exact(annotation):
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
