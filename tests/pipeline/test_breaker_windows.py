"""The windows of a breaker count as somebody would who remembers every call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unimicro.pipeline.windows import CountWindow, TimeWindow

CALLS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)
GAPS = st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 40), st.integers(0, 10).map(float))


@given(size=st.integers(1, 12), calls=CALLS)
def test_a_count_window_knows_the_last_calls(size, calls):
    window = CountWindow(size)
    for number, (failed, slow) in enumerate(calls, 1):
        window.add(failed, slow, 0.0)
        known = calls[max(0, number - size) : number]
        naive = (len(known), sum(failed for failed, _ in known), sum(slow for _, slow in known))
        assert window.tally(0.0) == naive


@given(size=st.integers(1, 12), calls=CALLS)
def test_a_saturated_window_would_not_change_by_a_plain_success(size, calls):
    window, other = CountWindow(size), CountWindow(size)
    for failed, slow in calls:
        window.add(failed, slow, 0.0)
        other.add(failed, slow, 0.0)
        if window.saturated:
            other.add(False, False, 0.0)
        assert window.tally(0.0) == other.tally(0.0)
        assert window.saturated == (window.tally(0.0) == (size, 0, 0))


@given(
    seconds=st.integers(1, 12),
    start=st.floats(-5, 2000),
    calls=st.lists(st.tuples(GAPS, st.booleans(), st.booleans()), max_size=60),
    later=GAPS,
)
def test_a_time_window_knows_the_calls_of_the_last_seconds(seconds, start, calls, later):
    window, now, all_calls = TimeWindow(seconds), start, []
    for gap, failed, slow in calls:
        now += gap
        window.add(failed, slow, now)
        all_calls.append((now // 1, failed, slow))
        assert window.tally(now) == naive_tally(all_calls, now, seconds)
    now += later
    assert window.tally(now) == naive_tally(all_calls, now, seconds)


def naive_tally(calls, now, seconds):
    known = [call for call in calls if call[0] > now // 1 - seconds]
    return (len(known), sum(failed for _, failed, _ in known), sum(slow for _, _, slow in known))


def test_a_reading_of_the_clock_that_comes_late_is_counted_all_the_same():
    window = TimeWindow(3)
    window.add(False, False, 12.0)
    window.add(True, False, 11.9)
    assert window.tally(12.1) == (2, 1, 0)
    assert window.tally(14.9) == (2, 1, 0)
    assert window.tally(15.0) == (0, 0, 0)


def test_a_pause_of_any_length_costs_no_more_than_one_round_of_the_ring():
    window = TimeWindow(3)
    window.add(True, False, 12.0)
    assert window.tally(1e15) == (0, 0, 0)
