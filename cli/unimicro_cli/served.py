"""The app as uvicorn's worker and reload processes import it."""

from __future__ import annotations

import os
from typing import Any

TARGET_VARIABLE = "UNIMICRO_SERVED"
URL_VARIABLE = "UNIMICRO_SERVED_AT"


def application() -> Any:
    """The ASGI application of the target in ``UNIMICRO_SERVED``.

    Raises:
        SystemExit: It cannot be loaded; the reason is on standard error.
    """
    import click

    from unimicro_cli.faults import user_code
    from unimicro_cli.serving import add_timers, show_logs
    from unimicro_cli.target import find_app, parse_target

    try:
        app = find_app(parse_target(os.environ[TARGET_VARIABLE]))
        with user_code("starting the app"):
            add_timers(app)
            native = app.asgi
            app.presence.plan(app.door("fastapi").channels, os.environ[URL_VARIABLE])
    except click.ClickException as error:
        error.show()
        raise SystemExit(1) from None
    show_logs()
    return native
