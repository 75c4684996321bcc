"""Services: an abstract class each, whose entries are the operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unimicro.component import COMPONENT
from unimicro.signature import BODY_VERBS
from unimicro_cli.pull.annotations import Annotations
from unimicro_cli.pull.classes import class_head, closed
from unimicro_cli.pull.layout import STEP, Code, Group, joined, lines, statement
from unimicro_cli.pull.literals import docstring, literal, text_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unimicro_cli.pull.model import (
        ClassModel,
        ErrorModel,
        OperationModel,
        ParameterModel,
        ServiceModel,
    )
    from unimicro_cli.pull.symbols import Symbols

MARKERS = {"query": "Query", "header": "Header", "whole body": "Body"}
LONGEST_DEFAULT = 60


def service_lines(
    service: ServiceModel,
    name: str,
    symbols: Symbols,
    classes: Mapping[str, ClassModel],
    error_names: Mapping[ErrorModel, str],
) -> list[str]:
    """The class of a service, called ``name``."""
    writer = _Writer(Annotations(symbols, classes, [op.name for op in service.operations]), error_names)
    decorator = Group(f"@{symbols.use('service')}", "()", (f"name={text_literal(service.name)}",))
    component = f"{COMPONENT} = {text_literal(service.component)}"
    body = statement(component, STEP) if service.component else []
    for operation in sorted(service.operations, key=lambda operation: operation.name):
        body += [""] if body else []
        body += writer.operation(operation)
    head = class_head(name, (symbols.use("Service"), symbols.use("ABC")))
    return [*lines(decorator, ""), *closed(head, service.documentation, body)]


class _Writer:
    def __init__(self, notes: Annotations, error_names: Mapping[ErrorModel, str]) -> None:
        self._notes = notes
        self._error_names = error_names

    def operation(self, operation: OperationModel) -> list[str]:
        """Decorators, signature, docstring."""
        documentation = docstring(operation.documentation, STEP * 2)
        end = ":" if documentation else ": ..."
        returns = joined(joined(" -> ", "", self._notes.type(operation.returns)), "", end)
        word = "async def" if operation.is_async else "def"
        signature = Group(f"{word} {operation.name}", "()", tuple(self._parameters(operation)), returns)
        return [
            f"{STEP}@{self._notes.name('abstractmethod')}",
            *lines(self._entry(operation), STEP),
            *lines(signature, STEP),
            *documentation,
        ]

    def _entry(self, operation: OperationModel) -> Group:
        members: list[Code] = [text_literal(operation.verb), text_literal(operation.path)]
        for option, value in operation.options.items():
            members.append(joined(f"{option}=", "", _option(value)))
        if operation.errors:
            names = tuple(self._error(error) for error in operation.errors)
            members.append(Group("errors=", "[]", names))
        return Group(f"@{self._notes.name('entry')}", "()", tuple(members))

    def _error(self, error: ErrorModel) -> str:
        return self._notes.name(error.name) if error.of else self._notes.visible(self._error_names[error])

    def _parameters(self, operation: OperationModel) -> list[Code]:
        written: list[Code] = ["self"]
        before = ""
        for parameter in operation.parameters:
            if before == "positional only" != parameter.kind:
                written.append("/")
            if parameter.kind == "keyword" != before:
                written.append("*")
            written.append(self._parameter(parameter, operation))
            before = parameter.kind
        if before == "positional only":
            written.append("/")
        if operation.takes_rest:
            rest = "kwargs"
            while rest in [parameter.name for parameter in operation.parameters]:
                rest = f"{rest}_"
            written.append(f"**{rest}: {self._notes.name('Any')}")
        return written

    def _parameter(self, parameter: ParameterModel, operation: OperationModel) -> Code:
        annotation = self._notes.type(parameter.type)
        marker = self._marker(parameter, operation)
        if marker:
            annotation = Group(self._notes.name("Annotated"), "[]", (annotation, marker))
        code = joined(parameter.name, ": ", annotation)
        default = parameter.default
        if default is None:
            return code
        value = self._notes.value(parameter.type, default.value) if default.known else None
        return joined(code, " = ", "..." if value is None or len(value) > LONGEST_DEFAULT else value)

    def _marker(self, parameter: ParameterModel, operation: OperationModel) -> str:
        """What says where the parameter comes from, where its place alone does not."""
        usual = "body" if operation.verb in BODY_VERBS else "query"
        renamed = parameter.wire_name not in ("", parameter.name)
        if parameter.source == "path" or (parameter.source == usual and not renamed):
            return ""
        name = self._notes.name(MARKERS[parameter.source])
        return f"{name}({text_literal(parameter.wire_name)})" if renamed else name


def _option(value: Any) -> Code:
    if isinstance(value, list):
        return Group("", "[]", tuple(map(literal, value)))
    return literal(value)
