"""The laws of the selectors."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unimicro.channels.client.endpoints import Endpoint
from unimicro.channels.client.selectors import First, Random, RoundRobin, TwoChoices
from unimicro.pipeline.clock import VirtualClock

ALL = [First, Random, RoundRobin, TwoChoices]


def endpoints_of(count, clock=None):
    clock = clock or VirtualClock()
    return [Endpoint(f"test://{number}", None, clock.now) for number in range(count)]


POOL = endpoints_of(6)
LISTS = st.lists(st.sets(st.integers(0, 5), min_size=1).map(sorted), min_size=1, max_size=60)


@pytest.mark.parametrize("kind", ALL)
@given(lists=LISTS)
def test_the_choice_is_one_of_those_given(kind, lists):
    selector = kind()
    for numbers in lists:
        given_now = [POOL[number] for number in numbers]
        assert selector.choose(given_now) in given_now


def test_first_chooses_the_first():
    assert First().choose(POOL) is POOL[0]


# -- round robin -------------------------------------------------------------------------------


@given(count=st.integers(1, 12), rounds=st.integers(1, 8))
def test_each_round_robin_has_each_once(count, rounds):
    selector, endpoints = RoundRobin(), endpoints_of(count)
    chosen = [selector.choose(endpoints) for _ in range(count * rounds)]
    for start in range(0, len(chosen), count):
        assert set(chosen[start : start + count]) == set(endpoints)


@given(lists=LISTS)
def test_of_those_that_stay_none_is_chosen_twice_before_all_were_once(lists):
    selector = RoundRobin()
    chosen = [selector.choose([POOL[number] for number in numbers]) for numbers in lists]
    for endpoint in set(chosen):
        turns = [turn for turn, each in enumerate(chosen) if each is endpoint]
        for turn, next_turn in pairwise(turns):
            stayed = set.intersection(*(set(lists[n]) for n in range(turn + 1, next_turn + 1)))
            between = {POOL.index(each) for each in chosen[turn:next_turn]}
            assert stayed <= between


def test_a_new_one_is_chosen_once_and_then_takes_its_turn():
    selector, endpoints = RoundRobin(), endpoints_of(3)
    for _ in range(300):
        selector.choose(endpoints[:2])
    assert Counter(selector.choose(endpoints) for _ in range(30)) == dict.fromkeys(endpoints, 10)


def test_round_robin_does_not_keep_those_that_are_gone():
    selector = RoundRobin()
    for number in range(2000):
        selector.choose(endpoints_of(1 + number % 3))
    assert len(selector._turns) < 200


def test_round_robin_is_fair_to_many_threads():
    selector, endpoints = RoundRobin(), endpoints_of(4)
    with ThreadPoolExecutor(8) as threads:
        chosen = list(threads.map(lambda _: selector.choose(endpoints), range(4000), timeout=60))
    assert Counter(chosen) == dict.fromkeys(endpoints, 1000)


# -- random ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 7])
def test_random_gives_equal_chances(count):
    random.seed(7)
    endpoints = endpoints_of(count)
    chosen = Counter(Random().choose(endpoints) for _ in range(1000 * count))
    assert all(850 < chosen[endpoint] < 1150 for endpoint in endpoints)


# -- two choices -------------------------------------------------------------------------------


def play(selector, endpoints, clock, latencies, calls):
    """Calls one after another; how many each endpoint got."""
    chosen = Counter()
    for _ in range(calls):
        endpoint = selector.choose(endpoints)
        assert endpoint.enter()
        chosen[endpoint] += 1
        seconds = latencies[endpoints.index(endpoint)]
        clock.advance(seconds)
        endpoint.leave(seconds)
    return chosen


@given(
    fast=st.floats(0.0001, 0.1),
    factor=st.floats(2.0, 1000.0),
    seed=st.integers(0, 1000),
)
def test_two_choices_prefers_the_faster(fast, factor, seed):
    random.seed(seed)
    clock = VirtualClock()
    endpoints = endpoints_of(2, clock)
    chosen = play(TwoChoices(), endpoints, clock, [fast, fast * factor], 200)
    assert chosen[endpoints[0]] > 2 * chosen[endpoints[1]]


@given(latencies=st.lists(st.floats(0.001, 2.0), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_with_two_choices_each_is_chosen_sooner_or_later(latencies, seed):
    random.seed(seed)
    clock = VirtualClock()
    endpoints = endpoints_of(len(latencies), clock)
    selector = TwoChoices()
    play(selector, endpoints, clock, latencies, 100)
    again = Counter()
    for _ in range(100):
        again += play(selector, endpoints, clock, latencies, 2)
        clock.advance(2.0)
    assert set(again) == set(endpoints)


def test_a_slow_answer_counts_at_once_and_is_forgotten_little_by_little():
    clock = VirtualClock()
    (endpoint,) = endpoints_of(1, clock)
    play(TwoChoices(), [endpoint], clock, [0.01], 100)
    play(TwoChoices(), [endpoint], clock, [1.0], 1)
    assert endpoint.latency == 1.0
    play(TwoChoices(), [endpoint], clock, [0.01], 100)
    assert 0.5 < endpoint.latency < 1.0
    play(TwoChoices(), [endpoint], clock, [0.01], 5000)
    assert endpoint.latency < 0.02


def test_a_failure_makes_no_endpoint_quick():
    clock = VirtualClock()
    (endpoint,) = endpoints_of(1, clock)
    play(TwoChoices(), [endpoint], clock, [1.0], 2)
    clock.advance(100.0)
    endpoint.enter()
    endpoint.leave(0.001, failed=True)
    assert endpoint.latency == 1.0


def test_calls_under_way_make_an_endpoint_dearer():
    clock = VirtualClock()
    one, other = endpoints_of(2, clock)
    play(TwoChoices(), [one, other], clock, [0.1, 0.1], 50)
    for _ in range(10):
        chosen = TwoChoices().choose([one, other])
        chosen.enter()
    assert (one.in_flight, other.in_flight) == (5, 5)


@pytest.mark.parametrize("known", [1, 2, 5])
def test_a_new_endpoint_gets_a_call_soon_but_the_others_wait_for_its_answer(known):
    random.seed(3)
    clock = VirtualClock()
    endpoints = endpoints_of(known + 1, clock)
    *others, new = endpoints
    play(TwoChoices(), others, clock, [0.01] * known, 50)
    under_way = []
    for _ in range(50):
        chosen = TwoChoices().choose(endpoints)
        chosen.enter()
        under_way.append(chosen)
    assert under_way.count(new) == 1
    clock.advance(0.5)
    new.leave(0.5)  # it paid for the connection
    assert new.latency == 0.0
    new.enter()
    clock.advance(0.01)
    new.leave(0.01)
    assert new.latency == 0.01
    more = Counter(TwoChoices().choose(endpoints) for _ in range(50))
    assert more[new] > 0


def test_an_endpoint_that_was_left_alone_gets_one_call_at_first_and_no_rush():
    clock = VirtualClock()
    slow, quick = endpoints_of(2, clock)
    play(TwoChoices(), [slow], clock, [1.0], 2)
    play(TwoChoices(), [quick], clock, [0.01], 2)
    clock.advance(200.0)
    play(TwoChoices(), [quick], clock, [0.01], 1)
    chosen = []
    for _ in range(20):
        endpoint = TwoChoices().choose([slow, quick])
        endpoint.enter()
        chosen.append(endpoint)
    assert chosen.count(slow) == 1
