"""A policy is edited while 10,000 tickets are open: until every one of them has its new due time, by the worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench.rows import Row
from bench.stage import desk

TICKETS = 10_000
_OPEN = """
INSERT INTO tickets_ticket (
    number, public_id, subject, excerpt, requester_id, source_id, external_id, idempotency_key, intake_digest,
    submitted_priority, lane, read_with, correlation_id, status, triage_state, priority, severity, effort, sentiment,
    tags, language, summary, provenance, escalated, escalation_reason, embedding, text_hash, created_at, updated_at,
    attempts, claim, not_before, error, team_id)
SELECT 1000000 + g, gen_random_uuid(), 'Ticket ' || g, '', NULL, (SELECT min(id) FROM tickets_source), '', '', '', '',
    0, 'cascade', '', CASE WHEN g % 5 = 0 THEN 'waiting' ELSE 'in_review' END, 'triaged', 'P' || (1 + g % 4), '', '',
    '', '{}', 'en', '', '{}', false, '', (SELECT embedding FROM tickets_ticket WHERE embedding IS NOT NULL LIMIT 1), '',
    now() - interval '1 minute' * (g % 30), now(), 0, 0, now(), '', (SELECT min(id) FROM tickets_team)
FROM generate_series(1, %s) g
"""
_MESSAGES = """
INSERT INTO tickets_message (ticket_id, kind, text, author_name, external_id, message_id, created_at)
SELECT number, 'inbound', 'It does not work.', '', '', '', created_at FROM tickets_ticket WHERE number > 1000000
"""


def run(data: Path | None) -> list[Row]:
    with desk(LOG_LEVEL="WARNING"):
        from django.db import connection

        from tickets.models import Calendar, SlaPolicy

        with connection.cursor() as cursor:
            cursor.execute(_OPEN, [TICKETS])
            cursor.execute(_MESSAGES)
        days = ("Mon", "Tue", "Wed", "Thu", "Fri")
        office = Calendar.objects.create(
            name="Office", time_zone="Europe/Rome", hours=[f"{day} 09:00-17:00" for day in days]
        )
        first = _seconds(_everything_reckoned)
        plain = _edit(lambda: SlaPolicy.objects.update(response_minutes=77, resolution_minutes=5_000))
        hours = _edit(lambda: SlaPolicy.objects.update(calendar=office))
    return [
        Row(f"{TICKETS:,} open tickets reckoned for the first time", first, "", "s"),
        Row("the same after minutes of every policy were changed", plain, "", "s"),
        Row("the same after every policy was given opening hours", hours, "", "s"),
    ]


def _edit(change: Callable[[], object]) -> float:
    change()
    return _seconds(_everything_reckoned)


def _everything_reckoned() -> bool:
    from tickets.models import Recount, Ticket

    return not Recount.objects.exists() and not Ticket.objects.open().filter(sla={}, priority__gt="").exists()


def _seconds(done: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > 600:
            raise TimeoutError("promised times are still to be reckoned")
        time.sleep(0.1)
    return time.monotonic() - began
