"""A hundred thousand rows of CSV imported by one process, killed in the middle and begun again.

BENCH_IMPORT_ROWS sets how many. The process is killed without warning, by SIGKILL, once half of the rows are stored.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.rows import Row
from bench.stage import ROOT

ROWS = int(os.environ.get("BENCH_IMPORT_ROWS", "100000"))
WORDS = "The export of the monthly report stops half way, and the page shows an error with a long number. "


def run(data: Path | None) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as folder:
        Path(folder).chmod(0o755)  # root's database runs as another user, who must reach it
        os.environ |= {
            "TRIAGE_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "triage.settings",
            "LOG_LEVEL": "WARNING",
        }
        try:
            file = Path(folder) / "old desk.csv"
            _write(file)
            _manage("migrate", "-v", "0")
            _manage("seed")
            return _measure(file)
        finally:
            _manage("stop")


def _measure(file: Path) -> list[Row]:
    import django

    django.setup()
    from tickets.models import ImportRun, Message, Ticket

    began = time.monotonic()
    importer = _import(file)
    while ImportRun.objects.filter(rows_read__gte=ROWS // 2).first() is None:
        if importer.poll() is not None:
            raise RuntimeError("the import ended before it could be killed")
        time.sleep(0.05)
    first_peak = _peak(importer.pid)
    importer.send_signal(signal.SIGKILL)
    importer.wait()
    at_kill = ImportRun.objects.get().rows_read
    again = _import(file)
    peak = first_peak
    while again.poll() is None:
        peak = max(peak, _peak(again.pid))
        time.sleep(0.2)
    seconds = time.monotonic() - began
    done = ImportRun.objects.get()
    tickets = Ticket.objects.filter(source=done.source)
    numbers = tickets.values("external_id").distinct().count()
    return [
        Row(f"{ROWS:,} rows, killed at {at_kill:,}, begun again", seconds, "≤ 600", "s"),
        Row("rows a second, both runs", ROWS / seconds, "≥ 167", "a second"),
        Row("largest memory of the importing process", peak, "≤ 300", "MB"),
        Row("tickets stored", float(tickets.count()), f"{ROWS - ROWS // 1000:,}", "tickets"),
        Row("doubles among them", float(tickets.count() - numbers), "0", "tickets"),
        Row("messages beyond one a ticket", float(_messages(Message, done.source_id) - tickets.count()), "0", ""),
        Row("rows refused, each with its reason", float(done.refusals.count()), f"{ROWS // 1000:,}", "rows"),
    ]


def _messages(model: type, source: int | None) -> int:
    return int(model.objects.filter(ticket__source=source).count())  # type: ignore[attr-defined]


def _write(file: Path) -> None:
    """In the columns of a Zendesk export with descriptions; one row in a thousand has no address that is one."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    header = (
        "Id,Requester,Requester email,Subject,Description,Tags,Status,Priority,Via,Ticket type,Created at,Solved at"
    )
    statuses, priorities = ("Closed", "Solved", "Open", "Pending"), ("Urgent", "High", "Normal", "Low")
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(header.split(","))
        for number in range(ROWS):
            at = f"{start + timedelta(minutes=number):%Y-%m-%d %H:%M}"
            email = "no address" if number % 1000 == 999 else f"c{number % 20_000}@example.com"
            text = f"{WORDS * 4}\n\nOrder {number}, \u201cquoted\u201d, gr\u00fcn."
            status, priority = statuses[number % 4], priorities[number % 4]
            solved = at if number % 4 < 2 else ""
            row = (number, f"Customer {number}", email, f"Report {number} stops", text, "csv export", status, priority)
            writer.writerow((*row, "Mail", "Problem", at, solved))


def _import(file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", "import_tickets", str(file), "--source", "Old desk"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _peak(pid: int) -> float:
    """The largest resident size so far, in MB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), 0.0)


def _manage(*arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, check=False, stdout=sys.stderr)
