from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tickets.actions import pausing
from tickets.words import counted
from triage.checks import BEFORE_COMMANDS
from triage.models import Pause


class Command(BaseCommand):
    help = "Read tickets again after `pause`, all that wait or only what came in since a date."
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--skip-before",
            metavar="DATE",
            help="Leave unread what came in before this date or moment (ISO 8601) and still waits; "
            "`reprocess --failed` reads it all the same.",
        )

    def handle(self, *args: Any, skip_before: str | None, **options: Any) -> None:
        if skip_before:
            skipped = pausing.skip(before=_moment(skip_before), by="command:resume")
            self.stdout.write(f"Left unread: {counted(skipped, 'ticket')}.")
        ended = Pause.end(by="manage.py resume")
        self.stdout.write("The machine reads on." if ended else "Nothing was paused.")


def _moment(given: str) -> datetime:
    try:
        moment = parse_datetime(given) or parse_datetime(f"{given}T00:00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{given!r} is no date. Write it like 2026-01-31 or 2026-01-31T09:30:00Z.")
    return moment if moment.tzinfo else timezone.make_aware(moment)
