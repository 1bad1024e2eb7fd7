"""`manage.py backup`: the whole database in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from triage.postgres import programs


class Command(BaseCommand):
    help = "Write the database into a file that `restore` reads; the desk may be running."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="Default: var/backups/triage-<time>.dump")

    def handle(self, *args: Any, **options: Any) -> None:
        target = options["file"] or settings.VAR / "backups" / f"triage-{timezone.now():%Y%m%d-%H%M%S}.dump"
        programs.dump(target.resolve())
        self.stdout.write(f"Backup: {target} ({target.stat().st_size / 1e6:.1f} MB)")
        key = settings.VAR / "secret-key"
        if key.exists():
            self.stdout.write(f"Keep {key} with it: secrets of sources and signed links need the same key.")
