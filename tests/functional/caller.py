"""An ``Http`` in one colour."""

from __future__ import annotations

from typing import Any

from unimicro import VirtualClock
from unimicro.functional import Http


class Caller:
    """An ``Http`` in one colour, on a virtual clock; it leaves no connection open."""

    def __init__(self, of: Any, **settings: Any) -> None:
        self.of = of
        self.clock = VirtualClock()
        self.http = Http(**{"clock": self.clock, "keep_alive": False, **settings})

    def get(self, *args: Any, **kwargs: Any) -> Any:
        method = self.http.get if self.of.__name__ == "Sync" else self.http.aget
        return self.of.run(method(*args, **kwargs))

    def post(self, *args: Any, **kwargs: Any) -> Any:
        method = self.http.post if self.of.__name__ == "Sync" else self.http.apost
        return self.of.run(method(*args, **kwargs))
