"""Reading through a model that answers in 1.5 seconds: a loopback server in place of the real one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from bench.rows import Row, percentile
from bench.stage import ROOT, Desk, desk, free_port, post_steadily

TEXT = "Something is odd with our plan and the invoice, and the export too; please look. " * 3
TICKETS = 400


def run(data: Path | None) -> list[Row]:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "triage.providers.fake", "--port", str(port), "--latency", "1.5"], cwd=ROOT
    )
    try:
        with desk(ANTHROPIC_BASE_URL=f"http://127.0.0.1:{port}") as running:
            return _measure(running)
    finally:
        server.terminate()
        server.wait(10)


def _measure(running: Desk) -> list[Row]:
    from tickets.models import Ticket

    waits = []
    for number in range(12):
        asyncio.run(post_steadily(running, rate=1000, seconds=0.001, text=f"{TEXT} {number}"))
        running.wait_until_read(60)
        ticket = Ticket.objects.latest("number")
        assert ticket.triaged_at is not None
        waits.append((ticket.triaged_at - ticket.created_at).total_seconds())
    first = Ticket.objects.latest("number").number
    asyncio.run(post_steadily(running, rate=60, seconds=TICKETS / 60, text=TEXT))
    began = time.monotonic()
    running.wait_until_read(300)
    read = Ticket.objects.filter(pk__gt=first)
    spans = list(read.values_list("created_at", "triaged_at"))
    whole = (max(done for _, done in spans if done) - min(made for made, _ in spans)).total_seconds()
    return [
        Row("acknowledged to triaged through the model, idle, p95 of 12", percentile(waits, 0.95), "≤ 4", "s"),
        Row(
            f"tickets classified and drafted, 50 in flight, {len(spans)} tickets",
            len(spans) / whole,
            "≥ 14",
            "a second",
        ),
        Row("seconds waited after the last was sent", time.monotonic() - began, "", "s"),
    ]
