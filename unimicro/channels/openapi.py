"""OpenAPI of an app, by FastAPI, from the type hints of its entries."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Header, Path, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import Response as StarletteResponse

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
        native.openapi_schema = document
    return native.openapi_schema


def _route(operation: Operation, http: HttpBinding) -> APIRoute:
    """A route that is never called: FastAPI reads its signature."""

    def endpoint() -> None: ...

    endpoint.__name__ = operation.name.replace(".", "_").replace("-", "_")
    endpoint.__doc__ = operation.documentation
    parameters = [_documented(parameter) for parameter in operation.signature.parameters]
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    returns = strip_annotated(operation.signature.returns)
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
    """A class that names the content type of a success."""
    default = {str: "text/plain", bytes: "application/octet-stream"}.get(returns, "application/json")
    return type("Answer", (StarletteResponse,), {"media_type": operation.options.content_type or default})


def _documented(parameter: Parameter) -> inspect.Parameter:
    kind = strip_annotated(parameter.annotation)
    required = parameter.required
    alias = parameter.wire_name
    places: dict[str, Any] = {
        "path": Path(alias=parameter.name),
        "query": Query(alias=alias),
        "header": Header(alias=alias),
        "body": Body(embed=True, alias=alias),
        "whole body": Body(),
    }
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required or parameter.source == "path" else parameter.default,
        annotation=Annotated[bytes if kind is Upload else kind, places[parameter.source]],
    )


def _protect(app: App, document: dict[str, Any]) -> None:
    """Say which entries need a token (OpenAPI 3.1 §4.8.27)."""
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for operation in app.operations.values():
        if operation.http and "auth" in app.policies_of(operation):
            entry = document["paths"][operation.http.template][operation.http.verb.lower()]
            entry["security"] = [{"token": []}]
