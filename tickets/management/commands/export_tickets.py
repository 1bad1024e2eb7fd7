from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.actions.exporting import export
from tickets.exports import WRITERS
from tickets.management.choosing import add_filters, chosen
from triage.checks import BEFORE_COMMANDS
from triage.correlation import acting


class Command(BaseCommand):
    help = (
        "Export tickets as CSV (for spreadsheets, the first message of each) or as JSON Lines (with the whole thread). "
        "`manage.py import_tickets` reads both back. Without a file, they go to standard output."
    )
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="Written anew; never read half-written by anybody.")
        parser.add_argument("--format", choices=sorted(WRITERS), help="Default: by the file's name, else csv.")
        add_filters(parser)

    def handle(self, *args: Any, file: Path | None, **options: Any) -> None:
        ending = file.suffix.lstrip(".").lower() if file else ""
        written_as = options["format"] or {"jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}.get(ending, "csv")
        tickets, words = chosen(options)
        with acting("command:export_tickets"):
            pieces = export(tickets=tickets, written_as=written_as, chosen=words)
        if file is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        part = file.with_name(f".{file.name}.part")
        try:
            part.touch(mode=0o600)  # what customers wrote is not for everybody on this machine
            with part.open("wb") as target:
                for piece in pieces:
                    target.write(piece)
            part.replace(file)
        except OSError as error:
            raise CommandError(str(error)) from error
        finally:
            with suppress(OSError):
                part.unlink()
        self.stdout.write(f"{file}: {words}.")
