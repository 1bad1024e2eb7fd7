from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tickets.actions.seeding import plant_demo, plant_taxonomy
from tickets.models import Ticket
from triage.checks import BEFORE_COMMANDS
from triage.learning.live import load_local


class Command(BaseCommand):
    help = "Plant the starter taxonomy, SLA and doors, and demo tickets where there is no ticket yet."
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="The taxonomy alone: for a desk that goes live.")

    def handle(self, *args: Any, no_demo: bool, **options: Any) -> None:
        plant_taxonomy()
        load_local()  # fits it at a new desk, so that the first ticket need not wait for that
        if no_demo or Ticket.objects.exists():
            self.stdout.write("Taxonomy, SLA and doors are in place.")
            return
        self.stdout.write(f"Taxonomy, SLA and doors are in place, with {plant_demo()} demo tickets.")
