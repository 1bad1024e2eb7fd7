"""`manage.py up`: from an installed clone to a running desk, in one command."""

from __future__ import annotations

import http.client
import io
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from tickets.management.commands.prepare import ensure_admin
from tickets.models import Ticket
from triage import instance
from triage.checks import BEFORE_COMMANDS
from triage.watch import Child, Desk, die_with_parent, interrupt_on_signals, open_log

READY_SECONDS = 120
_DAPHNE = [sys.executable, "-m", "daphne", "-v", "0"]  # no access log of its own: requests are logged as JSON


class Command(BaseCommand):
    help = "Prepare the database, start web and worker, and keep them running until Ctrl-C or `manage.py stop`."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        # Without app_configs: checks of models would start the database.
        self.check(app_configs=[], tags=BEFORE_COMMANDS, databases=["default"])
        if os.environ.get("TRIAGE_UNDER_MAKE"):
            die_with_parent(signal.SIGTERM)  # killing make ends the desk too
        self.bind = os.environ.get("BIND", "127.0.0.1")
        address = settings.BASE_URL if self.bind == "127.0.0.1" else f"http://{self.bind}:{settings.PORT}"
        lock = _take_lock(address)
        interrupt_on_signals()
        _require_free_port(self.bind, settings.PORT)
        _log_to_file()
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing folder
        desk = Desk(var=str(settings.VAR), address=address, embedded=_embedded())
        try:
            self._start(desk)
            desk.hand_over(lock)
        except KeyboardInterrupt:
            self._say("")
            desk.stop()
        except BaseException:
            desk.stop()
            raise

    def _start(self, desk: Desk) -> None:
        """Everything that must hold before the first request, with web coming up meanwhile; then the worker."""
        self._say("Starting the database." if desk.embedded else "Using the database of DATABASE_URL.")
        web = _child("web", [*_DAPHNE, "-b", self.bind, "-p", str(settings.PORT), "triage.asgi:application"])
        desk.start(web)  # it takes seconds to load: the database starts beside it
        _connect()
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._say("Bringing the database up to date.")
            web.end(within=0)  # nobody is served from tables that are being changed
            call_command("migrate", verbosity=0, interactive=False)
            desk.start(web)
        if not Ticket.objects.exists():
            self._say("The database is empty: filling it with a taxonomy and demo tickets.")
            call_command("seed", verbosity=0)
        password = ensure_admin()
        connections.close_all()
        desk.start(_child("worker", [sys.executable, str(settings.BASE_DIR / "manage.py"), "work"]))
        self._wait_until_ready(desk)
        self._say(f"\nTriage Desk runs at {desk.address}")
        if password:
            self._say(f"Sign in as admin with the password {password} (shown this once; ADMIN_PASSWORD sets another)")
        elif os.environ.get("ADMIN_PASSWORD"):
            self._say("Sign in as admin with the ADMIN_PASSWORD you gave.")
        else:
            self._say("Sign in as admin with the password of the first start (ADMIN_PASSWORD sets another).")
        self._say(
            f"Data: {_place_of_data()}\nLogs: {settings.VAR / 'log'}\nStop: Ctrl-C, or `make stop` from elsewhere"
        )

    def _wait_until_ready(self, desk: Desk) -> None:
        until = time.monotonic() + READY_SECONDS
        while not _is_healthy(self.bind, settings.PORT):
            for child in desk.children:
                if not child.is_running():
                    raise CommandError(f"The {child.name} process ended at once; the reason stands in {child.log}.")
            if time.monotonic() > until:
                raise CommandError(f"The web process does not answer; the reason stands in {desk.children[0].log}.")
            time.sleep(0.1)

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _take_lock(address: str) -> int:
    lock = instance.take(settings.VAR, address=address)
    if lock is None:
        other = instance.running(settings.VAR)
        where = f" at {other.address} (process {other.pid})" if other else ""
        raise CommandError(f"The desk of {settings.VAR} runs already{where}. `make stop` stops it.")
    return lock


def _child(name: str, command: list[str]) -> Child:
    return Child(name, command, str(settings.VAR / "log" / f"{name}.log"))


def _embedded() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"] == "triage.postgres")


def _connect() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        if _embedded():
            raise  # its manager says what is wrong, and where its log is
        raise CommandError(f"The database of DATABASE_URL does not answer: {str(error).splitlines()[0]}") from error


def _place_of_data() -> str:
    if not _embedded():
        return f"the database of DATABASE_URL, and {settings.VAR}"
    from triage.postgres import server

    return f"{server.location(settings.DATABASES['default']['DIRECTORY'])} (database), {settings.VAR}"


def _require_free_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} cannot be used ({error.strerror}). Choose another: PORT={port + 1} make up"
            ) from error


def _log_to_file() -> None:
    """The terminal is for sentences; what libraries log on the way goes where the other logs are."""
    stream = io.TextIOWrapper(open_log(settings.VAR / "log" / "up.log"), line_buffering=True)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def _is_healthy(host: str, port: int) -> bool:
    to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  only asked, not bound
    asked = http.client.HTTPConnection(to, port, timeout=2)
    try:
        asked.request("GET", "/healthz", headers={"Host": "localhost"})
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
