"""OpenAPI of an app, by FastAPI, from the type hints of its entries."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Header, Path, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from unimicro.conversion import strip_annotated
from unimicro.forms import Upload
from unimicro.outcome import Response

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unimicro.app import App
    from unimicro.operation import HttpBinding, Operation
    from unimicro.signature import Parameter


def title(app: App) -> str:
    """The names of the services."""
    return ", ".join(service.name for service in app.services)


def describe(app: App, native: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all entries, and of the routes that the user added to FastAPI; cached."""
    if native.openapi_schema is None:
        documented = [_route(op, op.http) for op in app.operations.values() if op.http is not None]
        own = [route for route in native.routes if isinstance(route, APIRoute)]
        native.openapi_schema = get_openapi(
            title=native.title,
            version=native.version,
            description="\n\n".join(inspect.getdoc(service) or "" for service in app.services),
            routes=[*documented, *own],
        )
        _protect(app, native.openapi_schema)
    return native.openapi_schema


def _route(operation: Operation, http: HttpBinding) -> APIRoute:
    """A route that is never called: FastAPI reads its signature."""

    def endpoint() -> None: ...

    endpoint.__name__ = operation.name.replace(".", "_").replace("-", "_")
    endpoint.__doc__ = operation.documentation
    parameters = [_documented(parameter) for parameter in operation.signature.parameters]
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return APIRoute(
        http.template,
        endpoint,
        methods=[http.verb],
        name=operation.name,
        operation_id=operation.name,
        response_model=_response_model(operation.signature.returns),
        tags=[operation.service.name],
    )


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


def _response_model(returns: Any) -> Any:
    returns = strip_annotated(returns)
    return (
        None if returns in (Any, Response, None, type(None), bytes) or isinstance(returns, str) else returns
    )


def _protect(app: App, document: dict[str, Any]) -> None:
    """Say which entries need a token (OpenAPI 3.1 §4.8.27)."""
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for operation in app.operations.values():
        if operation.http and "auth" in app.policies_of(operation):
            entry = document["paths"][operation.http.template][operation.http.verb.lower()]
            entry["security"] = [{"token": []}]
