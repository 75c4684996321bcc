"""``unimicro call``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from unimicro_cli.options import chosen_app, stage_option, timeout_option

if TYPE_CHECKING:
    from unimicro.outcome import Outcome


@click.command()
@click.argument("operation")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--app", metavar="APP", help="Call in this process; default: UNIMICRO_APP.")
@click.option("--url", help="Call the server at this address instead.")
@click.option("--token", help="Sent as Authorization with --url; default: the variable TOKEN.")
@click.option("--json", "json_object", metavar="OBJECT", help="All arguments as a JSON object.")
@timeout_option
@stage_option
def call(
    operation: str,
    arguments: tuple[str, ...],
    app: str | None,
    url: str | None,
    token: str | None,
    json_object: str | None,
    timeout: float,
    stage: str | None,
) -> None:
    """Call OPERATION, such as orders.find, and print its result.

    A VALUE that is JSON is read as JSON, any other as text; '"42"' is the text 42. In this process
    the type of the parameter decides where both fit. KEY=@FILE reads the value from a file.

    Text is printed as it is, any other result as JSON. A failure is "code: message" on standard
    error, and exit code 1; a server that cannot be reached is exit code 3.

    \b
    Examples:
      unimicro call first.post value=20 --app examples.first
      unimicro call orders.find 'order_id="42"' --url http://127.0.0.1:5000 --token token
      unimicro call first.post --json '{"value": 20}' --app examples.first
    """  # noqa: D301 - \b is a character that click reads
    from unimicro.outcome import failure_of
    from unimicro_cli.environment import load_environment
    from unimicro_cli.output import print_failure, print_result

    if url is not None and app is not None:
        raise click.UsageError("--app calls in this process, --url calls a server: give one of them.")
    load_environment(stage)
    if url is not None:
        outcome = _remote(url, operation, arguments, json_object, token, timeout)
    else:
        outcome = _in_process(app, operation, arguments, json_object)
    if outcome.is_right():
        print_result(outcome.value)
        return
    failure = failure_of(outcome)
    print_failure(failure)
    if any(problem.get("message", "").startswith("expected str,") for problem in failure.errors):
        click.echo("""  A value that is JSON is sent as JSON: write key='"42"' for the text 42.""", err=True)
    raise SystemExit(1)


def _remote(
    url: str,
    operation: str,
    pairs: tuple[str, ...],
    json_object: str | None,
    token: str | None,
    timeout: float,
) -> Outcome[Any]:
    import os

    from unimicro_cli.arguments import read_arguments
    from unimicro_cli.remote import call_remote

    token = token if token is not None else os.environ.get("TOKEN")
    return call_remote(url, operation, read_arguments(pairs, json_object, {}), token, timeout)


def _in_process(
    target: str | None, operation: str, pairs: tuple[str, ...], json_object: str | None
) -> Outcome[Any]:
    from unimicro.errors import nearest
    from unimicro.outcome import Failure, Left
    from unimicro_cli.arguments import read_arguments
    from unimicro_cli.faults import user_code
    from unimicro_cli.target import find_app, parse_target

    app = find_app(parse_target(chosen_app(target, "Add --app module:app or --url http://host:port")))
    known = app.operations.get(operation)
    if known is None:
        hint = nearest(operation, app.operations)
        return Left(Failure("unimplemented", f"there is no operation {operation!r}{hint}"))
    parameters = {parameter.name: parameter for parameter in known.signature.parameters}
    arguments = read_arguments(pairs, json_object, parameters)
    with user_code("running the app"), app:
        return app.call(operation, **arguments)
