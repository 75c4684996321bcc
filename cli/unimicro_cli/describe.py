"""Operations as a reader sees them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.conversion import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unimicro.app import App
    from unimicro.operation import Operation
    from unimicro.signature import Parameter


INTERNAL = "internal"


class Route(NamedTuple):
    """One way to an operation.

    Attributes:
        verb: HTTP verb, ``EVENT`` or ``EVERY``.
        path: Path template, ``source type`` of the event, or the interval in seconds.
        operation: What it calls.
        access: ``internal``; ``protected``, where an authorizer is in force; or ``open``.
    """

    verb: str
    path: str
    operation: Operation
    access: str


def http_routes(app: App) -> list[Route]:
    """The HTTP routes, sorted by path and verb."""
    bound = [(op, op.http) for op in app.operations.values() if op.http is not None]
    routes = [Route(http.verb, http.template, op, _access(app, op)) for op, http in bound]
    return sorted(routes, key=lambda route: (route.path, route.verb))


def _access(app: App, operation: Operation) -> str:
    """By what is in force: the configuration may take an authorizer away that the code asks for."""
    return "protected" if "auth" in app.policies_of(operation) else "open"


def all_routes(app: App) -> list[Route]:
    """The HTTP routes, then the events, then the timers."""
    operations = sorted(app.operations.values(), key=lambda operation: operation.name)
    events = [Route("EVENT", f"{e.source} {e.type}", op, INTERNAL) for op in operations for e in op.events]
    timers = [
        Route("EVERY", f"{op.interval:g} s", op, INTERNAL) for op in operations if op.interval is not None
    ]
    return [*http_routes(app), *events, *timers]


def signature_text(operation: Operation) -> str:
    """``(order_id: str, *, express: bool = False) -> Order``."""
    returns = type_name(operation.signature.returns)
    return f"({', '.join(_parameters(operation))}) -> {returns}"


def _parameters(operation: Operation) -> Iterator[str]:
    marked = False
    for parameter in operation.signature.parameters:
        if not parameter.positional and not marked:
            marked = True
            yield "*"
        default = "" if parameter.required else f" = {parameter.default!r}"
        yield f"{parameter.name}: {type_name(parameter.annotation)}{default}"
    if operation.signature.takes_rest:
        yield "**kwargs"


def first_line(operation: Operation) -> str:
    """The first line of the documentation."""
    return operation.documentation.partition("\n")[0]


def as_data(route: Route) -> dict[str, Any]:
    """A route as JSON-able data; a default that JSON cannot hold is its ``repr``."""
    operation = route.operation
    return {
        "verb": route.verb,
        "path": route.path,
        "operation": operation.name,
        "parameters": [_parameter_data(parameter) for parameter in operation.signature.parameters],
        "returns": type_name(operation.signature.returns),
        "documentation": first_line(operation),
        "open": route.access == "open",
    }


def _parameter_data(parameter: Parameter) -> dict[str, Any]:
    data = {"name": parameter.name, "type": type_name(parameter.annotation), "required": parameter.required}
    if not parameter.required:
        default = parameter.default
        plain = default is None or isinstance(default, str | int) or _is_finite(default)
        data["default"] = default if plain else repr(default)
    return data


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and isfinite(value)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
