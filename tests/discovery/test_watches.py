"""The threads of a registry: those that tell listeners, and the one that keeps registrations up."""

from __future__ import annotations

import logging
import threading

import pytest

from tests.discovery.registry_laws import LIMIT, eventually, instance_of
from unimicro.channels.registries.keeping import Keeper
from unimicro.channels.registries.watching import Watches
from unimicro.discovery import RegistryUnavailable

ONE, TWO = (instance_of("orders", 1),), (instance_of("orders", 2),)


@pytest.fixture
def following():
    """``following(follow, listener)`` → a function that ends the watch; in the end all threads have ended."""
    made = []

    def begin(follow, listener):
        made.append(Watches(follow))
        return made[-1].begin("orders", listener)

    yield begin
    for watches in made:
        watches.close()


@pytest.fixture
def keeper():
    keeper = Keeper()
    yield keeper
    keeper.close()


def test_what_is_no_news_is_not_told(following):
    told, done = [], threading.Event()

    def follow(watch):
        for instances in (ONE, ONE, TWO, TWO, ONE):
            watch.tell(instances)
        done.set()
        watch.pause()

    following(follow, told.append)
    assert done.wait(LIMIT)
    assert told == [ONE, TWO, ONE]


def test_a_watch_that_ends_while_it_is_told_is_not_told_again(following):
    told, done, ends = [], threading.Event(), []
    may_begin = threading.Event()

    def follow(watch):
        may_begin.wait(LIMIT)
        watch.tell(ONE)
        watch.tell(TWO)
        done.set()

    def listener(instances):
        told.append(instances)
        ends[0]()

    ends.append(following(follow, listener))
    may_begin.set()
    assert done.wait(LIMIT)
    assert told == [ONE]


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(following, caplog):
    done = threading.Event()

    def follow(watch):
        for _ in range(3):
            watch.failed(RegistryUnavailable("gone"))
        assert watch.failures == 3
        watch.answered()
        watch.answered()
        done.set()
        watch.pause()

    with caplog.at_level(logging.INFO, "unimicro"):
        following(follow, lambda _: None)
        assert done.wait(LIMIT)
    assert caplog.messages == [
        "instances of 'orders' stay as they were: gone",
        "the registry tells of 'orders' again",
    ]


def test_a_registration_that_cannot_be_kept_up_is_logged_once_in_a_row(keeper, caplog):
    broken, beats = [True], []

    def beat():
        beats.append(1)
        if broken[0]:
            raise RegistryUnavailable("gone")

    def further():
        wanted = len(beats) + 3
        eventually(lambda: len(beats) >= wanted)

    with caplog.at_level(logging.INFO, "unimicro"):
        keeper.keep("orders-1", 0.01, beat)
        further()
        broken[0] = False
        further()
        keeper.drop("orders-1")
    assert caplog.messages == [
        "the registration of 'orders-1' cannot be kept up: gone",
        "the registration of 'orders-1' is kept up again",
    ]


def test_one_that_is_dropped_has_no_further_beat_nor_one_that_runs_still(keeper):
    inside, go_on, ended = threading.Event(), threading.Event(), []

    def beat():
        inside.set()
        assert go_on.wait(LIMIT)
        ended.append(1)

    keeper.keep("orders-1", 0.01, beat)
    assert inside.wait(LIMIT)
    dropping = threading.Thread(target=keeper.drop, args=("orders-1",))
    dropping.start()
    dropping.join(0.05)
    assert dropping.is_alive()
    go_on.set()
    dropping.join(LIMIT)
    assert ended == [1]


def test_without_registrations_there_is_no_thread_and_with_new_ones_there_is(keeper):
    beats = []
    for _ in range(2):
        keeper.keep("orders-1", 0.01, lambda: beats.append(1))
        wanted = len(beats) + 2
        eventually(lambda wanted=wanted: len(beats) >= wanted)
        keeper.drop("orders-1")
        eventually(lambda: keeper._thread is None)


def test_after_close_nothing_is_kept(keeper):
    keeper.close()
    keeper.keep("orders-1", 0.01, lambda: pytest.fail("it was"))
    assert keeper._kept == {}
