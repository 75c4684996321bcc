"""Entry point of the command ``unimicro``."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """Serve, call and inspect unimicro apps."""
