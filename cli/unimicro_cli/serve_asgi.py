"""The default door: ``app.asgi`` on uvicorn."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from unimicro.errors import require
from unimicro_cli.banner import show_banner
from unimicro_cli.faults import user_code
from unimicro_cli.served import TARGET_VARIABLE
from unimicro_cli.serving import Serving, add_timers, listen, show_logs
from unimicro_cli.target import find_app

if TYPE_CHECKING:
    from socket import socket


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
    port = listener.getsockname()[1]
    show_banner(app, serving, port)
    show_logs()
    if serving.reload or serving.workers > 1:
        listener.close()
        _run_processes(uvicorn, serving, port)
    else:
        _run_here(uvicorn, native, listener)


def _run_here(uvicorn: Any, native: Any, listener: socket) -> None:
    # uvicorn raises the signal again once it has shut down: it came as asked, so the exit code is 0.
    signal.signal(signal.SIGTERM, _exit)
    server = uvicorn.Server(uvicorn.Config(native, log_config=None, log_level=None))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
    except SystemExit as end:
        raise SystemExit(end.code if server.started else 1) from None


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def _run_processes(uvicorn: Any, serving: Serving, port: int) -> None:
    """Processes are started afresh: each imports the app itself, by way of ``served``."""
    target = serving.target
    os.environ[TARGET_VARIABLE] = f"{target.file or target.module}:{target.attribute}"
    folders = [str(folder) for folder in (Path.cwd(), target.folder) if folder is not None]
    uvicorn.run(
        "unimicro_cli.served:application",
        factory=True,
        host=serving.host,
        port=port,
        reload=serving.reload,
        reload_dirs=folders if serving.reload else None,
        workers=serving.workers,
        log_config=None,
        log_level=None,
    )
