"""From an OpenAPI document of any make, such as FastAPI's, to the model of a service on the channel ``rest``.

An operation that this channel cannot call is left out: one with a form as its body, a cookie that it needs,
or a path segment that is part text, part parameter.
"""

from __future__ import annotations

import re

from unimicro.service import Service, snake_case
from unimicro.signature import BODY_VERBS
from unimicro_cli.pull.model import (
    ANY,
    NONE,
    Default,
    Model,
    OperationModel,
    ParameterModel,
    ServiceModel,
    Type,
)
from unimicro_cli.pull.reading import Node, made_identifier
from unimicro_cli.pull.schemas import Schemas

VERBS = ("get", "post", "put", "patch", "delete")
OF_HTTP = ("accept", "content-type", "authorization")
"""Header fields that are no parameters (OpenAPI 3.1 §4.8.12.1)."""


class CannotBeCalled(Exception):
    """Why an operation is left out."""


def read_foreign(document: Node) -> Model:
    """The model of a document without the extension.

    Raises:
        BadDescription: A member is not what it must be.
    """
    schemas = Schemas(document)
    operations: dict[str, OperationModel] = {}
    left_out: list[str] = []
    for path, item in document.node("paths").items():
        for verb in VERBS:
            if verb not in item:
                continue
            try:
                operation = _Operation(document, schemas, verb, path, item).model(set(operations))
            except CannotBeCalled as reason:
                left_out.append(f"{verb.upper()} {path[:200]!a}: {reason}")
            else:
                operations[operation.name] = operation
    info = document.node("info")
    words = made_identifier(re.sub(r"[^A-Za-z0-9]+", "_", info.get("title", str, "")), "service")
    class_name = "".join(word[:1].upper() + word[1:] for word in words.split("_"))
    service = ServiceModel(
        snake_case(class_name),
        class_name,
        tuple(operations.values()),
        documentation=info.get("description", str, ""),
    )
    return Model((service,) if operations else (), schemas.classes, tuple(left_out))


class _Operation:
    def __init__(self, document: Node, schemas: Schemas, verb: str, path: str, item: Node) -> None:
        self._document = document
        self._schemas = schemas
        self._verb = verb.upper()
        self._path = path
        self._item = item
        self._node = item.node(verb)

    def model(self, taken: set[str]) -> OperationModel:
        """The operation.

        Raises:
            CannotBeCalled: The channel cannot.
        """
        name = self._name(taken)
        wanted = "".join(word.capitalize() for word in name.split("_"))
        parameters = self._parameters(wanted)
        path, in_path = self._template([p for p in parameters if p.source == "path"])
        others = [p for p in parameters if p.source != "path"]
        body = self._body(wanted)
        repeatable = {"GET": "safe", "PUT": "idempotent", "DELETE": "idempotent"}.get(
            self._verb
        )  # RFC 9110 §9.2
        return OperationModel(
            name,
            self._verb,
            path,
            parameters=_distinct([*in_path, *body, *others]),
            returns=self._result(wanted),
            options={repeatable: True} if repeatable else {},
            documentation=self._documentation(),
        )

    def _name(self, taken: set[str]) -> str:
        """That of FastAPI's function, which begins its operation id; else the id; else verb and path."""
        given = self._node.get("operationId", str, "")
        fastapi = re.sub(r"\W", "_", self._path) + f"_{self._verb.lower()}"
        words = given.removesuffix(fastapi) or given or f"{self._verb.lower()}{self._path}"
        wanted = made_identifier(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower(), "operation").lstrip(
            "_"
        )
        name, number = wanted, 1
        while name in taken or hasattr(Service, name):
            number += 1
            name = f"{wanted}{number}"
        return name

    def _documentation(self) -> str:
        texts = [self._node.get(member, str, "") for member in ("summary", "description")]
        return "\n\n".join(text for text in texts if text.strip())

    def _resolved(self, node: Node, kind: str) -> Node:
        reference = node.get("$ref", str, "")
        key = reference.removeprefix(f"#/components/{kind}/")
        if not reference:
            return node
        if key == reference:
            raise CannotBeCalled("it refers to another document")
        return self._document.node("components").node(kind).node(key)

    # -- parameters ----------------------------------------------------------------------------

    def _parameters(self, wanted: str) -> list[ParameterModel]:
        """Those of the path are overridden by those of the operation (OpenAPI 3.1 §4.8.9.1)."""
        found: dict[tuple[str, str], Node] = {}
        for given in (*self._item.nodes("parameters"), *self._node.nodes("parameters")):
            node = self._resolved(given, "parameters")
            found[node.text("in"), node.text("name")] = node
        made = [self._parameter(place, name, node, wanted) for (place, name), node in found.items()]
        return [parameter for parameter in made if parameter is not None]

    def _parameter(self, place: str, wire_name: str, node: Node, wanted: str) -> ParameterModel | None:
        required = node.get("required", bool, False)
        if place == "header" and wire_name.lower() in OF_HTTP:
            return None
        if place not in ("path", "query", "header") or "content" in node:
            if required or place == "path":
                raise CannotBeCalled(f"it needs the {place[:20]!a} parameter {wire_name[:100]!a}")
            return None
        schema = node.value.get("schema")
        name = made_identifier(wire_name, "parameter").lstrip("_")
        kind = self._schemas.type(schema, f"{wanted}{name.capitalize()}", top=True)
        if place == "path":
            return ParameterModel(name, kind, "positional", place, wire_name)
        default = None if required else Default()
        if isinstance(schema, dict) and "default" in schema and not required:
            default = Default(known=True, value=schema["default"])
        elif not required and (kind == NONE or NONE in kind.arguments):
            default = Default(known=True)
        return ParameterModel(name, kind, "keyword", place, wire_name, default)

    def _template(self, parameters: list[ParameterModel]) -> tuple[str, list[ParameterModel]]:
        """The path with our names in it, and its parameters in order."""
        if any(character in self._path for character in "%?#") or not self._path.startswith("/"):
            raise CannotBeCalled("its path is none that can be written")
        segments, ordered = [], []
        for segment in self._path.split("/"):
            if "{" in segment or "}" in segment:
                found = [p for p in parameters if segment == f"{{{p.wire_name}}}"]
                if not found or found[0] in ordered:
                    raise CannotBeCalled(f"no parameter is the path segment {segment[:100]!a}")
                ordered.append(found[0])
            segments.append(segment)
        names = _distinct([p._replace(wire_name="") for p in ordered])
        given = iter(names)
        return "/".join(f"{{{next(given).name}}}" if "{" in s else s for s in segments), list(names)

    def _body(self, wanted: str) -> list[ParameterModel]:
        if "requestBody" not in self._node:
            return []
        node = self._resolved(self._node.node("requestBody"), "requestBodies")
        required = node.get("required", bool, False)
        content = node.node("content")
        if self._verb not in BODY_VERBS:
            raise CannotBeCalled(f"a {self._verb} request has no body here")
        for media, described in content.items():
            kind = self._of_media(media, described, f"{wanted}Body")
            if kind is not None:
                return [
                    ParameterModel("body", kind, "keyword", "whole body", "", None if required else Default())
                ]
        if not required:
            return []
        raise CannotBeCalled(f"its body is {', '.join(content.value)[:100]!a}")

    def _of_media(self, media: str, node: Node, name: str) -> Type | None:
        media = media.partition(";")[0].strip().lower()
        if media == "application/json" or media.endswith("+json"):
            return self._schemas.type(node.value.get("schema"), name, top=True)
        return {"application/octet-stream": Type("bytes"), "text/plain": Type("str")}.get(media)

    def _result(self, wanted: str) -> Type:
        """That of the first success; octets where it is nothing that can be read."""
        responses = self._node.node("responses")
        for status in sorted(responses.value, key=lambda status: (status == "default", status)):
            if not (status.startswith("2") or status == "default"):
                continue
            content = self._resolved(responses.node(status), "responses").node("content").items()
            if not content:
                return NONE
            kinds = [self._of_media(media, node, f"{wanted}Result") for media, node in content]
            texts = [Type("str") for media, _ in content if media.startswith("text/")]
            return next(filter(None, kinds), texts[0] if texts else Type("bytes"))
        return ANY


def _distinct(parameters: list[ParameterModel]) -> tuple[ParameterModel, ...]:
    """With names that differ; one that is changed keeps its name on the wire."""
    found: dict[str, ParameterModel] = {}
    for parameter in parameters:
        name, number = parameter.name, 1
        while name in found or name == "self":
            number += 1
            name = f"{parameter.name}{number}"
        found[name] = parameter._replace(name=name)
    return tuple(sorted(found.values(), key=lambda p: p.kind == "keyword"))
