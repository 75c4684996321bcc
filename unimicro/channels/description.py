"""The extension ``x-unimicro`` of the OpenAPI document: what a typed client needs and OpenAPI cannot say.

Each operation has one with its name, its parameters and result with their exact types, its declared errors
and whether it may be repeated; the document has one with the services, the channels and the classes. A member
that says nothing, such as ``"safe": false``, is left out. ``unimicro client pull`` reads it.
"""

from __future__ import annotations

import builtins
import inspect
from typing import TYPE_CHECKING, Any, ClassVar, get_origin, get_type_hints

from unimicro import errors
from unimicro.channels.described_classes import documentation, plain_default
from unimicro.channels.described_types import DescribedTypes
from unimicro.component import COMPONENT
from unimicro.conversion import strip_annotated
from unimicro.operation import declared_in

if TYPE_CHECKING:
    from unimicro.app import App
    from unimicro.operation import Operation
    from unimicro.service import Service
    from unimicro.signature import Parameter

__all__ = ["FORMAT", "describe_document", "describe_operations"]

FORMAT = 1
"""Of the extension; raised when a reader of the one before would misunderstand it."""


def describe_operations(app: App) -> tuple[dict[str, Any], DescribedTypes]:
    """Operation name to description of those that HTTP reaches, and the types that they name."""
    types = DescribedTypes()
    bound = [operation for operation in app.operations.values() if operation.http is not None]
    return {operation.name: _operation(operation, types) for operation in bound}, types


def describe_document(app: App, types: DescribedTypes) -> dict[str, Any]:
    """What the operations share."""
    return {
        "format": FORMAT,
        "channels": list(app.door("fastapi").channels),
        "services": {service.name: _service(service) for service in app.services},
        "classes": types.classes,
    }


def _service(service: Service) -> dict[str, Any]:
    component = getattr(service, COMPONENT, None)
    return _told(
        {
            "class": _interface(type(service)).__name__,
            "component": component,
            "documentation": inspect.getdoc(service) if type(service).__doc__ else "",
        }
    )


def _interface(kind: type[Service]) -> type:
    """What ``@service`` declared of the class's bases, else the class itself."""
    declared = (declared_in(kind, name) for name in dir(kind) if not name.startswith("_"))
    return next(filter(None, declared), kind)


def _operation(operation: Operation, types: DescribedTypes) -> dict[str, Any]:
    options, signature = operation.options, operation.signature
    return {"operation": operation.name} | _told(
        {
            "async": operation.is_async,
            "safe": options.safe,
            "idempotent": options.idempotent,
            "key": options.key,
            "sensitive": list(options.sensitive),
            "content_type": options.content_type,
            "binary": options.binary,
            "parameters": [_parameter(p, operation, types) for p in signature.parameters],
            "takes_rest": signature.takes_rest,
            "returns": types.text(signature.returns),
            "errors": [_error(kind, code, types) for kind, code in operation.errors.items()],
            "documentation": operation.documentation,
        }
    )


def _parameter(parameter: Parameter, operation: Operation, types: DescribedTypes) -> dict[str, Any]:
    kind = "keyword"
    if parameter.positional:
        kind = "positional"
    if parameter.name in operation.signature.positional_only:
        kind = "positional only"
    default: dict[str, Any] = {}
    if not parameter.required:
        hidden = parameter.name in operation.options.sensitive
        default = {"optional": True} if hidden else plain_default(parameter.default)
    return {
        "name": parameter.name,
        "kind": kind,
        "in": parameter.source,
        "wire_name": parameter.wire_name,
        "type": types.text(strip_annotated(parameter.annotation)),
        **default,
    }


def _error(kind: type[Exception], code: str, types: DescribedTypes) -> dict[str, Any]:
    """A declared error by the name under which it travels, and whether every client has the class already."""
    told = {"name": kind.__name__, "code": code}
    for module in (builtins, errors):
        if getattr(module, kind.__name__, None) is kind:
            return told | {"of": module.__name__}
    detailed = issubclass(kind, errors.ServiceError)
    return told | _told(
        {"service_error": detailed, "attributes": _attributes(kind, types), **documentation(kind)}
    )


def _attributes(kind: type[Exception], types: DescribedTypes) -> list[dict[str, str]]:
    """Annotated attributes of an error's own; they travel with it."""
    known = {"code", *get_type_hints(errors.ServiceError)}
    try:
        hints = get_type_hints(kind)
    except Exception:
        return []  # they name what only type checkers see
    return [
        {"name": name, "type": types.text(hint)}
        for name, hint in hints.items()
        if not name.startswith("_") and name not in known and ClassVar not in (hint, get_origin(hint))
    ]


def _told(members: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing."""
    return {name: value for name, value in members.items() if value not in (None, False, "", [])}
