"""A watch by blocking queries, on a virtual clock: indexes, outages, and what is not believed at once."""

from __future__ import annotations

import pytest

from tests.discovery.registry_laws import instance_of
from unimicro.channels.registries.blocking_queries import BlockingQueries
from unimicro.discovery import RegistryUnavailable
from unimicro.pipeline.clock import VirtualClock

ONE, TWO, THREE = (instance_of("orders", number) for number in (1, 2, 3))
WAIT, GRACE = 10.0, 5.0


class Listening:
    """What a ``Watch`` is to its registry."""

    def __init__(self):
        self.failures = 0
        self.told = []

    def failed(self, error):
        self.failures += 1

    def answered(self):
        self.failures = 0

    def tell(self, instances):
        self.told.append(instances)


class Play:
    """An agent that answers as it is told to: ``(index, instances)`` after so many seconds, or not at all."""

    def __init__(self):
        self.clock, self.watch, self.asked = VirtualClock(), Listening(), []
        self.queries = BlockingQueries(self._ask, WAIT, GRACE, self.clock.now)

    def _ask(self, index, wait):
        self.asked.append((index, wait))
        self.clock.advance(min(self._after, wait) if index else 0.0)
        if self._answer is None:
            raise RegistryUnavailable("gone")
        return self._answer

    def step(self, answer, after=60.0):
        self._answer, self._after = answer, after
        return self.queries.step(self.watch)

    def last(self):
        return {instance.id for instance in self.watch.told[-1]}


@pytest.fixture
def play():
    return Play()


def ids(*instances):
    return {instance.id for instance in instances}


def test_the_first_query_answers_at_once_and_the_next_waits_from_its_index(play):
    play.step((7, (ONE,)))
    play.step((9, (ONE, TWO)))
    play.step((9, (ONE, TWO)))
    assert play.asked == [(0, WAIT), (7, WAIT), (9, WAIT)]
    assert [len(told) for told in play.watch.told] == [1, 2, 2]


@pytest.mark.parametrize("index", [0, -3])
def test_an_index_below_one_is_taken_for_one_so_that_the_next_query_waits(play, index):
    play.step((max(0, index), (ONE,)))
    play.step((1, (ONE,)))
    assert play.asked[1][0] == 1


def test_an_index_that_goes_backwards_is_forgotten(play):
    play.step((900, (ONE,)))
    play.step((5, (ONE,)))
    play.step((6, (ONE,)))
    play.step((6, (ONE,)))
    assert [index for index, _ in play.asked] == [0, 900, 0, 6]


def test_an_empty_list_of_an_agent_that_was_always_there_is_believed(play):
    play.step((7, (ONE, TWO)))
    play.step((9, ()))
    assert play.last() == set()


@pytest.mark.parametrize("outage", [True, False])
def test_what_an_agent_has_forgotten_stays_until_the_grace_is_over(play, outage):
    play.step((7, (ONE, TWO)))
    if outage:
        play.step(None)
        play.step((12, ()))
    else:
        play.step((3, ()))
    assert play.last() == ids(ONE, TWO)
    play.step((14, (ONE,)), after=1.0)
    assert play.last() == ids(ONE, TWO)
    play.step((14, (ONE,)))
    assert play.last() == ids(ONE)
    assert play.asked[-1][1] < GRACE + 0.1  # it did not wait for longer than the grace


def test_what_has_registered_again_and_is_taken_back_is_gone_at_once(play):
    play.step((7, (ONE, TWO)))
    play.step(None)
    play.step((12, (ONE,)))
    play.step((13, ()), after=0.5)
    assert play.last() == ids(TWO)


def test_what_registers_anew_is_told_at_once_and_as_it_is_now(play):
    moved = TWO._replace(status="warning")
    play.step((7, (ONE, TWO)))
    play.step(None)
    play.step((12, (THREE, moved)))
    assert play.last() == ids(ONE, TWO, THREE)
    assert moved in play.watch.told[-1]


def test_an_outage_is_no_news_and_the_grace_begins_when_it_ends(play):
    play.step((7, (ONE,)))
    for _ in range(3):
        play.step(None)
        play.clock.advance(100.0)
    assert len(play.watch.told) == 1
    play.step((2, ()))
    assert play.last() == ids(ONE)


def test_a_second_outage_within_the_grace_forgets_nobody(play):
    play.step((7, (ONE, TWO)))
    play.step(None)
    play.step((2, (ONE,)))
    play.step(None)
    play.step((2, ()))
    assert play.last() == ids(ONE, TWO)


def test_while_there_is_an_outage_queries_come_ever_more_rarely_and_not_all_at_once(play):
    pauses = [play.step(None) for _ in range(12)]
    assert all(0.1 <= pause <= 5.0 for pause in pauses)
    assert max(pauses[-3:]) >= 2.5 > pauses[0]
    assert len(set(pauses[-6:])) > 1


def test_changes_that_do_not_end_are_asked_for_ever_more_rarely_and_at_once_after_a_quiet_time(play):
    pauses = [play.step((index, (ONE,)), after=0.01) for index in range(7, 30)]
    assert pauses[0] <= 0.04
    assert 0.5 <= pauses[-1] <= 1.0
    assert play.step((40, (TWO,)), after=9.0) <= 0.02
