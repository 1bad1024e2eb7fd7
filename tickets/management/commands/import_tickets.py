from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.actions import importing
from tickets.actions.errors import Conflict
from tickets.cells import lines, neutral, neutral_json
from tickets.channels.file.layout import ENCODINGS
from tickets.channels.file.rows import FIELDS, FORMATS, Choice, ImportFile, UnreadableFile
from tickets.management.progress import Progress
from tickets.models import ImportRun, Source
from triage.checks import BEFORE_COMMANDS
from triage.correlation import acting

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
SHOWN = 5  # refused rows that a trial names
State = ImportRun.State


class Command(BaseCommand):
    help = (
        "Import tickets from a CSV or JSON file: the exports of Zendesk, Freshdesk, Zammad, osTicket, GitHub and of "
        "this desk are known by their columns, others by title or subject; description, body or text; email; name; "
        "external_id or id; created_at; priority. Other columns are kept as they are. Run again, it goes on where it "
        "stopped, and no row is stored twice."
    )
    requires_system_checks = BEFORE_COMMANDS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", help="The source of these tickets, made when new. Default: the file's name.")
        parser.add_argument("--format", choices=sorted(FORMATS), default="", help="Default: known by its columns.")
        parser.add_argument(
            "--map", action="append", default=[], metavar="FIELD=COLUMN", help=f"One of {', '.join(FIELDS)}; repeat it."
        )
        parser.add_argument("--encoding", default="", help=f"For instance {', '.join(list(ENCODINGS)[:4])}.")
        parser.add_argument("--delimiter", choices=sorted(DELIMITERS), default="")
        parser.add_argument(
            "--no-header", action="store_true", help="The first line is a ticket: map Column 1 and so on."
        )
        parser.add_argument("--dates", choices=("day-first", "month-first"), help="What 3/4/2024 is.")
        parser.add_argument("--dry-run", action="store_true", help="Store nothing; say what would become of the file.")

    def handle(self, *args: Any, file: Path, source: str | None, dry_run: bool, **options: Any) -> None:
        try:
            examined = ImportFile.examine(file, _choice(options))
        except (OSError, UnreadableFile) as error:
            raise CommandError(str(error)) from error
        name = (source or file.stem).strip()[:100]
        self.stderr.write(_described(examined))
        if dry_run:
            self._try(examined, name)
            return
        with acting("command:import_tickets"):
            try:
                run = importing.begin(file=examined, source_name=name)
            except Conflict as error:
                raise CommandError(error.sentence) from error
            self._store(run, examined)

    def _store(self, run: ImportRun, file: ImportFile) -> None:
        try:
            self._pour(run, file)
        except (UnreadableFile, OSError) as error:
            self._tell(importing.finish(run=run, state=State.FAILED, error=str(error)), file)
            raise CommandError(f"{error} What was read until then is stored.") from error
        except Conflict as error:
            raise CommandError(error.sentence) from error
        except KeyboardInterrupt:
            self._tell(importing.finish(run=run, state=State.STOPPED), file)
            raise CommandError("Stopped. Run the same command again to go on from here.") from None

    def _pour(self, run: ImportRun, file: ImportFile) -> None:
        progress = Progress(file.size, sys.stderr)
        counts = {"stored": run.stored, "known": run.known, "refused": run.refused}
        for rows, position in importing.chunks(file, after=run.rows_read):
            done = importing.store_chunk(run=run, rows=rows, position=position)
            counts["stored"] += done.stored
            counts["known"] += done.known
            counts["refused"] += sum(row.inbound is None for row in rows)
            progress.show(position, _summary(counts))
        importing.finish(run=run)
        progress.finish(f"{_summary(counts)} in {progress.seconds:.1f} s")
        self._tell(run, file)
        self.stdout.write(f"{run.source}: {_summary(counts)}.")

    def _tell(self, run: ImportRun, file: ImportFile) -> None:
        if run.refused:
            self.stdout.write(f"Refused rows, each with its reason: {_report(run, file)}")

    def _try(self, file: ImportFile, name: str) -> None:
        progress = Progress(file.size, sys.stderr)
        source = Source.objects.filter(name=name).first()
        counts = {"stored": 0, "known": 0, "refused": 0}
        try:
            for rows, position in importing.chunks(file, after=0):
                refused = [row for row in rows if row.inbound is None]
                for row in refused[: max(0, SHOWN - counts["refused"])]:
                    self.stdout.write(f"Row {row.number}: {row.refused}")
                known = importing.known_among(rows, source)
                counts["known"] += known
                counts["refused"] += len(refused)
                counts["stored"] += len(rows) - len(refused) - known
                progress.show(position, _summary(counts))
        except UnreadableFile as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Nothing was stored. {name} would have: {_summary(counts)}.")


def _choice(options: dict[str, Any]) -> Choice:
    columns = dict(pair.partition("=")[::2] for pair in options["map"])
    wrong = next((name for name in columns if name not in FIELDS), None)
    if wrong is not None:
        raise CommandError(f"There is no field {wrong!r}. Choose of {', '.join(FIELDS)}.")
    return Choice(
        format=options["format"],
        columns=columns,
        delimiter=DELIMITERS.get(options["delimiter"], ""),
        encoding=options["encoding"],
        has_header=False if options["no_header"] else None,
        day_first={"day-first": True, "month-first": False}.get(options["dates"] or ""),
    )


def _described(file: ImportFile) -> str:
    kind = {"csv": "CSV", "jsonl": "JSON Lines", "json": "JSON"}[file.layout.kind]
    return f"{file.layout.known.label}, {kind}, {file.layout.encoding}."


def _report(run: ImportRun, file: ImportFile) -> Path:
    """The rows that were refused, as CSV: number, reason, and the row as it was."""
    stem = re.sub(r"[^\w.-]", "_", file.path.stem)[:80]
    path = Path(settings.VAR) / "imports" / f"{stem}-{file.digest[:12]}-refused.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as report:
        report.write(lines([("row", "reason", "content")]))
        for row in run.refusals.iterator(chunk_size=500):
            report.write(lines([(row.number, neutral(row.reason), neutral_json(row.content))]))
    return path


def _summary(counts: dict[str, int]) -> str:
    known = f", {counts['known']:,} known before" if counts["known"] else ""
    return f"{counts['stored']:,} stored{known}, {counts['refused']:,} refused"
