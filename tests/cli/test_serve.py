from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from unimicro_cli.banner import show_banner
from unimicro_cli.serving import Serving
from unimicro_cli.target import find_app, parse_target

from tests.cli.commands import ORDERS, run, write
from tests.cli.servers import UNIMICRO, becomes, environment, serving, until

DOORS = ["fastapi", "flask"]
PLAIN = ORDERS.replace("from __future__ import annotations\n", "")

SEQUENCE = [
    ("GET", None, {}),
    ("GET", None, {"Authorization": "wrong"}),
    ("GET", None, {"Authorization": "token"}),
    ("POST", b'{"value":20}', {"Authorization": "token", "Content-Type": "application/json"}),
    ("GET", None, {"Authorization": "token"}),
    ("GET", None, {"Authorization": "Bearer token"}),
    ("POST", b"value=7", {"Authorization": "token", "Content-Type": "application/x-www-form-urlencoded"}),
    ("POST", b"{", {"Authorization": "token", "Content-Type": "application/json"}),
    ("POST", b'{"value":"x"}', {"Authorization": "token", "Content-Type": "application/json"}),
    ("PUT", b"", {"Authorization": "token"}),
]


def replay(server):
    return [server.request(method, "/", body, **headers) for method, body, headers in SEQUENCE]


@pytest.mark.parametrize("door", DOORS)
def test_the_hello_service_greets_everyone(tmp_path, door):
    with serving(tmp_path, "examples.hello:app", "--door", door) as server:
        assert server.request("GET", "/")[:2] == (200, b"Hello world.\n")


def test_both_doors_answer_the_first_service_with_the_same_bytes(tmp_path):
    with (
        serving(tmp_path, "examples.first") as asgi,
        serving(tmp_path, "examples/first.py", "--door", "flask") as wsgi,
    ):
        answers, others = replay(asgi), replay(wsgi)
    assert [answer[:2] for answer in answers] == [answer[:2] for answer in others]
    assert [answer.status for answer in answers] == [401, 403, 200, 200, 200, 200, 200, 400, 422, 405]
    assert "www-authenticate" in answers[0].headers
    assert answers[0].headers["www-authenticate"] == others[0].headers["www-authenticate"]
    assert [answer.body for answer in answers[2:7]] == [
        b"Stored value 0.\n",
        b"Value stored (20).\n",
        b"Stored value 20.\n",
        b"Stored value 20.\n",
        b"Value stored (7).\n",
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("door", DOORS)
def test_curl_sees_what_the_first_page_promises(tmp_path, door):
    def curl(*options: str) -> str:
        command = ["curl", "-sS", "--noproxy", "*", "-w", " %{http_code}", *options, f"{server.url}/"]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout

    with serving(tmp_path, "examples.first:app", "--door", door) as server:
        assert curl("-o", "/dev/null") == " 401"
        assert curl("-o", "/dev/null", "-H", "Authorization: wrong") == " 403"
        assert curl("-H", "Authorization: token") == "Stored value 0.\n 200"
        sent = ("-H", "Content-Type: application/json", "-d", '{"value":20}')
        assert curl("-H", "Authorization: token", *sent) == "Value stored (20).\n 200"
        assert curl("-H", "Authorization: token") == "Stored value 20.\n 200"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_services_and_ends_the_server_with_0(tmp_path, door, number):
    hooks = "\nclass Warm(Orders):\n    def stop(self): print('stopped', flush=True)\napp = App(Warm())\n"
    write(tmp_path, "shop.py", PLAIN + hooks)
    with serving(tmp_path, "shop", "--door", door, cwd=tmp_path) as server:
        server.request("GET", "/greeting")
        assert server.end(number) == 0
    assert server.stdout.read_text().endswith("stopped\n")
    assert "Traceback" not in server.stderr.read_text()


SLOW = """
import time
class Warm(Orders):
    def setup(self): print('warm', flush=True)
    def stop(self): print('stopped', flush=True)
class Slow(Service):
    @entry
    def slow(self): ...
    def setup(self): time.sleep(1)
app = App(Warm(), Slow())
"""


@pytest.mark.parametrize("door", DOORS)
def test_a_signal_while_services_are_set_up_stops_those_that_are(tmp_path, door):
    write(tmp_path, "shop.py", PLAIN + SLOW)
    stdout = tmp_path / "stdout"
    command = [UNIMICRO, "serve", "shop", "--port", "0", "--door", door]
    with (
        stdout.open("wb") as out,
        subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=out, stderr=subprocess.PIPE
        ) as process,
    ):
        until(lambda: "warm\n" in stdout.read_text(), "one service is set up")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert stdout.read_text().endswith("stopped\n")
    assert b"Traceback" not in errors


@pytest.fixture(scope="module", params=DOORS)
def shop(request, tmp_path_factory):
    """A server of the shop, and its door; the token is that of ``.env.acceptance``."""
    folder = tmp_path_factory.mktemp("shop")
    write(folder, "shop.py")
    write(folder, ".env.acceptance", "TOKEN=t\n")
    options = ("--door", request.param, "--stage", "acceptance")
    with serving(folder, "shop", *options, cwd=folder) as server:
        yield server, request.param


def test_the_banner_says_stage_door_url_routes_and_kind_of_server(shop):
    server, door = shop
    text = server.stdout.read_text()
    assert "serves shop:app" in text
    assert "  stage  acceptance\n" in text
    assert f"  door   {door} (" in text
    assert f"  URL    {server.url}\n" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["GET", "/orders/{order_id}", "orders.place", "protected"] in lines
    assert ["GET", "/greeting", "orders.get_greeting", "open"] in lines
    endpoints = [line[:2] for line in lines if line[:2] in (["POST", "/invoke"], ["WS", "/stream"])]
    assert len(endpoints) == (2 if door == "fastapi" else 0)
    assert "WARNING: this is a development server (one process, no TLS" in text
    assert "not a loopback address" not in server.stderr.read_text()


def test_an_unexpected_error_is_logged_with_its_traceback_and_not_sent(shop):
    server, _ = shop
    answer = server.request("POST", "/crash", Authorization="t")
    until(lambda: "a secret detail" in server.stderr.read_text(), "the log")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "ERROR unimicro: orders.post_crash failed unexpectedly" in server.stderr.read_text()
    assert "ValueError: a secret detail" in server.stderr.read_text()


def test_workers_share_the_port_and_end_with_their_parent(tmp_path):
    write(tmp_path, "shop.py", PLAIN.replace('os.environ.get("GREETING", "none")', "str(os.getpid())"))
    with serving(tmp_path, "shop.py", "--workers", "2", cwd=tmp_path) as server:
        assert int(server.request("GET", "/greeting").body) != server.process.pid
        assert "2 processes" in server.stdout.read_text()
        assert server.end() == 0
        with pytest.raises(ConnectionRefusedError):
            server.request("GET", "/greeting")


@pytest.mark.parametrize("door", DOORS)
def test_reload_serves_the_changed_file_and_outlives_a_broken_one(tmp_path, door):
    def hello(text: str) -> None:
        source = (Path(__file__).parents[2] / "examples" / "hello.py").read_text()
        write(tmp_path, "hello.py", source.replace("Hello world.", text))

    hello("one")
    with serving(tmp_path, "hello.py", "--reload", "--door", door, cwd=tmp_path) as server:
        assert server.answers(b"one\n")
        becomes(lambda: hello("another"), lambda: server.answers(b"another\n"))
        broken = lambda: "ZeroDivisionError" in server.stderr.read_text()  # noqa: E731
        becomes(lambda: write(tmp_path, "hello.py", "1 / 0\n"), broken)
        becomes(lambda: hello("repaired"), lambda: server.answers(b"repaired\n"))
        assert server.end() == 0
    assert "unimicro_cli" not in server.stderr.read_text()


@pytest.mark.parametrize("door", DOORS)
def test_a_port_in_use_is_one_line(folder, door):
    write(folder, "shop.py")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "shop", "--port", str(port), "--door", door)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: port {port} on 127.0.0.1 is in use: choose another with --port, or end the other program\n"
    )


def test_an_address_of_no_machine_is_one_line(folder):
    write(folder, "shop.py")
    result = run("serve", "shop", "--host", "203.0.113.1")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot listen on 203.0.113.1, port 5000: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--door", "flask", "--workers", "2"), "--door flask serves from one process"),
        (("--reload", "--workers", "2"), "--reload watches one process"),
        (("--door", "smtp"), "'smtp' is not one of"),
        (("--port", "70000"), "70000 is not in the range"),
    ],
)
def test_options_that_cannot_work_are_usage_errors(folder, options, message):
    result = run("serve", "shop", *options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("door", DOORS)
def test_a_set_up_that_raises_ends_the_server_with_1(tmp_path, door):
    hooks = "\nclass Cold(Orders):\n    def setup(self): raise OSError('no database')\napp = App(Cold())\n"
    write(tmp_path, "shop.py", PLAIN + hooks)
    command = [UNIMICRO, "serve", "shop", "--port", "0", "--door", door]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "OSError: no database" in done.stderr


def test_the_real_command_calls_a_real_server(tmp_path):
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [UNIMICRO, "call", *arguments, "--url", server.url]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False
        )

    with serving(tmp_path, "examples.first") as server:
        stored = call("first.post", "value=20", "--token", "token")
        read = call("first.get", "--token", "token")
        denied = call("first.get")
    assert (stored.returncode, stored.stdout) == (0, "Value stored (20).\n"), stored.stderr
    assert (read.returncode, read.stdout) == (0, "Stored value 20.\n"), read.stderr
    assert denied.returncode == 1
    assert denied.stderr.startswith("unauthenticated: ")


def test_routes_of_the_examples_are_listed_by_the_real_command():
    command = [UNIMICRO, "routes", "examples.first", "--json"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=root, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert [route["operation"] for route in json.loads(done.stdout)] == ["first.get", "first.post"]


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("shop.example", True),
        ("127.0.0.2", False),
        ("::1", False),
        ("localhost", False),
    ],
)
def test_an_address_that_others_can_reach_is_warned_of(folder, capsys, host, warned):
    write(folder, "shop.py")
    target = parse_target("shop")
    show_banner(find_app(target), Serving(target, "fastapi", host, 5000, False, 1), 5000)
    assert (f"WARNING: {host} is not a loopback address" in capsys.readouterr().err) is warned


TICKING = """
from pathlib import Path
from unimicro import App, Service, every


class Ticking(Service):
    @every(0.05)
    def tick(self) -> None:
        Path("ticked").touch()


app = App(Ticking())
"""


@pytest.mark.parametrize("door", DOORS)
def test_timers_run_while_the_app_is_served(tmp_path, door):
    write(tmp_path, "ticking.py", TICKING)
    with serving(tmp_path, "ticking", "--door", door, cwd=tmp_path) as server:
        until((tmp_path / "ticked").exists, "the timer ticks")
        assert "every  0.05 s" in server.stdout.read_text()
