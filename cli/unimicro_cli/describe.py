"""Operations as a reader sees them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from unimicro.conversion import strip_annotated, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unimicro.app import App
    from unimicro.operation import Operation
    from unimicro.signature import Parameter


class Route(NamedTuple):
    """One way to an operation.

    Attributes:
        verb: HTTP verb, ``EVENT`` or ``EVERY``.
        path: Path template, ``source type`` of the event, or the interval in seconds.
        operation: What it calls.
    """

    verb: str
    path: str
    operation: Operation

    @property
    def access(self) -> str:
        if self.operation.http is None:
            return "internal"
        return "open" if self.operation.options.no_auth else "protected"


def http_routes(app: App) -> list[Route]:
    """The HTTP routes, sorted by path and verb."""
    bound = [(op, op.http) for op in app.operations.values() if op.http is not None]
    routes = [Route(http.verb, http.template, operation) for operation, http in bound]
    return sorted(routes, key=lambda route: (route.path, route.verb))


def all_routes(app: App) -> list[Route]:
    """The HTTP routes, then the events, then the timers."""
    operations = sorted(app.operations.values(), key=lambda operation: operation.name)
    events = [Route("EVENT", f"{e.source} {e.type}", op) for op in operations for e in op.events]
    timers = [Route("EVERY", f"{op.interval:g} s", op) for op in operations if op.interval is not None]
    return [*http_routes(app), *events, *timers]


def signature_text(operation: Operation) -> str:
    """``(order_id: str, *, express: bool = False) -> Order``."""
    returns = _shown(operation.signature.returns)
    return f"({', '.join(_parameters(operation))}) -> {returns}"


def _parameters(operation: Operation) -> Iterator[str]:
    marked = False
    for parameter in operation.signature.parameters:
        if not parameter.positional and not marked:
            marked = True
            yield "*"
        default = "" if parameter.required else f" = {parameter.default!r}"
        yield f"{parameter.name}: {_shown(parameter.annotation)}{default}"
    if operation.signature.takes_rest:
        yield "**kwargs"


def _shown(annotation: Any) -> str:
    annotation = strip_annotated(annotation)
    return "None" if annotation is type(None) else type_name(annotation)


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
        "returns": _shown(operation.signature.returns),
        "documentation": first_line(operation),
        "open": route.access == "open",
    }


def _parameter_data(parameter: Parameter) -> dict[str, Any]:
    data = {"name": parameter.name, "type": _shown(parameter.annotation), "required": parameter.required}
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
