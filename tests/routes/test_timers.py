"""Methods declared with ``@every`` are called while the app runs."""

import logging
import threading

from unimicro import App, Service, VirtualClock, every


class Ticker(Service):
    def __init__(self, clock=None):
        super().__init__()
        self.clock = clock
        self.ticks = []
        self.ticked = threading.Event()

    @every(10)
    def tick(self):
        self.ticks.append(self.clock.now() if self.clock else None)
        self.ticked.set()


def ticker():
    clock = VirtualClock(start=0)
    service = Ticker(clock)
    return clock, service, App(service, clock=clock, config={}).door("timers")


def test_the_first_call_comes_after_one_interval():
    clock, service, timers = ticker()
    assert timers.run_due() == 10
    clock.advance(10)
    timers.run_due()
    assert service.ticks == [10]


def test_calls_keep_to_the_interval_when_they_start_late():
    clock, service, timers = ticker()
    clock.advance(13)
    assert timers.run_due() == 7
    assert service.ticks == [13]


def test_missed_calls_are_skipped():
    clock, service, timers = ticker()
    clock.advance(47)
    assert timers.run_due() == 3
    assert service.ticks == [47]


def test_a_call_that_fails_is_logged_and_the_next_one_is_made(caplog):
    clock, service, timers = ticker()
    service.ticks = None
    with caplog.at_level(logging.WARNING, logger="unimicro"):
        clock.advance(10)
        timers.run_due()
    assert "timer ticker.tick" in caplog.text
    service.ticks = []
    clock.advance(10)
    timers.run_due()
    assert service.ticks == [20]


def test_a_running_app_calls_and_a_stopped_one_does_not():
    class Quick(Ticker):
        @every(0.001)
        def tick(self):
            super().tick()

    service = Quick()
    app = App(service, config={})
    before = set(threading.enumerate())
    app.door("timers")
    with app:
        assert service.ticked.wait(10)
    assert set(threading.enumerate()) <= before


def test_a_timer_has_no_route_and_is_not_called_by_name():
    app = App(Ticker(), config={})
    assert app.routes == []
    assert app.test_client().post("/tick").status_code == 404
