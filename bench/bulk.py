"""Many at once: the import of 900 public GitHub issues, read by the local engine."""

from __future__ import annotations

import time
from pathlib import Path

from bench.rows import Row
from bench.stage import desk


def run(data: Path | None) -> list[Row]:
    file = data / "github_issues.csv" if data else None
    if file is None or not file.is_file():
        return [Row("900 GitHub issues imported and read", None, "≥ 25", "no github_issues.csv in BENCH_DATA")]
    with desk() as running:
        from tickets.models import Ticket

        began = time.monotonic()
        running.manage("import_tickets", str(file), "--source", "github")
        stored = time.monotonic() - began
        running.wait_until_read(300)
        issues = Ticket.objects.filter(source__name="github")
        count = issues.count()
        spans = list(issues.values_list("created_at", "triaged_at"))
        read = [done for _, done in spans if done]
        seconds = time.monotonic() - began
        failed = issues.filter(triage_state="failed").count()
    return [
        Row("rows stored", float(count), "900", "tickets"),
        Row("rows stored, time", stored, "", "s"),
        Row("stored and read, local engine, import included", count / seconds, "≥ 25", "a second"),
        Row("read by the machine", float(len(read)), "900", "tickets"),
        Row("failed with a visible reason", float(failed), "0", "tickets"),
    ]
