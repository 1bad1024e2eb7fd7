"""`manage.py status`: what runs, where, and how much waits in each queue, and how long. Starts nothing."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.db.models import Count

from tickets.lag import lags
from tickets.models import Ticket
from triage import instance, queue
from triage.models import Heartbeat, Pause


class Command(BaseCommand):
    help = "Show the address, the processes, the place of the data, the queue and the heartbeats."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        desk = instance.running(settings.VAR)
        if desk is None:
            self._line("desk", "does not run here (`make up` starts it)")
        else:
            self._line("desk", desk.address)
            self._line("processes", f"up {desk.pid}, web {desk.web}, worker {desk.worker}")
        if self._database_runs():
            try:
                self._work()
            except DatabaseError as error:
                self._line("tickets", f"cannot be read ({type(error).__name__}); are the migrations applied?")

    def _database_runs(self) -> bool:
        if settings.DATABASES["default"]["ENGINE"] != "triage.postgres":
            connection.ensure_connection()
            self._line("database", f"{settings.DATABASES['default'].get('HOST') or 'local'} (DATABASE_URL)")
            return True
        from triage.postgres import server

        found = server.status(settings.DATABASES["default"]["DIRECTORY"])
        state = f"process {found.pid}, {found.connections} connections" if found.running else "stopped"
        self._line("database", f"{found.place} ({state})")
        return found.running

    def _work(self) -> None:
        for name in queue.CLUSTERS:
            beat = Heartbeat.objects.filter(name=name).order_by("-beat_at").first()
            sign = f"last sign of life {beat.age_seconds:.0f} s ago on {beat.host}" if beat else "no sign of life yet"
            self._line(name, f"{sign}, {queue.unclaimed(name)} bells waiting")
        states = Ticket.objects.order_by("triage_state").values_list("triage_state").annotate(Count("pk"))
        self._line("tickets", ", ".join(f"{count} {state}" for state, count in states) or "none")
        for lag in lags():
            self._line(lag.queue, str(lag))
        if pause := Pause.in_force():
            self._line("reading", f"{pause}{f': {pause.reason}' if pause.reason else ''}")

    def _line(self, name: str, text: str) -> None:
        self.stdout.write(f"{name:<17} {text}")
