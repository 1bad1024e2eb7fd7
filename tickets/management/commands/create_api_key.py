from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.actions import keys
from tickets.actions.errors import Refused
from triage.checks import BEFORE_COMMANDS


class Command(BaseCommand):
    help = "Make a key to the API. It is printed once, alone on the last line; only its digest is kept."
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What the key is for; the history shows it.")
        parser.add_argument("--scopes", default="read,write", help="Of read, write, approve; default: %(default)s.")
        parser.add_argument("--user", help="The user name of the person in whose name it acts. Needed for approve.")
        parser.add_argument("--source", default="API", help="The source its tickets come from; made when new.")

    def handle(self, *args: Any, name: str, scopes: str, user: str | None, source: str, **options: Any) -> None:
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        try:
            api_key, key = keys.create(name=name, scopes=wanted, username=user, source_name=source)
        except Refused as refused:
            how = " See --user." if refused.field == "user" else ""
            raise CommandError(f"{refused.sentence}{how}") from refused
        acts_for = f", acting for {api_key.user.label}" if api_key.user else ""
        self.stderr.write(f"Key {api_key.prefix}… for {api_key.source} with {', '.join(api_key.scopes)}{acts_for}.")
        self.stderr.write("Keep it now: it is not shown again.")
        self.stdout.write(key)
