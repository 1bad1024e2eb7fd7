from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.actions import importing
from tickets.channels.file.rows import ImportFile, Row, UnreadableFile
from tickets.management.progress import Progress
from tickets.models import ImportRun
from triage.correlation import acting

CHUNK_ROWS = 500
CHUNK_CHARACTERS = 4_000_000


class Command(BaseCommand):
    help = (
        "Import tickets from a CSV or JSON Lines file. Columns: title or subject; description, body or text; email; "
        "name; external_id or id; created_at; priority. Others are kept as they are. Run again, it goes on where it "
        "stopped, and no row is stored twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", help="The source of these tickets, made when new. Default: the file's name.")

    def handle(self, *args: Any, file: Path, source: str | None, **options: Any) -> None:
        try:
            examined = ImportFile.examine(file)
        except (OSError, UnreadableFile) as error:
            raise CommandError(str(error)) from error
        name = (source or file.stem).strip()[:100]
        run = importing.begin(path=str(file.resolve()), digest=examined.digest, source_name=name)
        with acting("command:import_tickets"):
            try:
                self._store(run, examined)
            except UnreadableFile as error:
                raise CommandError(str(error)) from error
            except KeyboardInterrupt:
                raise CommandError("Stopped. Run the same command again to go on from here.") from None

    def _store(self, run: ImportRun, file: ImportFile) -> None:
        progress = Progress(file.size, sys.stderr)
        report = Report(file, fresh=run.rows_read == 0)
        counts = {"stored": run.stored, "known": run.known, "refused": run.refused}
        chunk: list[Row] = []
        size = 0

        def put_away() -> None:
            nonlocal size
            inbounds = [row.inbound for row in chunk if row.inbound is not None]
            refused = [row for row in chunk if row.inbound is None]
            report.add(refused)
            done = importing.store_chunk(run=run, inbounds=inbounds, rows=len(chunk), refused=len(refused))
            counts["stored"] += done.stored
            counts["known"] += done.known
            counts["refused"] += len(refused)
            chunk.clear()
            size = 0

        for row, position in file.rows(after=run.rows_read):
            chunk.append(row)
            size += len(row.inbound.text) if row.inbound else 0
            if len(chunk) >= CHUNK_ROWS or size >= CHUNK_CHARACTERS:
                put_away()
                progress.show(position, _summary(counts))
        if chunk:
            put_away()
        importing.finish(run=run)
        progress.finish(f"{_summary(counts)} in {progress.seconds:.1f} s")
        if counts["refused"]:
            self.stdout.write(f"Refused rows, each with its reason: {report.path}")
        self.stdout.write(f"{run.source.name}: {_summary(counts)}.")


class Report:
    """The rows that were refused, as CSV: number, reason, and the row as it was."""

    def __init__(self, file: ImportFile, *, fresh: bool) -> None:
        stem = re.sub(r"[^\w.-]", "_", file.path.stem)[:80]
        self.path = Path(settings.VAR) / "imports" / f"{stem}-{file.digest[:12]}-refused.csv"
        if fresh:
            self.path.unlink(missing_ok=True)

    def add(self, rows: list[Row]) -> None:
        if not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8", errors="replace") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["row", "reason", "content"])
            writer.writerows([row.number, row.refused, json.dumps(row.content, default=str)] for row in rows)


def _summary(counts: dict[str, int]) -> str:
    known = f", {counts['known']:,} known before" if counts["known"] else ""
    return f"{counts['stored']:,} stored{known}, {counts['refused']:,} refused"
