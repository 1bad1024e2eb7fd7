"""`manage.py stop`: end what `manage.py up` started, from elsewhere."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from triage import instance

SECONDS = 20


class Command(BaseCommand):
    help = "Stop web and worker of this desk, and its embedded database."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        desk = instance.running()
        if desk is None:
            self.stdout.write("The desk does not run.")
        else:
            self._stop(desk)
        if settings.DATABASES["default"]["ENGINE"] == "triage.postgres":
            from triage.postgres import server

            if server.stop(settings.DATABASES["default"]["DIRECTORY"]):
                self.stdout.write("The database is stopped.")

    def _stop(self, desk: instance.Running) -> None:
        os.kill(desk.pid, signal.SIGTERM)
        until = time.monotonic() + SECONDS
        while instance.running() is not None:
            if time.monotonic() > until:
                raise CommandError(f"Process {desk.pid} did not stop within {SECONDS} seconds.")
            time.sleep(0.1)
        self.stdout.write("Web and worker are stopped.")
