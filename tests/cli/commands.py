"""Commands run in this process, and apps for them to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner
from unimicro_cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

ORDERS = '''
from __future__ import annotations

import os
from dataclasses import dataclass
from unimicro import App, Service, entry, event, every

@dataclass
class Order:
    order_id: str
    quantity: int

class Orders(Service):
    """Takes orders."""

    @entry("GET", "/orders/{order_id}")
    def place(self, order_id: str, *, quantity: int = 1) -> Order:
        """Place one.

        It is not paid yet.
        """
        return Order(order_id, quantity)

    @entry(no_auth=True)
    async def get_greeting(self) -> str:
        return os.environ.get("GREETING", "none")

    @entry
    def get_raw(self) -> bytes:
        return b"\\x00\\xff"

    @entry
    def post_any(self, **kwargs):
        return kwargs

    @entry
    def post_crash(self) -> str:
        raise ValueError("a secret detail")

    @event("payments", "settled")
    def on_settled(self, amount: float) -> None:
        """Money came in."""

    @every(30)
    def sweep(self) -> None:
        """Clean up."""

app = App(Orders())
'''


def run(*arguments: str) -> Result:
    """Run ``unimicro`` with these arguments; anything it lets escape fails the test."""
    return CliRunner().invoke(main, arguments, prog_name="unimicro", catch_exceptions=False)


def write(folder: Path, name: str, text: str = ORDERS) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
