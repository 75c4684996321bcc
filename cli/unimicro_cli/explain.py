"""``unimicro explain``."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any

import click

from unimicro_cli.options import chosen_app, stage_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unimicro.explain import Explanation
    from unimicro.pipeline.policy import Bound


@click.command()
@click.argument("operation")
@click.option("--app", help="The app, written as for the other commands.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@stage_option
def explain(operation: str, app: str | None, as_json: bool, stage: str | None) -> None:
    """Show the pipeline of OPERATION: its stages in order, who said so, and what looks wrong.

    \b
    Examples:
      unimicro explain orders.place --app examples.orders:app
      unimicro explain orders.place --stage prod --json
    """  # noqa: D301 - \b is a character that click reads
    from unimicro.explain import explain as explain_operation
    from unimicro_cli.environment import load_environment
    from unimicro_cli.output import json_text
    from unimicro_cli.target import find_app, parse_target

    load_environment(stage)
    target = parse_target(chosen_app(app, "Write unimicro explain OPERATION --app module:app"))
    explanation = explain_operation(find_app(target), operation)
    click.echo(json_text(_as_data(explanation)) if as_json else "\n".join(_lines(explanation)))


def _lines(explanation: Explanation) -> Iterator[str]:
    from unimicro_cli.describe import signature_text, table

    operation = explanation.operation
    yield operation.name + signature_text(operation)
    yield ""
    rows = [("", "STAGE", "KIND", "MODE", "POLICY", "FROM")]
    for number, note in enumerate(explanation.stages, start=1):
        rows.append((str(number), note.name, note.kind, note.mode, note.settings or "-", note.origin))
    kind = "async method" if operation.is_async else "method"
    rows.append((str(len(rows)), operation.method.__name__, kind, "", "", ""))
    rows.extend(("-", note.name, "off", "", note.settings, note.origin) for note in explanation.off)
    yield from table(rows)
    yield ""
    yield f"worst case: {_bound_text(explanation.worst_case)}"
    for lint in explanation.lints:
        yield f"warning: {lint}"


def _bound_text(bound: Bound) -> str:
    seconds = "no limit" if isinf(bound.seconds) else f"{bound.seconds:g} s"
    return f"{seconds}, {bound.attempts} attempt{'s' if bound.attempts != 1 else ''}"


def _as_data(explanation: Explanation) -> dict[str, Any]:
    seconds = explanation.worst_case.seconds
    return {
        "operation": explanation.operation.name,
        "stages": [note._asdict() for note in explanation.stages],
        "off": [note._asdict() for note in explanation.off],
        "worst_case": {
            "seconds": None if isinf(seconds) else seconds,
            "attempts": explanation.worst_case.attempts,
        },
        "warnings": list(explanation.lints),
    }
