"""`manage.py restore FILE`: put a backup in the place of everything there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from triage import instance
from triage.postgres import programs


class Command(BaseCommand):
    help = "Replace all data by a backup. What was there before is written to var/backups/ first."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument("--yes", action="store_true", help="Do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["file"]
        if source is None or not source.is_file():
            raise CommandError(f"Which backup? make restore FILE=... Backups lie in {settings.VAR / 'backups'}")
        if instance.running(settings.VAR):
            raise CommandError("The desk runs. Stop it first: make stop")
        if not options["yes"] and input("This replaces all data by the backup. Type yes to go on: ") != "yes":
            raise CommandError("Nothing was changed.")
        before = settings.VAR / "backups" / f"before-restore-{timezone.now():%Y%m%d-%H%M%S}.dump"
        programs.dump(before)
        programs.load(source.resolve(), scratch=before.parent)
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write(f"Restored from {source}. What was there before: {before}")
