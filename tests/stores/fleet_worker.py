"""One process of a fleet: ``python -m tests.stores.fleet_worker CONFIG``; the app's configuration is JSON.

Each line that it reads is a call, ``work`` or ``fail``. It answers with a line: ``done``, or the code of the
failure and the layer that refused.
"""

from __future__ import annotations

import json
import sys

from unimicro import App, Service, entry, failure_of
from unimicro.errors import Unavailable


class Shop(Service):
    @entry(no_auth=True)
    def post_order(self, item: str) -> str:
        if item == "fail":
            raise Unavailable
        return "done"


def main() -> None:
    app = App(Shop(), config=json.loads(sys.argv[1]))
    for line in sys.stdin:
        outcome = app.call("shop.post_order", line.strip())
        failure = None if outcome.is_right() else failure_of(outcome)
        answer = f"{failure.code} {failure.layer}" if failure else outcome.value
        print(answer, flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main()
