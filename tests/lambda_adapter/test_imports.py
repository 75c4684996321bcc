"""What a function imports: a cold start pays for every module."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

FUNCTION = """
    from unimicro import App, Service, entry

    class Hello(Service):
        @entry("GET", "/hello/{name}", no_auth=True)
        def greet(self, name: str) -> str:
            return f"Hello {name}."

        @entry
        def get(self) -> str:
            return "guarded"

        def token_authorizer(self, token: str) -> bool:
            return token == "token"

    app = App(Hello(), config={})
    handler = app.lambda_handler
"""

EVENTS = """
    def event(path, **headers):
        http = {"method": "GET", "path": path}
        return {
            "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers,
            "requestContext": {"http": http, "stage": "$default"}, "isBase64Encoded": False,
        }
"""

ALLOWED = {
    # The standard library, as far as it is light; the runtime client imports most of it before the function.
    "ast", "base64", "binascii", "collections", "contextlib", "contextvars", "copy", "copyreg",
    "dataclasses", "dis", "enum", "fnmatch", "functools", "glob", "grp", "importlib", "inspect", "ipaddress",
    "json", "keyword",
    "linecache", "logging", "math", "ntpath", "opcode", "operator", "pathlib", "re", "reprlib",
    "string", "struct", "textwrap", "threading", "token", "tokenize", "traceback", "types", "typing",
    "urllib", "warnings", "weakref",
    # The package and the one library that it cannot do without.
    "pymonad", "unimicro",
}  # fmt: skip
FORBIDDEN = {
    "aiohttp", "asyncio", "boto3", "click", "fastapi", "flask", "httpx", "importlib.metadata", "msgpack",
    "multipart", "pluggy", "pydantic", "starlette", "unimicro.channels", "unimicro.pipeline._async",
    "unimicro.pipeline.loop", "unimicro.plugins.manager", "unimicro.testing", "unimicro_cli", "uvicorn",
}  # fmt: skip


# A parameter that is no string is converted by msgspec.
MSGSPEC = {"datetime", "decimal", "first", "msgspec", "numbers", "platform", "typing_extensions", "uuid"}


def imported(program):
    """Modules that ``program`` adds to those of a bare interpreter."""
    source = textwrap.dedent(program) + "\nprint(' '.join(set(sys.modules) - bare))"
    finished = subprocess.run(
        [sys.executable, "-c", "import sys; bare = set(sys.modules)\n" + source],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(finished.stdout.splitlines()[-1].split())


def beyond(modules):
    """Packages outside of the allow-list; parts of the interpreter itself are none."""
    packages = {module.partition(".")[0] for module in modules}
    return {p for p in packages if not p.startswith("_")} - ALLOWED - set(sys.builtin_module_names)


def test_a_function_that_answers_events_imports_only_what_it_needs():
    modules = imported(
        textwrap.dedent(FUNCTION)
        + textwrap.dedent(EVENTS)
        + textwrap.dedent("""
            assert handler(event("/hello/ada"), None)["body"] == "Hello ada."
            assert handler(event("/", authorization="token"), None)["body"] == "guarded"
            assert handler(event("/"), None)["statusCode"] == 401
            assert handler(event("/nowhere"), None)["statusCode"] == 404
            assert handler({"operation": "hello.greet", "args": ["ada"]}, None)["result"] == "Hello ada."
        """)
    )
    assert "unimicro.lambda_adapter.door" in modules
    assert beyond(modules) == set()
    assert modules & FORBIDDEN == set()


@pytest.mark.parametrize(("example", "extra"), [("hello", {"hello"}), ("first", MSGSPEC)])
def test_an_example_as_a_function_imports_only_what_it_needs(example, extra):
    modules = imported(
        f"import {example}\nhandler = {example}.app.lambda_handler\n"
        + textwrap.dedent(EVENTS)
        + "assert handler(event('/', authorization='token'), None)['statusCode'] == 200"
    )
    assert beyond(modules) <= extra
    assert modules & FORBIDDEN == set()
