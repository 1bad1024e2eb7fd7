"""One change to 10,000 tickets at once, on a running desk whose queue people read meanwhile."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

from bench.rows import Row, percentile
from bench.stage import Desk, desk

TICKETS = 10_000
DEEDS = {
    "priority of 10,000 tickets": ("field", "priority:P1", "≤ 20"),
    "10,000 tickets resolved": ("status", "resolved", "≤ 20"),
    "10,000 tickets assigned": ("assign", "me", "≤ 20"),
}


def run(data: Path | None) -> list[Row]:
    rows: list[Row] = []
    with desk() as running:
        _make()
        reader = Reader(running)
        reader.start()
        for words, (kind, given, target) in DEEDS.items():
            rows += _measured(words, kind, given, target)
        rows += reader.rows()
    return rows


def _measured(words: str, kind: str, given: str, target: str) -> Iterator[Row]:
    from tickets.actions import bulk
    from tickets.models import Event, Ticket
    from triage.models import User

    chosen = Ticket.objects.filter(external_id__startswith="many-")
    by = User.objects.get(username="admin")
    began, looked = time.monotonic(), 0
    one = bulk.start(kind=kind, given=given, tickets=chosen, chosen="the bench's", by=by)
    lined_up = time.monotonic() - began
    while one.is_working:
        time.sleep(0.2)
        one.refresh_from_db()
        looked += 1
        if time.monotonic() - began > 300:
            raise TimeoutError("the run does not end")
    yield Row(words, time.monotonic() - began, target, "s")
    yield Row("of that in the request", lined_up, "", "s")
    yield Row("changed", float(one.changed), f"{TICKETS:,}", "tickets")
    written = Event.objects.filter(pgh_context__correlation_id=one.correlation_id).count()
    yield Row("with their step in the history", float(written), f"{TICKETS:,}", "tickets")
    began = time.monotonic()
    bulk.undo(run=one, by=by)
    while not one.finished_at or one.state != "undone":
        time.sleep(0.2)
        one.refresh_from_db()
    yield Row("undone again", time.monotonic() - began, "≤ 20", "s")


def _make() -> None:
    """Tickets as they lie after a reading, embedded, with a message each. By SQL: they are only to be there."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tickets_ticket (public_id, subject, excerpt, source_id, external_id, idempotency_key,
                intake_digest, submitted_priority, lane, read_with, correlation_id, status, triage_state, team_id,
                priority, severity, effort, sentiment, tags, language, summary, provenance, confidence, escalated,
                escalation_reason, text_hash, embedding, attempts, claim, not_before, error, created_at, updated_at)
            SELECT gen_random_uuid(), 'Export ' || n || ' fails', 'It stops half way', s.id, 'many-' || n, '', '', '',
                1, 'cascade', '', 'in_review', 'triaged', t.id, 'P3', '', '', '', '{}', 'en', '',
                '{"priority": {"engine": "local", "confidence": 0.9, "band": "apply", "reason": "Like others."}}', 0.9,
                false, '', '',
                (SELECT array_agg(random() - 0.5) FROM generate_series(1, 384) d WHERE n > 0)::vector::halfvec,
                0, 0, now(), '', now() - n * interval '1 minute', now()
            FROM generate_series(1, %s) n, (SELECT id FROM tickets_source ORDER BY id LIMIT 1) s,
                (SELECT id FROM tickets_team WHERE key = 'software') t
            """,
            [TICKETS],
        )
        cursor.execute(
            """
            INSERT INTO tickets_message (ticket_id, kind, text, author_name, external_id, message_id, created_at)
            SELECT number, 'inbound', repeat('Since this morning the CSV export stops half way. ', 10), '', '', '',
                created_at FROM tickets_ticket WHERE external_id LIKE 'many-%%'
            """
        )
        cursor.execute("ANALYZE")


class Reader:
    """Somebody who looks at the queue twice a second, from the page as a browser asks for it."""

    def __init__(self, running: Desk) -> None:
        self.address = f"http://localhost:{running.port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.password = running.environment["ADMIN_PASSWORD"]
        self.times: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        form = self.opener.open(f"{self.address}/sign-in/").read().decode()
        token = form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        name = "login" if 'name="login"' in form else "username"
        fields = {"csrfmiddlewaretoken": token, name: "admin", "password": self.password}
        request = urllib.request.Request(f"{self.address}/sign-in/", urlencode(fields).encode())
        request.add_header("Referer", f"{self.address}/sign-in/")
        self.opener.open(request).read()
        self._thread.start()

    def rows(self) -> list[Row]:
        self._stop.set()
        self._thread.join(30)
        return [
            Row("queue page meanwhile, p50", percentile(self.times, 0.5), "", "ms"),
            Row("queue page meanwhile, p95", percentile(self.times, 0.95), "≤ 1,000", "ms"),
        ]

    def _read(self) -> None:
        while not self._stop.wait(0.5):
            began = time.perf_counter()
            with self.opener.open(f"{self.address}/tickets/", timeout=60) as answer:
                page = answer.read().decode()
            if 'id="rows"' not in page:
                raise RuntimeError("that was not the queue")
            self.times.append((time.perf_counter() - began) * 1000)
