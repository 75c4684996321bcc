"""The classes of a module: data, enumerations, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unimicro.errors import ServiceError
from unimicro_cli.pull.annotations import MUTABLE, Annotations
from unimicro_cli.pull.layout import STEP, WIDTH, Code, Group, flat, joined, lines, statement, width
from unimicro_cli.pull.literals import docstring, literal, text_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro_cli.pull.model import ClassModel, ErrorModel, Field
    from unimicro_cli.pull.symbols import Symbols

ERROR_OF_CODE: dict[str, str] = {
    kind.code: kind.__name__
    for kind in ServiceError.__subclasses__()
    if kind.__module__ == ServiceError.__module__
}


def class_head(name: str, bases: tuple[str, ...]) -> list[str]:
    """``class Order(Base):``."""
    return lines(Group(f"class {name}", "()", bases, ":"), "") if bases else [f"class {name}:"]


def closed(head: list[str], documentation: str, body: list[str]) -> list[str]:
    """A class with its docstring; one without anything in it gets ``...``."""
    written = docstring(documentation, STEP)
    if written and body:
        written.append("")
    if not written and not body:
        return [*head[:-1], f"{head[-1]} ..."]
    return [*head, *written, *body]


class Classes:
    """Writes classes of data.

    Args:
        symbols: Of the module.
        classes: Of the description.
    """

    def __init__(self, symbols: Symbols, classes: Mapping[str, ClassModel]) -> None:
        self._symbols = symbols
        self._classes = classes

    def data(self, model: ClassModel) -> list[str]:
        """A class of parameters and results."""
        name = self._symbols.own("class", model.name)
        if model.kind == "enum":
            return self._enumeration(name, model)
        hidden = [field.name for field in model.fields]
        notes = Annotations(self._symbols, self._classes, hidden)
        if model.kind != "dataclass":
            base = "TypedDict" if model.kind == "typed_dict" else "NamedTuple"
            body = [line for field in model.fields for line in self._member(field, model.kind, notes)]
            return closed(class_head(name, (self._symbols.use(base),)), model.documentation, body)
        if any(field.wire_name not in ("", field.name) for field in model.fields):
            return self._struct(name, model, notes)
        return self._dataclass(name, model, notes)

    def _enumeration(self, name: str, model: ClassModel) -> list[str]:
        mixed_in = model.base in ("str", "int")
        bases = (model.base, self._symbols.use("Enum")) if mixed_in else (self._symbols.use(model.base),)
        body = [
            line
            for member, value in model.members
            for line in statement(f"{member} = {literal(value)}", STEP)
        ]
        return closed(class_head(name, bases), model.documentation, body)

    def _member(self, field: Field, kind: str, notes: Annotations) -> list[str]:
        annotation = notes.type(field.type)
        if kind == "typed_dict" and field.default is not None:
            annotation = Group(notes.name("NotRequired"), "[]", (annotation,), comma=False)
        value = None
        if kind == "named_tuple" and field.default is not None:
            value = notes.value(field.type, field.default.value) or "..."
        return _declared(field.name, annotation, value)

    def _dataclass(self, name: str, model: ClassModel, notes: Annotations) -> list[str]:
        keyword = bool(model.fields) and all(field.keyword for field in model.fields)
        options = tuple(
            f"{option}=True" for option, wanted in (("frozen", model.frozen), ("kw_only", keyword)) if wanted
        )
        decorator = f"@{self._symbols.use('dataclass')}"
        body: list[str] = []
        had_default = False
        for field in model.fields:
            value, factory = _default(field, notes)
            needs_keyword = not keyword and (
                field.keyword or (had_default and value is None and factory is None)
            )
            had_default = had_default or ((value or factory) is not None and not needs_keyword)
            if factory is not None or needs_keyword:
                value = _field(notes.name("field"), value, factory, needs_keyword)
            body += _declared(field.name, notes.type(field.type), value)
        decorated = Group(decorator, "()", options) if options else decorator
        return [*lines(decorated, ""), *closed(class_head(name, ()), model.documentation, body)]

    def _struct(self, name: str, model: ClassModel, notes: Annotations) -> list[str]:
        """A dataclass cannot have other names on the wire than its own."""
        self._symbols.uses_msgspec = True
        body: list[str] = []
        for field in model.fields:
            value, factory = _default(field, notes)
            given = [("default", value), ("default_factory", factory)]
            if field.wire_name not in ("", field.name):
                given.append(("name", text_literal(field.wire_name)))
                value = None
            if value is None:
                members = tuple(f"{option}={text}" for option, text in given if text is not None)
                value = f"msgspec.field({', '.join(members)})" if members else None
            body += _declared(field.name, notes.type(field.type), value)
        options = ("msgspec.Struct", "kw_only=True", *(["frozen=True"] if model.frozen else []))
        return closed(class_head(name, options), model.documentation, body)

    def error(self, model: ErrorModel, name: str) -> list[str]:
        """A declared error; under another name than it travels, that is put right behind it."""
        notes = Annotations(self._symbols, self._classes, [a.name for a in model.attributes])
        of_code = ERROR_OF_CODE[model.code]
        base = self._symbols.use(of_code if model.service_error else "Exception")
        body = [] if model.service_error else statement(f"code = {text_literal(model.code)}", STEP)
        if model.attributes:
            body += [""] if body else []
            body += [line for a in model.attributes for line in _declared(a.name, notes.type(a.type), None)]
        written = closed(class_head(name, (base,)), model.documentation, body)
        renamed = ["", "", f"{name}.__name__ = {text_literal(model.name)}"] if name != model.name else []
        return [*written, *renamed]


def _default(field: Field, notes: Annotations) -> tuple[str | None, str | None]:
    """Value or factory of a field; neither where the description does not say what it is."""
    if field.default is None or not field.default.known:
        return None, None
    if field.default.factory:
        return None, notes.name(field.default.factory)
    value = notes.value(field.type, field.default.value)
    if value is None or not value.startswith(MUTABLE):
        return value, None
    empty = {"[]": "list", "{}": "dict"}.get(value, "set" if value.endswith("set()") else "")
    return None, notes.name(empty) if empty else f"lambda: {value}"


def _field(function: str, value: str | None, factory: str | None, keyword: bool) -> str:
    given = (("default", value), ("default_factory", factory), ("kw_only", "True" if keyword else None))
    return f"{function}({', '.join(f'{option}={text}' for option, text in given if text is not None)})"


def _declared(name: str, annotation: Code, value: str | None) -> list[str]:
    """``name: annotation = value``."""
    code = joined(name, ": ", annotation)
    if value is None:
        return lines(code, STEP)
    code = joined(code, " = ", value)
    fits = width(STEP + flat(code)) <= WIDTH
    return lines(code, STEP) if fits else statement(code, STEP)
