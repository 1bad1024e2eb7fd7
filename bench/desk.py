"""The desk as a whole without a model: from the door to the reading, and what it costs to sit idle."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.rows import Row, percentile
from bench.stage import Desk, desk, post_steadily, proportional_memory

TEXT = "Since this morning the CSV export of the project list stops half way and shows an error. " * 4


def run(data: Path | None) -> list[Row]:
    with desk() as running:
        time.sleep(10)
        memory = proportional_memory(running)
        rows = [
            Row("first start to ready, packages installed", running.ready_seconds, "≤ 90", "s"),
            *(Row(f"idle memory, {part}", used, "", "MiB PSS") for part, used in memory.items()),
            Row("idle memory, all", sum(memory.values()), "≤ 800", "MiB PSS"),
        ]
        rows += _latency(running)
        rows += _intake(running)
        rows.append(Row("later start to ready, after these tickets", _start_again(running), "≤ 8", "s"))
    return rows


def _start_again(running: Desk) -> float:
    from django.db import connections

    connections.close_all()
    running.stop()
    return running.start()


def _latency(running: Desk) -> list[Row]:
    waits = [_read_once(running, number) for number in range(40)]
    return [
        Row("acknowledged to triaged, idle, local engine, p50 of 40", percentile(waits, 0.5), "≤ 0.4", "s"),
        Row("acknowledged to triaged, idle, local engine, p95 of 40", percentile(waits, 0.95), "≤ 1", "s"),
    ]


def _read_once(running: Desk, number: int) -> float:
    """Seconds from the stored ticket to the stored reading of one ticket sent alone."""
    from tickets.models import Ticket

    asyncio.run(post_steadily(running, rate=1000, seconds=0.001, text=f"{TEXT} {number}"))
    running.wait_until_read(30)
    ticket = Ticket.objects.order_by("-number").only("triaged_at", "created_at").first()
    if ticket is None or ticket.triaged_at is None:
        raise RuntimeError("the ticket was not stored or not read")
    time.sleep(0.2)
    return (ticket.triaged_at - ticket.created_at).total_seconds()


def _intake(running: Desk) -> list[Row]:
    from tickets.models import Ticket

    rows = []
    before = Ticket.objects.count()
    times, errors = asyncio.run(post_steadily(running, rate=20, seconds=30, text=TEXT))
    rows.append(Row("API to stored and acknowledged, 20 a second, p50", percentile(times, 0.5), "", "ms"))
    rows.append(Row("API to stored and acknowledged, 20 a second, p95", percentile(times, 0.95), "≤ 50", "ms"))
    rows.append(Row("errors at 20 a second", float(errors), "0", "of 600"))
    times, errors = asyncio.run(post_steadily(running, rate=60, seconds=60, text=TEXT))
    rows.append(Row("API to stored and acknowledged, 60 a second for 60 s, p95", percentile(times, 0.95), "", "ms"))
    rows.append(Row("errors at 60 a second", float(errors), "0", "of 3,600"))
    running.wait_until_read()
    lost = before + 600 + 3600 - Ticket.objects.count()
    rows.append(Row("tickets lost of 4,200", float(lost), "0", "tickets"))
    unread = Ticket.objects.exclude(triage_state="triaged").count()
    rows.append(Row("tickets not triaged in the end", float(unread), "0", "tickets"))
    return rows
