"""`manage.py reset_database`: delete all data and make the tables anew."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from triage import instance


class Command(BaseCommand):
    help = "Delete everything in the database and migrate it from nothing; the next start fills it again."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="Do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        if instance.running(settings.VAR):
            raise CommandError("The desk runs. Stop it first: make stop")
        name = connection.settings_dict["NAME"]
        if not options["yes"] and input(f"This deletes all data in {name}. Type yes to go on: ") != "yes":
            raise CommandError("Nothing was changed.")
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute("CREATE SCHEMA public")
        connection.close()
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write("The database is empty. `make up` fills it with demo tickets.")
