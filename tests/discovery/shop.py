"""A service for tests of fail-over: it says which process answers."""

from __future__ import annotations

import os
import time

from unimicro import App, Service, entry


class Orders(Service):
    @entry("GET", "/find", safe=True, no_auth=True)
    def find(self, number: int) -> list[int]:
        return [os.getpid(), number]

    @entry("POST", "/place", no_auth=True)
    def place(self, number: int) -> list[int]:
        time.sleep(0.005)
        return [os.getpid(), number]


app = App(Orders())
