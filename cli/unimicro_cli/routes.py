"""``unimicro routes``."""

from __future__ import annotations

import click

from unimicro_cli.options import app_argument, chosen_app, stage_option


@click.command()
@app_argument
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@stage_option
def routes(app: str | None, as_json: bool, stage: str | None) -> None:
    """List what APP answers: HTTP entries, events and timers.

    \b
    Examples:
      unimicro routes examples.first:app
      unimicro routes examples/first.py --json
    """  # noqa: D301 - \b is a character that click reads
    from unimicro_cli.describe import all_routes, as_data, first_line, signature_text, table
    from unimicro_cli.environment import load_environment
    from unimicro_cli.output import json_text
    from unimicro_cli.target import find_app, parse_target

    load_environment(stage)
    target = parse_target(chosen_app(app, "Write unimicro routes module:app"))
    found = all_routes(find_app(target))
    if as_json:
        click.echo(json_text([as_data(route) for route in found]))
        return
    rows = [("VERB", "PATH", "OPERATION", "ACCESS", "DOCUMENTATION")]
    for route in found:
        operation = route.operation
        name = operation.name + signature_text(operation)
        rows.append((route.verb, route.path, name, route.access, first_line(operation)))
    click.echo("\n".join(table(rows)))
