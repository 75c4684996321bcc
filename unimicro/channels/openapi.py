"""OpenAPI of an app, by FastAPI, from the type hints of its entries."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Header, Path, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse

from unimicro.channels.description import describe_document, describe_operations
from unimicro.conversion import strip_annotated
from unimicro.forms import Upload
from unimicro.outcome import CODES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unimicro.app import App
    from unimicro.operation import HttpBinding, Operation
    from unimicro.signature import Parameter


def title(app: App) -> str:
    """The names of the services."""
    return ", ".join(service.name for service in app.services)


PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem document",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"enum": list(CODES)},
        "layer": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "details": {"type": "object"},
        "retry_after_ms": {"type": "integer"},
        "trace_id": {"type": "string"},
    },
}

PROBLEM_ANSWER: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Failure",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def describe(app: App, native: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all entries, and of the routes that the user added to FastAPI; cached."""
    if native.openapi_schema is None:
        documented = [_route(op, op.http) for op in app.operations.values() if op.http is not None]
        own = [route for route in native.routes if isinstance(route, APIRoute)]
        document = get_openapi(
            title=native.title,
            version=native.version,
            description="\n\n".join(inspect.getdoc(service) or "" for service in app.services),
            routes=[*documented, *own],
            separate_input_output_schemas=False,
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        _protect(app, document)
        _extend(app, document)
        native.openapi_schema = document
    return native.openapi_schema


def _route(operation: Operation, http: HttpBinding) -> APIRoute:
    """A route that is never called: FastAPI reads its signature."""

    def endpoint() -> None: ...

    endpoint.__name__ = operation.name.replace(".", "_").replace("-", "_")
    endpoint.__doc__ = operation.documentation
    sensitive = operation.options.sensitive
    parameters = [_documented(p, hidden=p.name in sensitive) for p in operation.signature.parameters]
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    returns = _documentable(strip_annotated(operation.signature.returns))
    nothing = returns in (None, type(None))
    return APIRoute(
        http.template,
        endpoint,
        methods=[http.verb],
        name=operation.name,
        summary=operation.documentation.partition("\n")[0] or operation.name,
        operation_id=operation.name,
        status_code=204 if nothing else 200,
        response_model=None if nothing or operation.may_respond or returns is bytes else returns,
        response_class=_answer_class(operation, returns),
        responses=PROBLEM_ANSWER,
        tags=[operation.service.name],
    )


def _answer_class(operation: Operation, returns: Any) -> type[StarletteResponse]:
    """A class that names the content type of a success; of one that is JSON FastAPI shows the schema."""
    other = {str: "text/plain", bytes: "application/octet-stream"}.get(returns)
    kind = JSONResponse if other is None else StarletteResponse
    media_type = operation.options.content_type or other or "application/json"
    return type("Answer", (kind,), {"media_type": media_type})


def _documentable(annotation: Any) -> Any:
    """The annotation, or ``Any`` for one that FastAPI refuses: its page must not fail for one entry."""
    if annotation in (None, type(None), Any):
        return annotation
    try:
        TypeAdapter(annotation)
    except Exception:
        return Any
    return annotation


def _documented(parameter: Parameter, *, hidden: bool) -> inspect.Parameter:
    """As FastAPI wants it; the default of a sensitive parameter is not shown."""
    kind = _documentable(strip_annotated(parameter.annotation))
    plain = parameter.required or parameter.source == "path" or hidden
    alias = parameter.wire_name
    optional: Any = {"default_factory": list} if hidden and not parameter.required else {}
    places: dict[str, Any] = {
        "path": Path(alias=parameter.name),
        "query": Query(alias=alias, **optional),
        "header": Header(alias=alias, **optional),
        "body": Body(embed=True, alias=alias, **optional),
        "whole body": Body(**optional),
    }
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if plain else parameter.default,
        annotation=Annotated[bytes if parameter.annotation is Upload else kind, places[parameter.source]],
    )


def _protect(app: App, document: dict[str, Any]) -> None:
    """Say which entries need a token (OpenAPI 3.1 §4.8.27)."""
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for operation in app.operations.values():
        if operation.http and "auth" in app.policies_of(operation):
            entry = document["paths"][operation.http.template][operation.http.verb.lower()]
            entry["security"] = [{"token": []}]


def _extend(app: App, document: dict[str, Any]) -> None:
    """Add what OpenAPI has no words for; see ``unimicro.channels.description``."""
    operations, types = describe_operations(app)
    for name, description in operations.items():
        http = app.operations[name].http
        if http is not None:
            document["paths"][http.template][http.verb.lower()]["x-unimicro"] = description
    document["x-unimicro"] = describe_document(app, types)
