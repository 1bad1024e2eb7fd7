"""`manage.py stop`: end what `manage.py up` started, from elsewhere."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from triage import instance

SECONDS = 20


class Command(BaseCommand):
    help = "Stop web and worker of this desk, and its embedded database."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--idle", action="store_true", help="Only a database that nobody is connected to")

    def handle(self, *args: Any, **options: Any) -> None:
        desk = instance.running(settings.VAR)
        if options["idle"]:
            if desk is None:
                self._stop_database(only_idle=True)
            return
        if desk is None:
            self.stdout.write("The desk does not run.")
        else:
            self._stop(desk)
        self._stop_database(only_idle=False)

    def _stop_database(self, *, only_idle: bool) -> None:
        if settings.DATABASES["default"]["ENGINE"] != "triage.postgres":
            return
        from triage.postgres import server

        directory = settings.DATABASES["default"]["DIRECTORY"]
        if only_idle:
            server.stop_if_unused(directory, within=2.0)
        else:
            server.stop(directory)
            self.stdout.write("The database is stopped.")

    def _stop(self, desk: instance.Running) -> None:
        os.kill(desk.pid, signal.SIGTERM)
        until = time.monotonic() + SECONDS
        while instance.running(settings.VAR) is not None:
            if time.monotonic() > until:
                raise CommandError(f"Process {desk.pid} did not stop within {SECONDS} seconds.")
            time.sleep(0.1)
        self.stdout.write("Web and worker are stopped.")
