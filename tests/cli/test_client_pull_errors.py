"""``unimicro client pull`` where there is no description, and where it is one that nobody should trust."""

from __future__ import annotations

import ast
import copy
import random
import socket
import threading

import pytest

from tests.cli.commands import run
from tests.cli.pulled import answering, formatting, imported, kit_description
from tests.servers.processes import free_port


def failing(url, *options):
    result = run("client", "pull", url, *options)
    assert result.exit_code != 0
    assert result.stdout == ""
    return result


# -- there is none -----------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_exit_code_3(folder):
    result = failing(f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 3
    assert "cannot reach http://127.0.0.1:" in result.stderr


def test_a_server_that_never_answers_is_exit_code_3(folder):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = failing(f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")
    assert result.exit_code == 3
    assert "did not answer within 0.2 s" in result.stderr


@pytest.mark.parametrize("timeout", ["nan", "inf", "0", "-1"])
def test_a_timeout_that_is_no_time_is_a_usage_error(folder, timeout):
    result = failing("http://127.0.0.1:1", "--timeout", timeout)
    assert result.exit_code == 2
    assert "--timeout" in result.stderr


def test_a_server_that_drips_is_given_up_when_the_time_is_over(folder):
    ended = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not ended.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        result = failing(f"http://127.0.0.1:{listener.getsockname()[1]}", "--timeout", "0.4")
        ended.set()
        thread.join(10)
    assert result.exit_code == 3
    assert "did not answer within 0.4 s" in result.stderr


@pytest.mark.parametrize(
    ("status", "options", "message"),
    [
        (401, (), "answered HTTP 401: it wants a token: give it with --token"),
        (401, ("--token", "x"), "answered HTTP 401: it does not accept the token"),
        (403, ("--token", "x"), "answered HTTP 403: it does not accept the token"),
        (404, (), "stage 'dev', and in others with the setting openapi = true (UNIMICRO_OPENAPI=true)"),
        (307, (), "redirects are not followed: give the address that it leads to"),
        (500, (), "answered HTTP 500\n"),
    ],
)
def test_an_answer_without_a_description_says_what_to_do(folder, status, options, message):
    with answering({}, status=status, headers={"Location": "http://127.0.0.1:1/"}) as server:
        result = failing(server.url, *options)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"body": b"<html>"}, "is no JSON"),
        ({"body": b"\xff"}, "is no JSON"),
        ({"body": b"[" * 200_000}, "is no JSON"),
        ({"body": b"[]"}, "what the server sent is no OpenAPI document"),
        ({"body": b'{"swagger": "2.0"}'}, "what the server sent is no OpenAPI document"),
        ({"body": b'{"openapi": "4.0"}'}, "OpenAPI '4.0' is not understood"),
        ({"body": b'{"openapi": "3.1.0"}'}, "has no operation that can be called"),
        ({"body": b'{"openapi": "3.1.0", "paths": 1}'}, "wrong at 'paths': expected an object, got a number"),
        ({"body": b" " * (10 * 1024 * 1024 + 1)}, "is larger than 10485760 bytes"),
        ({"body": b"{}", "headers": {"Content-Encoding": "gzip"}}, "is compressed although"),
    ],
)
def test_what_is_no_description_is_refused(folder, answer, message):
    with answering(**answer) as server:
        result = failing(server.url)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not list(folder.iterdir())


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://a\nb", ""])
def test_what_is_no_address_is_a_wrong_command_line(folder, url):
    assert failing(url).exit_code == 2


def test_a_token_that_no_header_can_carry_is_not_shown(folder):
    result = failing("http://127.0.0.1:1", "--token", "s3cret\n")
    assert result.exit_code == 2
    assert "s3cret" not in result.stderr


# -- it is there, and hostile ------------------------------------------------------------------

INJECTION = 'x"""\nimport os\nos.abort()\n#'
SUM = ("paths", "/sum/{left}", "get", "x-unimicro")
SHARED = ("x-unimicro",)


def changed(path, value):
    """The kit's description with one member replaced."""
    document = copy.deepcopy(kit_description())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*SHARED, "format"), 2, "reads format 1 only"),
        ((*SHARED, "services", "kit", "class"), INJECTION, "is no name in Python"),
        ((*SHARED, "services", "kit", "class"), "class", "is no name in Python"),
        ((*SHARED, "services", "kit", "class"), None, "is no name in Python"),
        ((*SHARED, "services", "kit", "class"), "x" * 101, "is no name in Python"),
        ((*SHARED, "services", "kit", "component"), "a:b", "'a:b' is no name of a component"),
        ((*SHARED, "classes", INJECTION), {"kind": "dataclass"}, "is no name in Python"),
        ((*SHARED, "classes", "Any"), {"kind": "dataclass"}, "'Any' is another type already"),
        ((*SHARED, "classes", "Line", "kind"), "module", "is none of dataclass"),
        ((*SHARED, "classes", "Line", "fields", 0, "name"), "__class__", "two underscores"),
        ((*SHARED, "classes", "Line", "fields", 0, "name"), "\uff44\uff45\uff46", "is no name in Python"),
        ((*SHARED, "classes", "Line", "fields", 0, "name"), "quantity", "a name stands twice"),
        ((*SHARED, "classes", "Line", "fields", 0, "type"), "__import__('os')", "is no type"),
        ((*SHARED, "classes", "Line", "fields", 1, "default"), {"a": 1}, None),
        ((*SHARED, "classes", "Line", "fields", 0), 1, "expected an object, got a number"),
        ((*SHARED, "classes", "Color", "base"), "type", "is none of IntFlag"),
        ((*SHARED, "classes", "Color", "members"), [["mro", 1]], "cannot be a member"),
        ((*SHARED, "classes", "Color", "members"), [["RED", [1]]], "a name and a value that fits"),
        ((*SHARED, "classes", "Color", "base"), "IntEnum", "a name and a value that fits"),
        ((*SHARED, "classes", "Line", "kind"), "named_tuple", None),
        ((*SHARED, "classes", "Line", "fields", 2), {"name": "b", "type": "int"}, None),
        ((*SHARED, "classes", "Line", "fields", 0, "wire_name"), "a\\b", "need an escape"),
        ((*SHARED, "classes", "Line", "fields", 0, "wire_name"), "quantity", "a name stands twice"),
        (("paths", "/tags", "post", "x-unimicro", "parameters", 0, "wire_name"), "x: y", "header field"),
        ((*SHARED, "classes", "Color", "members"), [], "there are none"),
        ((*SUM, "operation"), f"kit.{INJECTION}", "is no name in Python"),
        ((*SUM, "operation"), "kit.__init__", "two underscores"),
        ((*SUM, "operation"), "kit.setup", "is a method of every service"),
        ((*SUM, "operation"), "kit.text", "two operations have the same name"),
        ((*SUM, "operation"), "../kit.get_sum", "is no name of a service"),
        ((*SUM, "returns"), "int\n", None),
        ((*SUM, "returns"), "list[int](0)", "is no type"),
        ((*SUM, "returns"), "Missing", "is no type"),
        ((*SUM, "returns"), "list[int, int]", "is no type"),
        ((*SUM, "returns"), "[" * 50, "is no type"),
        ((*SUM, "returns"), "|".join(["int"] * 5000), "is no type"),
        ((*SUM, "returns"), "list[" * 30 + "int" + "]" * 30, None),
        ((*SUM, "returns"), "list[" * 45 + "int" + "]" * 45, "is no type"),
        ((*SUM, "returns"), f"Literal[{'1,' * 10_000}1]", "is no type"),
        ((*SUM, "returns"), "Literal[1.5]", "is no type"),
        ((*SUM, "returns"), 'Literal[\'\\x00"""\']', None),
        ((*SUM, "returns"), "tuple[..., int]", "is no type"),
        ((*SUM, "returns"), "lambda: 1", "is no type"),
        ((*SUM, "returns"), "int\x00", "is no type"),
        ((*SUM, "parameters", 0, "name"), "self", "a name stands twice"),
        ((*SUM, "parameters", 0, "name"), "other", "and its parameters disagree"),
        ((*SUM, "parameters", 0, "in"), "cookie", "is none of path"),
        ((*SUM, "parameters", 0, "optional"), True, None),
        ((*SUM, "parameters", 0, "kind"), "keyword", "in this order"),
        ((*SUM, "parameters"), {}, "expected an array, got an object"),
        ((*SUM, "sensitive"), ["nothing"], "is no parameter of the operation"),
        ((*SUM, "key"), INJECTION, "is no parameter of the operation"),
        ((*SUM, "content_type"), INJECTION, None),
        ((*SUM, "documentation"), INJECTION, None),
        ((*SUM, "errors"), [{"name": INJECTION, "code": "aborted"}], "is no name in Python"),
        ((*SUM, "errors"), [{"name": "E", "code": "odd"}], "'odd' is none of"),
        ((*SUM, "errors"), [{"name": "exec", "code": "aborted", "of": "builtins"}], "has no error 'exec'"),
        ((*SUM, "errors"), [{"name": "Popen", "code": "aborted", "of": "subprocess"}], "has no error"),
        (
            (*SUM, "errors"),
            [{"name": "E", "code": "aborted", "attributes": [{"name": "a b", "type": "int"}]}],
            "no name",
        ),
    ],
)
def test_a_description_that_is_not_what_it_must_be_is_refused_or_harmless(folder, path, value, message):
    with answering(changed(path, value)) as server:
        result = run("client", "pull", server.url, "-o", "kit.py")
    if message is None:
        assert result.exit_code == 0, result.stderr
        assert imported(folder / "kit.py").Kit
    else:
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: the description is wrong at ")
        assert message in result.stderr
        assert result.stderr.isprintable() or result.stderr[:-1].isprintable()
        assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "path", ["no/slash", "/{other}", "/part{value}", "/{value}/{value}", "/a?b", "/%41", "/{"]
)
def test_a_path_that_is_none_is_refused(folder, path):
    document = copy.deepcopy(kit_description())
    document["paths"][path] = document["paths"].pop("/text")
    with answering(document) as server:
        assert "the path" in failing(server.url).stderr


ALPHABET = "\"'\\\n\r\t #abc{}()[]\x00\x07\x1b\x85\u2028\u202e\ufeffé日🦆`$%"
ALLOWED = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.Expr)


def test_any_text_stays_a_text_and_the_module_formatted(folder):
    """Texts of all places at once, many times: nothing becomes code, nothing is lost."""
    chance = random.Random(20261121)

    def text():
        return "".join(chance.choices(ALPHABET, k=chance.randrange(1, 40))) + chance.choice(
            ["", '"', "\\", '"""']
        )

    document = copy.deepcopy(kit_description())
    texts = {}
    for item in document["paths"].values():
        for operation in item.values():
            described = operation["x-unimicro"]
            described["documentation"] = texts[described["operation"].partition(".")[2]] = text()
            described["content_type"] = text()
            described["errors"] = [{"name": "Lost", "code": "aborted", "documentation": text()}]
    shared = document["x-unimicro"]
    shared["services"]["kit"] |= {"documentation": text(), "component": "boxes"}
    for described in shared["classes"].values():
        described["documentation"] = text()
    shared["classes"]["Line"]["fields"][0] |= {"wire_name": "\N{DUCK} -'", "default": text()}
    shared["classes"]["Color"]["members"] = [["A", text()], ["B", text()]]
    with answering(document) as server:
        result = run("client", "pull", server.url, "-o", "kit.py")
    assert result.exit_code == 0, result.stderr
    tree = ast.parse((folder / "kit.py").read_text())
    assert all(isinstance(node, ALLOWED) or ast.unparse(node).startswith("Lost") for node in tree.body)
    calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert calls <= {"dataclass", "entry", "service", "Header", "field", "msgspec.field", "Decimal"}
    kit = imported(folder / "kit.py").Kit
    assert kit.__unimicro_component__ == "boxes"
    for name, written in texts.items():
        assert (getattr(kit, name).__doc__ or "").split() == written.split(), name
    assert formatting(folder, "kit.py") == ""
