"""`stroke serve`: the service, from settings to a drained stop."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.cli.terminal.signals import survives_signals

if TYPE_CHECKING:  # everything heavy is imported by the command that needs it
    import uvicorn

    from stroke.config import Settings

_MULTIPROC: str = "PROMETHEUS_MULTIPROC_DIR"
_NO_SUCH_HOST = "{} is not an address of this machine: choose another with --host"
_APP = "stroke.entrypoints.api.app:create_app"


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="STROKE_HTTP_HOST")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port; 0 picks a free one.", show_default="STROKE_HTTP_PORT"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Number of processes.", show_default="STROKE_HTTP_WORKERS"
        ),
    ] = None,
    migrate: Annotated[
        bool | None,
        typer.Option(
            "--migrate/--no-migrate",
            help="Upgrade the schema first.",
            show_default="on SQLite only",
        ),
    ] = None,
    banner: Annotated[
        bool, typer.Option(help="Print the address of the docs page and a command to try.")
    ] = True,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Start without any API key on an address that other machines reach: everybody "
            "may call.",
            show_default="STROKE_INSECURE",
        ),
    ] = False,
) -> None:
    """Serve predictions over HTTP until SIGTERM or Ctrl-C, then finish the open requests.

    Waits until the database answers (STROKE_DATABASE_WAIT_SECONDS). Stores the keys of
    STROKE_ADMIN_KEY and STROKE_METRICS_KEY. Without any API key it serves this machine only.

    Examples:
      stroke serve

      stroke serve --host 0.0.0.0 --port 80 --workers 4 --migrate
    """
    from stroke.config import Settings

    if insecure:
        os.environ["STROKE_ACCESS_INSECURE"] = "true"  # the workers read settings, not options
    settings = Settings.load()
    processes = workers or settings.http.workers
    with _listening(
        host or settings.http.host, settings.http.port if port is None else port
    ) as listener:
        if processes == 1:
            _serve_here(settings, listener, migrate=migrate, banner=banner)
        else:
            _serve_in_workers(settings, listener, processes, migrate=migrate, banner=banner)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Bind the address at the start: a busy port is reported at once, not after a minute."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except PermissionError:
            raise InvalidSetting(
                f"port {port} is the administrator's: choose one from 1024 up with --port"
            ) from None
        except socket.gaierror:
            raise InvalidSetting(_NO_SUCH_HOST.format(host)) from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InvalidSetting(_NO_SUCH_HOST.format(host)) from None
            raise InvalidSetting(
                f"cannot listen on {host} port {port} ({error.strerror}): stop the program that "
                "does, or choose another with --port"
            ) from None
        yield listener


def _admit(settings: Settings, listener: socket.socket) -> bool:
    """Store the keys of the settings; return whether everybody may call, or refuse to start."""
    from stroke.container.access import adopt_keys, check_address
    from stroke.container.cds_clients import read_clients
    from stroke.container.clinical import clinical_codes
    from stroke.container.deployments import check_champion

    # What is wrong with the files that settings name is said before a worker starts.
    clinical_codes(settings.clinical)
    if (clients := settings.clinical.clients) is not None:
        read_clients(clients)
    check_champion(settings)
    adopt_keys(settings)
    return check_address(settings, listener.getsockname()[0])


def _say_if_open(*, is_open: bool) -> None:
    from stroke.container.access import FIRST_KEY

    if is_open:
        typer.echo(
            "  open     there is no API key: everybody who reaches this address may call. "
            f"Make the first key with `{FIRST_KEY}`"
        )


def _serve_here(
    settings: Settings,
    listener: socket.socket,
    *,
    migrate: bool | None,
    banner: bool,
) -> None:
    import uvicorn

    from stroke.container.database import prepare_schema
    from stroke.container.service import Container
    from stroke.entrypoints.api.app import create_app

    container = Container(settings=settings)
    container.model()  # a model that cannot be served is reported in one line, not in a traceback
    prepare_schema(settings.database, migrate=migrate, may_make=True)
    is_open = _admit(settings, listener)
    server = uvicorn.Server(_configuration(settings, create_app(container), workers=1))
    if banner:
        _print_banner(listener)
    _say_if_open(is_open=is_open)
    with survives_signals():
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)


def _serve_in_workers(
    settings: Settings,
    listener: socket.socket,
    workers: int,
    *,
    migrate: bool | None,
    banner: bool,
) -> None:
    # Each worker counts in files here, and /metrics of any of them adds all up. The client
    # library looks at the name when it is imported, so it is set before anything imports it.
    own = _MULTIPROC not in os.environ
    if own:
        os.environ[_MULTIPROC] = tempfile.mkdtemp(prefix="stroke-metrics-")
    try:
        from stroke.container.database import prepare_schema
        from stroke.container.service import Container
        from stroke.entrypoints.http.workers import Workers

        Container(settings=settings).model()
        prepare_schema(settings.database, migrate=migrate, may_make=True)
        is_open = _admit(settings, listener)
        configuration = _configuration(settings, _APP, workers=workers)
        configuration.configure_logging()
        if banner:
            _print_banner(listener)
        _say_if_open(is_open=is_open)
        listener.set_inheritable(True)
        with survives_signals():
            Workers(configuration, sockets=[listener]).run()
    finally:
        if own:
            shutil.rmtree(os.environ.pop(_MULTIPROC), ignore_errors=True)


def _configuration(settings: Settings, app: object, *, workers: int) -> uvicorn.Config:
    import uvicorn

    from stroke.entrypoints.http.limits import Limits, files_for
    from stroke.entrypoints.http.protocol import Protocols
    from stroke.entrypoints.logs import configuration

    # Before the workers, which inherit it.
    open_files = files_for(settings.http.max_connections)
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # an application, or where its factory is
        factory=isinstance(app, str),
        workers=workers,
        loop="stroke.entrypoints.http.accepting:ServiceLoop",
        http=Protocols(Limits.of(settings.http, open_files=open_files)),  # type: ignore[arg-type] # what makes them
        ws="none",
        lifespan="on",
        log_config=configuration(settings.log.format or "json"),
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks for the client's address or scheme
        # On a busy machine a worker takes long to start, and is no better off when it is replaced.
        timeout_worker_healthcheck=settings.http.worker_seconds,
        timeout_graceful_shutdown=settings.http.shutdown_seconds,
        # A burst of clients waits for its turn in the kernel, which may allow fewer. Whoever does
        # not fit there tries again after a second, and then after three.
        backlog=settings.http.max_connections,
    )


def _print_banner(listener: socket.socket) -> None:
    from stroke import __version__

    host, port = listener.getsockname()[:2]
    # Where a browser on this machine finds it, when it listens everywhere.
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    address = f"http://{shown}:{port}"
    typer.echo(
        f"Stroke Prediction API {__version__} on {address} (Ctrl-C stops it)\n"
        f"  page     {address}/ui\n"
        f"  docs     {address}/docs\n"
        f"  predict  curl -s {address}/predict -H 'Content-Type: application/json' -d '"
        '{"gender":"Male","age":67,"hypertension":0,"heart_disease":1,"avg_glucose_level":228.69,'
        '"bmi":36.6,"smoking_status":"formerly smoked","name":"John Doe",'
        '"country":"United States","province":"California"}\'\n'
        f"  list     curl -s '{address}/predictions?limit=10'"
    )
