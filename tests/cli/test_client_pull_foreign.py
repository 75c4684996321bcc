"""``unimicro client pull`` of programs of another make: FastAPI's OpenAPI, and OpenAPI at large."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import run
from tests.cli.petstore import app as petstore
from tests.cli.pulled import answering, formatting, imported, told
from tests.typing.checkers import basedpyright, mypy


def pulled(document, folder):
    name = f"foreign{len(list(folder.iterdir()))}.py"
    with answering(document) as server:
        result = run("client", "pull", server.url, "-o", name)
    assert result.exit_code == 0, result.stderr
    return imported(folder / name), result.stderr


@pytest.fixture
def store(folder):
    return pulled(json.loads(json.dumps(petstore.openapi())), folder)


def operations(interface):
    return {
        name: (
            f"{o['http'].verb} {o['http'].template}",
            [p[:2] + p[3:5] for p in o["parameters"]],
            o["returns"],
        )
        for name, o in told(interface)["operations"].items()
    }


def test_a_fastapi_app_becomes_a_service_for_the_channel_rest(store):
    module, left_out = store
    assert operations(module.PetStoreV1) == {
        "create": ("POST /cats", [("body", "Cat", "whole body", "body")], "Cat | int"),
        "embedded": (
            "PUT /pets/{number}",
            [
                ("number", "int", "path", "number"),
                ("body", "Body_embedded_pets__number__put", "whole body", "body"),
            ],
            "Any",
        ),
        "list_all": (
            "GET /list",
            [("self2", "str", "query", "self"), ("type", "list[int]", "query", "type")],
            "dict[str, list[Cat]]",
        ),
        "read_pet": (
            "GET /pets/{pet_id}",
            [
                ("pet_id", "UUID", "path", "pet_id"),
                ("q", "str | None", "query", "q"),
                ("limit", "int", "query", "limit"),
                ("x_token", "str", "header", "x-token"),
            ],
            "Pet_Output",
        ),
        "stop2": ("DELETE /pets/{number}", [("number", "int", "path", "number")], "None"),
    }
    assert told(module.PetStoreV1)["name"] == "pet_store_v1"
    assert left_out == "left out: GET '/secret': it needs the 'cookie' parameter 'session'\n"


def test_its_models_are_classes_with_their_names_on_the_wire(store):
    module, _ = store
    classes = told(module.PetStoreV1)["classes"]
    fields = {field["name"]: field["type"] for field in classes["Pet_Output"]["fields"]}
    assert fields == {
        "name": "str",
        "kind": "Kind",
        "date": "date | None",
        "price": "str",
        "tags": "set[str]",
        "friends": "list[Pet_Output]",
        "class_": "int",
    }
    assert classes["Pet_Output"]["fields"][-1]["wire_name"] == "class"
    assert classes["Kind"]["members"] == [["CAT", "cat"], ["BIG_DOG", "big-dog"]]
    assert module.Cat(weight=2.5) == module.Cat(meow=3, weight=2.5)


def test_what_may_be_repeated_is_told_by_the_verb(store):
    """RFC 9110 §9.2."""
    module, _ = store
    options = {name: o["options"][:2] for name, o in told(module.PetStoreV1)["operations"].items()}
    assert options["read_pet"] == [True, False]
    assert options["embedded"] == options["stop2"] == [False, True]
    assert options["create"] == [False, False]


def schema_type(folder, schema, components=()):
    document = {
        "openapi": "3.0.3",
        "info": {"title": "t"},
        "components": {"schemas": dict(components)},
        "paths": {
            "/x": {"get": {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}
        },
    }
    module, _ = pulled(document, folder)
    return told(module.T)["operations"]["get_x"]["returns"], module


THING = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
OTHER = {"type": "object", "properties": {"b": {"type": "integer"}}}
KNOWN = {
    "Thing": THING,
    "Other": OTHER,
    "Odd-name": THING,
    "Loop": {"$ref": "#/components/schemas/Loop2"},
    "Loop2": {"anyOf": [{"$ref": "#/components/schemas/Loop"}, {"type": "null"}]},
    "Tags": {"type": "array", "items": {"type": "string"}},
    "Decimal": THING,
    "Escaped": {"type": "object", "properties": {'a"b': {}}},
    "Level": {"type": "integer", "enum": [1, 2]},
    "Mixed": {"enum": [1, "a"]},
}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({}, "Any"),
        (True, "Any"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "string", "format": "odd"}, "str"),
        ({"type": "string", "nullable": True}, "str | None"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "set[str]"),
        ({"type": "array", "items": ref("Thing"), "uniqueItems": True}, "list[Thing]"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {}], "maxItems": 2}, "tuple[str, Any]"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "dict[str, float]"),
        (THING, "GetXResult"),
        ({"enum": ["a", None]}, "Literal['a'] | None"),
        ({"const": 3}, "Literal[3]"),
        ({"enum": [1.5]}, "Any"),
        ({"enum": [True, 1, "a"]}, "bool | Literal[1] | Literal['a']"),
        ({"anyOf": [{"type": "string"}, {"type": "string", "format": "uuid"}]}, "str"),
        ({"anyOf": [{"type": "array"}, {"type": "array", "items": {"type": "string"}}]}, "list[Any]"),
        ({"oneOf": [ref("Thing"), ref("Other"), {"type": "null"}]}, "Thing | Other | None"),
        ({"type": "array", "items": {"oneOf": [ref("Thing"), ref("Other")]}}, "list[Any]"),
        ({"oneOf": [ref("Thing"), {"type": "object"}]}, "Any"),
        ({"allOf": [ref("Thing")], "nullable": True}, "Thing | None"),
        ({"allOf": [ref("Thing"), ref("Other")]}, "GetXResult"),
        ({"allOf": [ref("Thing"), {"type": "string"}]}, "Any"),
        (ref("Tags"), "list[str]"),
        (ref("Odd-name"), "Odd_name"),
        (ref("Decimal"), "Decimal2"),
        (ref("Escaped"), "dict[str, Any]"),
        (ref("Level"), "Level"),
        (ref("Mixed"), "Literal[1] | Literal['a']"),
        (ref("Loop"), "Any"),
        (ref("Missing"), "Any"),
        ({"$ref": "http://127.0.0.1:1/elsewhere.json"}, "Any"),
    ],
    ids=json.dumps,
)
def test_a_schema_is_the_type_that_a_client_can_read(folder, schema, written):
    assert schema_type(folder, schema, KNOWN)[0] == written


def test_a_schema_without_end_and_one_that_doubles_are_survived(folder):
    deep = {"type": "string"}
    for _ in range(60):
        deep = {"type": "array", "items": deep}
    assert schema_type(folder, deep)[0].count("list[") == 40
    doubling = {f"D{n}": {"allOf": [ref(f"D{n + 1}"), ref(f"D{n + 1}")]} for n in range(60)}
    assert schema_type(folder, ref("D0"), doubling)[0] == "Any"
    unions = {f"U{n}": {"anyOf": [ref(f"U{n + 1}")] * 2} for n in range(60)} | {"U60": {"type": "string"}}
    assert schema_type(folder, ref("U45"), unions)[0] == "str"


def with_operation(**operation):
    return {"openapi": "3.1.0", "info": {"title": "Shop"}, "paths": {"/a/{b}": {"post": operation}}}


B = {"name": "b", "in": "path", "required": True, "schema": {"type": "string"}}


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({}, "no parameter is the path segment '{b}'"),
        (
            {"parameters": [B, {"name": "c", "in": "cookie", "required": True}]},
            "it needs the 'cookie' parameter 'c'",
        ),
        ({"parameters": [B | {"content": {}}]}, "it needs the 'path' parameter 'b'"),
        ({"parameters": [{"$ref": "other.json"}]}, "it refers to another document"),
        (
            {"parameters": [B], "requestBody": {"required": True, "content": {"multipart/form-data": {}}}},
            "its body is 'multipart/form-data'",
        ),
    ],
)
def test_an_operation_that_cannot_be_called_is_left_out_and_said(folder, operation, why):
    with answering(with_operation(**operation)) as server:
        result = run("client", "pull", server.url)
    assert result.exit_code == 1
    assert f"left out: POST '/a/{{b}}': {why}" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ({"204": {"description": "nothing"}}, "None"),
        ({"200": {"content": {"text/html": {}}}}, "str"),
        ({"200": {"content": {"image/png": {}}}}, "bytes"),
        ({"404": {"content": {"text/plain": {}}}, "201": {"content": {"application/x+json": {}}}}, "Any"),
        ({"default": {"content": {"text/plain": {}}}}, "str"),
        ({}, "Any"),
    ],
)
def test_the_result_is_that_of_the_first_success(folder, answer, written):
    module, _ = pulled(with_operation(operationId="do it!", parameters=[B], responses=answer), folder)
    assert operations(module.Shop)["do_it"][2] == written


def test_a_parameter_of_the_path_gets_a_name_of_python(folder):
    dashed = [B | {"name": name} for name in ("b-c", "b_c", "class")]
    document = with_operation(operationId="take", parameters=dashed)
    document["paths"]["/{class}/{b-c}/x/{b_c}"] = document["paths"].pop("/a/{b}")
    module, _ = pulled(document, folder)
    path, parameters, _ = operations(module.Shop)["take"]
    assert path == "POST /{class_}/{b_c}/x/{b_c2}"
    assert [parameter[0] for parameter in parameters] == ["class_", "b_c", "b_c2"]


def test_hostile_texts_of_any_document_stay_texts(folder):
    evil = '"""\nimport os; os.abort()'
    document = with_operation(
        operationId=evil,
        summary=evil,
        parameters=[B, {"name": evil, "in": "query", "schema": {"type": "string", "default": evil}}],
        requestBody={"content": {"application/json": {"schema": ref(evil)}}},
    )
    document["info"] = {"title": evil, "description": evil}
    document["components"] = {
        "schemas": {evil: {"description": evil, "properties": {"a b": {"enum": [evil], "default": evil}}}}
    }
    module, _ = pulled(document, folder)
    (interface,) = [kind for name, kind in vars(module).items() if name.startswith("Import")][-1:]
    assert interface.__doc__.split() == evil.split()
    (operation,) = told(interface)["operations"].values()
    assert operation["parameters"][-1][-2:] == (evil, {"default": evil})


def test_what_is_written_is_formatted_and_passes_strict_type_checks(store, folder):
    assert formatting(folder, "foreign0.py") == ""
    assert mypy(folder, "foreign0.py") == {}
    assert basedpyright(folder, "foreign0.py") == {}
