"""Values as text, for paths, queries and header fields: what the server's converters read again."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any, get_args

from unimicro.conversion import is_collection, is_scalar, is_union, strip_annotated
from unimicro.wire import to_plain

__all__ = ["Unsendable", "carries_text", "text_of", "texts_of"]


class Unsendable(Exception):
    """A value that its place in the request cannot hold; the text says why."""


def carries_text(annotation: Any) -> bool:
    """Whether values of the type can be written as text, or as several texts."""
    annotation = strip_annotated(annotation)
    if is_union(annotation):
        return all(map(carries_text, get_args(annotation)))
    if is_collection(annotation):
        return all(_is_text(member) for member in get_args(annotation) if member is not ...)
    return _is_text(annotation)


def _is_text(annotation: Any) -> bool:
    return is_scalar(annotation) or strip_annotated(annotation) is bytes


def text_of(value: Any) -> str:
    """One value as text: ``true``, ISO 8601 times, base64 for bytes.

    Raises:
        Unsendable: It is ``None``, a structure, or text that is no Unicode.
    """
    try:
        plain = to_plain(value)
    except (TypeError, ValueError) as error:
        raise Unsendable(str(error)) from error
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, int | float):
        return repr(plain)
    if isinstance(plain, bytes | bytearray | memoryview):
        return base64.b64encode(plain).decode("ascii")
    if not isinstance(plain, str):
        raise Unsendable(f"{type(value).__name__} cannot be written as text")
    try:
        plain.encode()
    except UnicodeEncodeError as error:
        raise Unsendable("the text is no Unicode") from error
    return plain


def texts_of(value: Any, *, collects: bool) -> list[str]:
    """The texts of an argument: those of its members where it is a collection.

    Raises:
        Unsendable: One of them cannot be written, or there is none: that would mean that nothing was given.
    """
    if not collects:
        return [text_of(value)]
    if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
        raise Unsendable(f"expected a collection, got {type(value).__name__}")
    texts = [text_of(member) for member in value]
    if not texts:
        raise Unsendable("an empty collection cannot be told from one that is not given")
    return texts
