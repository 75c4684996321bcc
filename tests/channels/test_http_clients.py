"""The user's own httpx clients; TLS, forks, proxies of the environment; settings and addresses; the end."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import ipaddress
import ssl
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.channels.http_calling import TRANSPORTS, called, manager_for, proxy_of
from tests.channels.http_servers import LIMIT, RawServer, answering, json_answer, serving
from tests.channels.test_http_hostile import second_result
from unimicro import App, Service, entry
from unimicro.channels.client.manager import ServiceManager, connect
from unimicro.errors import (
    CommunicationError,
    ConfigurationError,
    DeadlineExceeded,
    Internal,
    MissingExtra,
    ResourceExhausted,
)
from unimicro.pipeline.breaker import Breaker
from unimicro.pipeline.deadline import Deadline
from unimicro.pipeline.retry import Retry

ROOT = Path(__file__).parents[2]
ONCE = (Retry(mode="off"), Breaker(mode="off"))
CHANNEL = "dispatch-json"
OK = json_answer(b'{"result":"ok","exception":null}')


class Shop(Service):
    @entry(no_auth=True)
    def buy(self) -> str:
        return "ok"

    @entry(no_auth=True)
    async def abuy(self) -> str:
        return "ok"


both = pytest.mark.parametrize("method", ["buy", "abuy"])


def replying(answer):
    """Factories of clients whose transport answers with ``answer(request)``; the requests are kept."""
    requests = []

    def reply(request):
        requests.append(request)
        return answer(request)

    transport = httpx.MockTransport(reply)
    return {
        "client": lambda: httpx.Client(transport=transport, headers={"x-client": "mine"}),
        "async_client": lambda: httpx.AsyncClient(transport=transport, headers={"x-client": "mine"}),
    }, requests


def fine(_):
    return httpx.Response(200, json={"result": "ok", "exception": None})


class TestClientsOfTheUser:
    @both
    def test_send_every_request(self, method):
        clients, requests = replying(fine)
        with proxy_of(Shop, CHANNEL, "http://shop", **clients, token="t") as shop:
            assert called(shop, method) == "ok"
        (request,) = requests
        assert str(request.url) == "http://shop/invoke"
        assert request.headers["x-client"] == "mine"
        assert request.headers["authorization"] == "Bearer t"
        assert request.headers["accept-encoding"] == "identity"

    @both
    def test_may_inject_a_token(self, method):
        class Own(httpx.Auth):
            def auth_flow(self, request):
                request.headers["authorization"] = "Bearer injected"
                yield request

        _, requests = replying(fine)
        transport = httpx.MockTransport(lambda request: requests.append(request) or fine(request))
        clients = {
            "client": lambda: httpx.Client(transport=transport, auth=Own()),
            "async_client": lambda: httpx.AsyncClient(transport=transport, auth=Own()),
        }
        with proxy_of(Shop, CHANNEL, "http://shop", **clients) as shop:
            called(shop, method)
        assert requests[0].headers["authorization"] == "Bearer injected"

    def test_are_made_once_for_threads_and_once_for_each_loop_and_closed_at_the_end(self):
        made = []

        def make(kind):
            client = kind(transport=httpx.MockTransport(fine))
            made.append(client)
            return client

        manager = ServiceManager(
            client=lambda: make(httpx.Client), async_client=lambda: make(httpx.AsyncClient)
        )
        shop = manager.get_service(Shop, CHANNEL, address=("http://a", "http://b"))

        async def twice():
            await asyncio.gather(shop.abuy(), shop.abuy(), shop.abuy())
            await manager.aclose()

        assert [shop.buy() for _ in range(3)] == ["ok"] * 3
        asyncio.run(twice())
        asyncio.run(twice())
        manager.close()
        assert [type(client) for client in made] == [httpx.Client, httpx.AsyncClient, httpx.AsyncClient]
        assert all(client.is_closed for client in made)

    def test_of_one_colour_leave_the_other_as_it_is(self):
        clients, requests = replying(fine)
        with RawServer(answering(OK)) as server:
            with proxy_of(Shop, CHANNEL, server.address, client=clients["client"]) as shop:
                assert called(shop, "buy") == called(shop, "abuy") == "ok"
            with proxy_of(Shop, CHANNEL, server.address, async_client=clients["async_client"]) as shop:
                assert called(shop, "buy") == called(shop, "abuy") == "ok"
            assert (len(requests), len(server.requests)) == (2, 2)

    @both
    @pytest.mark.parametrize(
        ("raised", "kind", "text"),
        [
            (httpx.ConnectError("no"), CommunicationError, "the server cannot be reached"),
            (httpx.ConnectTimeout("no"), CommunicationError, "the server cannot be reached"),
            (httpx.ReadError("no"), CommunicationError, "the connection broke"),
            (httpx.RemoteProtocolError("no"), CommunicationError, "the connection broke"),
            (httpx.ReadTimeout("no"), DeadlineExceeded, "the deadline has passed"),
            (httpx.PoolTimeout("no"), DeadlineExceeded, "the deadline has passed"),
            (ResourceExhausted("too much", retry_after=3), ResourceExhausted, "too much"),
            (RuntimeError("the password is 1234"), Internal, "internal error"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
    )
    def test_fail_with_the_failure_that_their_exception_stands_for(self, method, raised, kind, text):
        def fail(_):
            raise raised

        clients, _ = replying(fail)
        with (
            proxy_of(Shop, CHANNEL, "http://shop", **clients, policies=ONCE) as shop,
            pytest.raises(kind, match=f"^{text}$"),
        ):
            called(shop, method)

    @both
    def test_follow_no_redirect_even_if_they_would(self, method):
        def moved(_):
            return httpx.Response(302, headers={"location": "http://elsewhere/"})

        requests = []
        transport = httpx.MockTransport(lambda request: requests.append(request) or moved(request))
        clients = {
            "client": lambda: httpx.Client(transport=transport, follow_redirects=True),
            "async_client": lambda: httpx.AsyncClient(transport=transport, follow_redirects=True),
        }
        with (
            proxy_of(Shop, CHANNEL, "http://shop", **clients, policies=ONCE) as shop,
            pytest.raises(Exception, match="the server answered 302"),
        ):
            called(shop, method)
        assert len(requests) == 1

    @both
    def test_have_their_answers_limited_too(self, method):
        clients, _ = replying(lambda _: httpx.Response(200, content=b"x" * 100))
        with (
            proxy_of(Shop, CHANNEL, "http://shop", **clients, settings={"max_bytes": 99}) as shop,
            pytest.raises(Internal, match="longer than 99 bytes"),
        ):
            called(shop, method)

    def test_must_be_clients(self):
        with (
            proxy_of(Shop, CHANNEL, "http://shop", client=lambda: "a client") as shop,
            pytest.raises(Internal),
        ):
            shop.buy()

    @both
    def test_are_cut_off_at_the_deadline(self, method):
        def silent(server, connection, _):
            server.read_request(connection)
            connection.recv(1)

        clients = {"client": httpx.Client, "async_client": httpx.AsyncClient}
        policies = (*ONCE, Deadline(timeout=0.2))
        with (
            RawServer(silent) as server,
            proxy_of(Shop, CHANNEL, server.address, **clients, policies=policies) as shop,
            pytest.raises(DeadlineExceeded),
        ):
            called(shop, method)

    def test_can_call_an_app_in_this_process(self):
        app = App(Shop())
        transport = httpx.ASGITransport(app.asgi)
        make = {"async_client": lambda: httpx.AsyncClient(transport=transport)}
        with proxy_of(Shop, CHANNEL, "http://shop", **make) as shop:
            assert called(shop, "abuy") == "ok"


# -- TLS -------------------------------------------------------------------------------------------


def certified(subject, key, issuer, issuer_key, extension):
    now = dt.datetime.now(dt.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (subject, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(extension, critical=False)
        .sign(issuer_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files: an authority, a certificate of it for 127.0.0.1, one that vouches for itself, and their key."""
    folder = tmp_path_factory.mktemp("tls")
    key, authority = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    (folder / "authority").write_bytes(certified("ca", authority, "ca", authority, is_authority))
    (folder / "certificate").write_bytes(certified("server", key, "ca", authority, here))
    (folder / "alone").write_bytes(certified("server", key, "server", key, here))
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    return folder


@both
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("shown", "trusted"), [("certificate", "authority"), ("alone", "alone")])
def test_a_certificate_is_verified(certificate, monkeypatch, method, transport, shown, trusted):
    files = {"ssl_certfile": certificate / shown, "ssl_keyfile": certificate / "key"}
    with serving(App(Shop()).asgi, **files) as address:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / trusted))
        with proxy_of(Shop, CHANNEL, address, transport) as shop:
            assert called(shop, method) == "ok"
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        with (
            proxy_of(Shop, CHANNEL, address, transport, policies=ONCE) as shop,
            pytest.raises(CommunicationError, match="the server cannot be reached"),
        ):
            called(shop, method)


@both
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_tls_has_read_ahead_is_not_the_answer_to_the_next_call(
    certificate, monkeypatch, method, transport
):
    def script(server, connection, number):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        def done(step, *args):
            while True:
                with suppress(ssl.SSLWantReadError):
                    return step(*args)
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536) or b"\0")

        done(tls.do_handshake)
        while not done(tls.read, 65536).endswith(b"}"):
            pass
        # Two records in one packet.
        tls.write(OK)
        if number == 1:
            tls.write(json_answer(b'{"result":"of nobody","exception":null}'))
        connection.sendall(outgoing.read())
        connection.recv(65536)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate", certificate / "key")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "authority"))
    with RawServer(script) as server, manager_for(CHANNEL, transport, policies=ONCE) as manager:
        address = server.address.replace("http:", "https:")
        assert second_result(manager, method, address) == "ok"
        assert server.connections == 2


# -- processes and environment ---------------------------------------------------------------------

FORKS = """
import asyncio, os, sys
from tests.channels.http_calling import called, proxy_of
from tests.channels.test_http_clients import CHANNEL, Shop

with proxy_of(Shop, CHANNEL, sys.argv[1], sys.argv[2]) as shop:
    print(called(shop, "buy"), called(shop, "abuy"), flush=True)
    if os.fork() == 0:
        print(called(shop, "buy"), called(shop, "abuy"), flush=True)
        os._exit(0)
    os.wait()
    print(called(shop, "buy"), called(shop, "abuy"), flush=True)
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_fork_makes_connections_of_its_own(transport):
    with RawServer(answering(OK)) as server:
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FORKS, server.address, transport],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (run.stdout, run.stderr) == ("ok ok\n" * 3, "")


@both
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_proxy_of_the_environment_is_not_asked(monkeypatch, method, transport):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with RawServer(answering(OK)) as server, proxy_of(Shop, CHANNEL, server.address, transport) as shop:
        assert called(shop, method) == "ok"


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_closing_ends_the_connections_and_a_later_call_makes_new_ones(transport):
    ended = threading.Semaphore(0)

    def counts(server, connection, _):
        while server.read_request(connection):
            connection.sendall(OK)
        ended.release()

    with RawServer(counts) as server, manager_for(CHANNEL, transport) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)
        for number in (1, 2):
            assert shop.buy() == "ok"
            manager.close()
            assert ended.acquire(timeout=LIMIT)
            assert server.connections == number

        async def on_a_loop():
            for _ in range(2):
                assert await shop.abuy() == "ok"
                await manager.aclose()
                assert await asyncio.to_thread(ended.acquire, timeout=LIMIT)

        asyncio.run(on_a_loop())
        assert server.connections == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("transport", [*TRANSPORTS, "given"])
def test_loops_that_are_left_with_connections_open_leave_nothing_behind(transport):
    loops = weakref.WeakSet()

    async def call():
        loops.add(asyncio.get_running_loop())
        assert await asyncio.gather(*(shop.abuy() for _ in range(3))) == ["ok"] * 3

    given = {"transport": "auto", "async_client": httpx.AsyncClient} if transport == "given" else {}
    options = {"transport": transport, "settings": {"max_connections": 2}, **given}
    with RawServer(answering(OK)) as server, manager_for(CHANNEL, **options) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)
        for _ in range(5):
            asyncio.run(call())
        gc.collect()
        assert len(loops) <= 1
        manager.close()
        gc.collect()  # what was left warns of itself here


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_closing_from_a_thread_ends_the_idle_connections_of_loops(transport):
    gone = threading.Event()

    def until_gone(server, connection, _):
        while server.read_request(connection):
            connection.sendall(OK)
        gone.set()

    with RawServer(until_gone) as server, manager_for(CHANNEL, transport) as manager:
        shop = manager.get_service(Shop, CHANNEL, address=server.address)

        async def calls():
            assert await shop.abuy() == "ok"
            await asyncio.to_thread(manager.close)
            assert await asyncio.to_thread(gone.wait, LIMIT)

        asyncio.run(calls())


# -- settings and addresses ------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["dispatch-json", "dispatch-msgpack", "rest"])
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_byte": 5}, "channels.{}: unknown setting 'max_byte'; did you mean 'max_bytes'"),
        ({"max_bytes": 0}, "channels.{}.max_bytes must be a whole number above 0, got 0"),
        ({"max_bytes": "10"}, "channels.{}.max_bytes must be a whole number above 0, got '10'"),
        ({"max_connections": True}, "channels.{}.max_connections must be a whole number above 0, got True"),
        ({"connect_timeout": 0}, "channels.{}.connect_timeout must be a finite number above 0, got 0"),
        ({"connect_timeout": float("inf")}, "channels.{}.connect_timeout must be a finite number above 0"),
        ({"transport": "curl"}, "channels.{}.transport must be one of auto, fast, httpx, got 'curl'"),
    ],
)
def test_a_wrong_setting_is_named(channel, settings, text):
    with pytest.raises(ConfigurationError, match=text.format(channel).replace(".", r"\.")):
        connect(Shop, address="http://x", channel=channel, config={"channels": {channel: settings}})


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("shop:80", "an address is http://host:port or https://"),
        ("ftp://shop", "an address is http://host:port or https://"),
        ("http://", "an address is http://host:port or https://"),
        ("http://shop/a b", "an address is http://host:port or https://"),
        ("http://shop:x", "is no URL"),
        ("http://shop:99999", "is no URL"),
        ("http://[::1", "is no URL"),
        ("http://ann:secret@shop", "an address holds no user name"),
        ("http://ann:secret@shop:99999", "an address holds no user name"),
        ("ftp://ann:secret@shop", "an address holds no user name"),
        ("http://shop/?token=secret", "an address has no query and no fragment"),
        ("http://shop/#a", "an address has no query and no fragment"),
    ],
)
def test_a_wrong_address_is_refused_when_the_proxy_is_made(address, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        connect(Shop, address=address, channel=CHANNEL)
    assert "secret" not in str(caught.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyqwest", None)
    monkeypatch.setattr("unimicro.channels.client.http_settings.find_spec", lambda name: None)
    config = {"channels": {CHANNEL: {"transport": "fast"}}}
    with pytest.raises(MissingExtra, match=r"pip install 'unimicro\[fast\]'"):
        connect(Shop, address="http://x", channel=CHANNEL, config=config)
