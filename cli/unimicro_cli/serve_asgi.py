"""The default door: ``app.asgi`` on uvicorn."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from unimicro.errors import require
from unimicro_cli.banner import show_banner
from unimicro_cli.faults import user_code
from unimicro_cli.served import TARGET_VARIABLE, URL_VARIABLE
from unimicro_cli.serving import Serving, add_timers, listen, plan_presence, show_logs, url_of
from unimicro_cli.target import find_app

if TYPE_CHECKING:
    from socket import socket

    from unimicro.app import App


MOMENT = 0.2
"""Seconds that an idle thread may take to end."""


def run(serving: Serving) -> None:
    """Serve until a signal comes.

    Raises:
        click.ClickException: The app cannot be loaded, or the port is taken.
        MissingExtra: fastapi or uvicorn is not installed.
        SystemExit: The end of the server; 1 where it could not start.
    """
    uvicorn = require("uvicorn", "fastapi", "unimicro serve")
    app = find_app(serving.target)
    with user_code("starting the app"):
        add_timers(app)
        native = app.asgi
    listener = listen(serving.host, serving.port)
    port = plan_presence(app, serving, listener)
    show_banner(app, serving, port)
    show_logs()
    if serving.reload or serving.workers > 1:
        listener.close()
        _run_processes(uvicorn, serving, port)
    else:
        _run_here(uvicorn, app, native, listener)


def _run_here(uvicorn: Any, app: App, native: Any, listener: socket) -> None:
    # uvicorn raises the signal again once it has shut down: it came as asked, so the exit code is 0.
    signal.signal(signal.SIGTERM, _exit)
    server = uvicorn.Server(uvicorn.Config(native, **_OPTIONS))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    except SystemExit as end:
        if not server.started:
            raise SystemExit(1) from None
        if end.code:
            raise
    _leave(app)


def _leave(app: App) -> None:
    """Methods that still run in threads were cut off: the interpreter would wait for them all the same."""
    app.kill()
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("unimicro_")]
    for worker in workers:
        worker.join(MOMENT)
    if any(worker.is_alive() for worker in workers):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


_OPTIONS = {"log_config": None, "log_level": None}
"""Of uvicorn, whatever it starts."""


def _run_processes(uvicorn: Any, serving: Serving, port: int) -> None:
    """Processes are started afresh: each imports the app itself, by way of ``served``."""
    target = serving.target
    os.environ[TARGET_VARIABLE] = f"{target.file or target.module}:{target.attribute}"
    os.environ[URL_VARIABLE] = url_of(serving.host, port)
    if serving.reload:
        # Who changes a file wants to see it, and nobody else calls this server.
        os.environ.setdefault("UNIMICRO_DRAIN_WAIT", "0")
    folders = [str(folder) for folder in (Path.cwd(), target.folder) if folder is not None]
    uvicorn.run(
        "unimicro_cli.served:application",
        factory=True,
        host=serving.host,
        port=port,
        reload=serving.reload,
        reload_dirs=folders if serving.reload else None,
        workers=serving.workers,
        **_OPTIONS,
    )
