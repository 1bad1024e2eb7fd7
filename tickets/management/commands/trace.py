"""`manage.py trace ID`: what happened under one correlation id, from the door to the send, in order of time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.models import Delivery, Event, Ticket
from triage.models import Call

Entry = tuple[datetime, str, str]


class Command(BaseCommand):
    help = "Show tickets, changes, model calls, deliveries and log lines of one correlation id."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="As in the header X-Correlation-ID and in error pages")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["id"].strip()
        if not wanted:
            raise CommandError("Which one? make trace ID=...")
        entries = sorted([*_rows(wanted), *_log_lines(wanted)])
        if not entries:
            raise CommandError("Nothing is known of this id.")
        for at, kind, text in entries:
            self.stdout.write(f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  {kind:<9} {text}")


def _rows(wanted: str) -> Iterator[Entry]:
    for ticket in Ticket.objects.filter(correlation_id=wanted):
        yield ticket.created_at, "ticket", f"#{ticket.number} taken in from {ticket.source}"
    for event in Event.objects.filter(pgh_context__correlation_id=wanted):
        yield event.pgh_created_at, "change", f"#{event.pgh_obj_id} {event.pgh_label} by {event.actor}"
    for call in Call.objects.filter(correlation_id=wanted):
        about = f"{call.subject_kind} {call.subject_id}".strip()
        yield call.created_at, "call", f"{call.operation} for {about}: {call.status}, {call.latency_ms} ms"
    for delivery in Delivery.objects.filter(correlation_id=wanted):
        yield delivery.created_at, "delivery", f"#{delivery.ticket_id} by {delivery.channel}: {delivery.state}"


def _log_lines(wanted: str) -> Iterator[Entry]:
    for path in (settings.VAR / "log").glob("*.log*"):
        with path.open(errors="replace") as lines:
            for line in lines:
                if wanted not in line:
                    continue
                try:
                    entry = json.loads(line)
                    at = datetime.fromisoformat(entry.pop("timestamp"))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
                text = f"{entry.pop('level', '')} {entry.pop('event', '')} "
                text += " ".join(f"{name}={value}" for name, value in entry.items() if name != "correlation_id")
                yield at, f"log {path.name.split('.')[0]}", text.strip()
