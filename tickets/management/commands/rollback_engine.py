from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from triage.checks import BEFORE_COMMANDS
from triage.correlation import acting
from triage.learning.live import NoEarlierFit, roll_back


class Command(BaseCommand):
    help = (
        "Put the fit that was in force before back in force, in every process within seconds. "
        "What is taken out does not come back by itself."
    )
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", nargs="?", default="", help="The fit to go back to; without it, the one before.")

    def handle(self, *args: Any, version: str, **options: Any) -> None:
        try:
            with acting("command:rollback_engine"):
                artifact = roll_back(to=version, why="Rolled back by command.")
        except NoEarlierFit as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"{artifact.version} is in force again.")
