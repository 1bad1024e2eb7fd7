from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from triage.checks import BEFORE_COMMANDS
from triage.models import Pause


class Command(BaseCommand):
    help = (
        "Stop reading tickets, in every worker and over restarts, until `resume`. They are stored and wait meanwhile."
    )
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="", help="Shown on every page of the desk.")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        pause = Pause.begin(by="manage.py pause", reason=reason)
        self.stdout.write(f"{pause}. What is being read now is finished; nothing new is begun.")
