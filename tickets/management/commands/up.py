"""`manage.py up`: from an installed clone to a running desk, in one command."""

from __future__ import annotations

import http.client
import io
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from tickets.models import Ticket
from triage import instance
from triage.watch import die_with_parent

READY_SECONDS = 60
STOP_SECONDS = 9.0  # the worker takes up to 7 to finish what it holds
LOG_BYTES = 20_000_000
EMBEDDED = "triage.postgres"


class Command(BaseCommand):
    help = "Prepare the database, start web and worker, and keep them running until Ctrl-C or `manage.py stop`."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        if os.environ.get("TRIAGE_UNDER_MAKE"):
            die_with_parent(signal.SIGTERM)  # killing make ends the desk too
        lock = instance.take()
        if lock is None:
            other = instance.running()
            raise CommandError(
                f"The desk of {settings.VAR} runs already"
                + (f" at {other.address} (process {other.pid})." if other else ".")
                + " `make stop` stops it."
            )
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        _log_to_file()
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing folder
        desk = Desk(say=self._say)
        try:
            desk.prepare()
            desk.run()
        except KeyboardInterrupt:
            self._say("")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            desk.stop()

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


class Desk:
    """The two processes of a running desk, and what they need before they start."""

    def __init__(self, say: Any) -> None:
        self.say = say
        self.bind = os.environ.get("BIND", "127.0.0.1")
        self.port = int(settings.PORT)
        self.children: dict[str, Child] = {}

    @property
    def address(self) -> str:
        return settings.BASE_URL if self.bind == "127.0.0.1" else f"http://{self.bind}:{self.port}"

    def prepare(self) -> None:
        """Everything that must hold before the first request: a free port, a migrated database, a way to sign in."""
        _require_free_port(self.bind, self.port)
        if _embedded():
            self.say("Starting the database.")
        else:
            self.say(f"Using the database of DATABASE_URL ({settings.DATABASES['default'].get('HOST') or 'local'}).")
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.say("Bringing the database up to date.")
            call_command("migrate", verbosity=0, interactive=False)
        self._start("web", [*_DAPHNE, "-b", self.bind, "-p", str(self.port), _APPLICATION])
        self._seed()
        self.password = _admin_password()
        self._start("worker", [sys.executable, str(settings.BASE_DIR / "manage.py"), "work"])
        connections.close_all()

    def run(self) -> None:
        """Wait for the first answer, say where everything is, then restart whatever dies."""
        self._wait_until_ready()
        self.say(f"\nTriage Desk runs at {self.address}")
        if self.password:
            self.say(
                f"Sign in as admin with the password {self.password} (shown this once; ADMIN_PASSWORD sets another)"
            )
        else:
            self.say("Sign in as admin with the password of the first start (ADMIN_PASSWORD sets another).")
        self.say(
            f"Data: {_place_of_data()}\nLogs: {settings.VAR / 'log'}\nStop with Ctrl-C, or `make stop` from elsewhere."
        )
        while True:
            time.sleep(0.5)
            for name, child in self.children.items():
                if child.process.poll() is not None:
                    self.say(f"The {name} process ended ({child.process.returncode}) and is started again.")
                    time.sleep(min(5.0, child.restarts * 0.5))
                    self._start(name, child.command, restarts=child.restarts + 1)
                elif child.age > 60:
                    child.restarts = 0

    def stop(self) -> None:
        """Web and worker at once, then the database if nobody else uses it."""
        for child in self.children.values():
            if child.process.poll() is None:
                child.process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for child in self.children.values():
            child.end(within=until - time.monotonic())
        connections.close_all()
        if not self.children or not _embedded():
            return
        from triage.postgres import server

        if server.stop_if_unused(settings.DATABASES["default"]["DIRECTORY"], within=1.0):
            self.say("Stopped, the database too.")
        else:
            self.say("Stopped. The database still serves others and runs on; `make stop` stops it.")

    def _seed(self) -> None:
        if not Ticket.objects.exists():
            self.say("The database is empty: filling it with a taxonomy and demo tickets.")
            call_command("seed", verbosity=0)

    def _start(self, name: str, command: list[str], *, restarts: int = 0) -> None:
        self.children[name] = Child.start(name, command, restarts)
        pids = {name: child.process.pid for name, child in self.children.items()}
        instance.note(instance.Running(pid=os.getpid(), address=self.address, **pids))

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while not _is_healthy(self.bind, self.port):
            for name, child in self.children.items():
                if child.process.poll() is not None:
                    raise CommandError(f"The {name} process ended at once; the reason stands in {child.log}.")
            if time.monotonic() > until:
                raise CommandError(f"The web process does not answer; the reason stands in {self.children['web'].log}.")
            time.sleep(0.1)


_DAPHNE = [sys.executable, "-m", "daphne", "-v", "0"]  # no access log of its own: requests are logged as JSON
_APPLICATION = "triage.asgi:application"


class Child:
    """One process of the desk, its log and its restarts."""

    def __init__(self, command: list[str], process: subprocess.Popen[bytes], log: Path, restarts: int) -> None:
        self.command = command
        self.process = process
        self.log = log
        self.restarts = restarts
        self._started = time.monotonic()

    @classmethod
    def start(cls, name: str, command: list[str], restarts: int) -> Child:
        path = Path(settings.VAR) / "log" / f"{name}.log"
        environment = {**os.environ, "TRIAGE_ROLE": name, "TRIAGE_UP": str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        # The web process has nothing to finish that a client was told is done; the worker has, and ends its own.
        last_signal = signal.SIGKILL if name == "web" else signal.SIGTERM
        with _open_log(path) as log:
            process = subprocess.Popen(  # noqa: S603  our own commands
                command,
                cwd=settings.BASE_DIR,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for `up`, which stops them in order
                preexec_fn=lambda: die_with_parent(last_signal),  # noqa: PLW1509  no other thread runs in `up`
            )
        return cls(command, process, path, restarts)

    @property
    def age(self) -> float:
        return time.monotonic() - self._started

    def end(self, *, within: float) -> None:
        try:
            self.process.wait(max(0.1, within))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _log_to_file() -> None:
    """The terminal is for sentences; what libraries log on the way goes where the other logs are."""
    stream = io.TextIOWrapper(_open_log(Path(settings.VAR) / "log" / "up.log"), line_buffering=True)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _embedded() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"] == EMBEDDED)


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


def _admin_password() -> str | None:
    """The password to show once: only of an admin made now without ADMIN_PASSWORD."""
    users = get_user_model().objects
    given = os.environ.get("ADMIN_PASSWORD", "")
    admin = users.filter(username="admin").first()
    if admin is None:
        password = given or secrets.token_urlsafe(12)
        users.create_superuser("admin", password=password)
        return None if given else password
    if given and not admin.check_password(given):
        admin.set_password(given)
        admin.save(update_fields=["password"])
    return None


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _is_healthy(host: str, port: int) -> bool:
    to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  only asked, not bound
    asked = http.client.HTTPConnection(to, port, timeout=2)
    try:
        asked.request("GET", "/healthz", headers={"Host": "localhost"})
        return asked.getresponse().status == 200
    except OSError:
        return False
    finally:
        asked.close()
