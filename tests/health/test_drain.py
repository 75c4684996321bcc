"""SIGTERM: not ready → out of the registry → wait → stop accepting → finish what is in flight → close."""

from __future__ import annotations

import http.client
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cli.servers import LIMIT, until
from tests.health.shops import FLASK, SERVE, UVICORN, registered, shop

SERVERS = pytest.mark.parametrize("server", [UVICORN, SERVE, FLASK], ids=["uvicorn", "serve", "flask"])


@pytest.fixture
def background():
    with ThreadPoolExecutor(4) as threads:
        yield threads


@SERVERS
def test_a_signal_withdraws_then_waits_then_closes_and_what_is_in_flight_finishes(
    tmp_path, server, background
):
    with shop(tmp_path, server) as running:
        way = "/sleep" if server == FLASK else "/asleep"
        in_flight = background.submit(running.get, f"{way}?seconds=1.2")
        until(lambda: "asleep" in running.output, "a request is in flight")
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.get("/readyz") == (503, '{"status":"fail","notes":["draining"]}'), "not ready")
        until(lambda: running.instance not in registered(tmp_path), "out of the registry")
        assert running.get("/livez")[0] == 200
        for _ in range(6):  # the whole wait through
            assert running.get("/")[0] == 200
            time.sleep(0.05)
        until(lambda: not running.accepts(), "nothing is accepted any more")
        assert in_flight.result(LIMIT) == (200, "slept")
        code = running.process.wait(LIMIT)
    assert running.output.count("stopped") == 1
    assert "Traceback" not in running.output
    # uvicorn ends by the signal itself, as its own users expect.
    assert code == (-signal.SIGTERM if server == UVICORN else 0)


@pytest.mark.soak
def test_an_interrupt_is_drained_likewise(tmp_path):
    with shop(tmp_path, SERVE, wait=0.3) as running:
        running.process.send_signal(signal.SIGINT)
        until(lambda: running.instance not in registered(tmp_path), "out of the registry")
        assert running.get("/")[0] == 200
        assert running.process.wait(LIMIT) == 0
    assert running.output.count("stopped") == 1


def test_a_kept_connection_is_served_during_the_wait_and_told_to_close(tmp_path):
    with shop(tmp_path, UVICORN, wait=1.0) as running:
        kept = running.connect()
        for expected in (None, None, "close"):
            if expected:
                running.process.send_signal(signal.SIGTERM)
                until(lambda: running.get("/readyz")[0] == 503, "not ready")
            kept.request("GET", "/")
            answer = kept.getresponse()
            assert (answer.status, answer.headers.get("connection")) == (200, expected)
            answer.read()
        kept.close()
        running.process.wait(LIMIT)


@pytest.mark.parametrize("server", [UVICORN, FLASK], ids=["uvicorn", "flask"])
def test_a_second_signal_ends_it_at_once(tmp_path, server, background):
    with shop(tmp_path, server, wait=30.0, timeout=30.0) as running:
        background.submit(_ignoring, running.get, "/asleep?seconds=3")
        until(lambda: "asleep" in running.output, "a request is in flight")
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.get("/readyz")[0] == 503, "not ready")
        begun = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(LIMIT)
        assert time.monotonic() - begun < 10  # and not 30
    assert running.output.count("stopped") == 1


@pytest.mark.parametrize(
    ("server", "way"),
    [(UVICORN, "/asleep"), (SERVE, "/sleep"), (FLASK, "/sleep")],
    ids=["uvicorn", "serve", "flask"],
)
def test_a_request_that_takes_longer_than_the_limit_is_cut_off_and_the_services_are_stopped(
    tmp_path, server, way, background
):
    with shop(tmp_path, server, wait=0.0, timeout=0.3) as running:
        background.submit(_ignoring, running.get, f"{way}?seconds=30", 30)
        until(lambda: "asleep" in running.output, "a request is in flight")
        running.end()
    assert running.output.count("stopped") == 1


def _ignoring(function, *args):
    """A request that is cut off fails in one of several ways."""
    try:
        function(*args)
    except (OSError, http.client.HTTPException):
        return


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_workers_are_one_instance_that_outlives_each_of_them(tmp_path):
    with shop(tmp_path, SERVE, "--workers", "2", wait=0.3) as running:
        both = {running.get("/")[1] for _ in range(40)}
        until(lambda: both.add(running.get("/")[1]) or len(both) == 2, "both workers answer")
        first = int(next(iter(both)))
        os.kill(first, signal.SIGTERM)
        seen = set()
        until(lambda: seen.update([frozenset(registered(tmp_path))]) or _is_gone(first), "a worker has ended")
        assert seen == {frozenset([running.instance])}
        until(lambda: str(first) not in {running.get("/")[1] for _ in range(10)}, "the other one answers")
        assert registered(tmp_path) == {running.instance}
        assert running.end() == 0
        assert registered(tmp_path) == set()
