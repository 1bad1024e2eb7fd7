"""A desk with a million tickets, made in minutes: rows by INSERT ... SELECT, vectors of made clusters, indexes last.

Texts are words without meaning, as unevenly used as those of a language; three messages a ticket, 50 agents in ten
teams, three tickets in a hundred open and these among the newest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

TEXTS, SUBJECTS, CLUSTERS, AGENTS, TEAMS, REQUESTERS = 20_000, 5_000, 5_000, 50, 10, 50_000
DIMENSIONS = 384
PORTION = 20_000
TABLES = ("tickets_ticket", "tickets_message", "tickets_searchtext", "tickets_ticketvector")


def make(tickets: int) -> dict[str, float]:
    """Fill the database that Django is set up for; the seconds that each step took."""
    from django.db import connection

    took: dict[str, float] = {}
    began = time.monotonic()

    def step(name: str) -> None:
        nonlocal began
        took[name] = time.monotonic() - began
        began = time.monotonic()

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no triggers: history and search come in bulk
        cursor.execute("SET maintenance_work_mem = '4GB'")
        cursor.execute("SET max_parallel_maintenance_workers = 2")
        cursor.execute("SET synchronous_commit = off")
        people(cursor)
        words(cursor)
        indexes = drop_indexes(cursor)
        vectors(cursor, tickets)
        step("people, words and vectors")
        cursor.execute(_TICKETS, {"n": tickets})
        step("tickets")
        cursor.execute(_MESSAGES)
        step("messages")
        cursor.execute(_SEARCH)
        cursor.execute(
            "INSERT INTO tickets_ticketvector (ticket_id, embedding) "
            "SELECT number, embedding FROM tickets_ticket WHERE embedding IS NOT NULL ON CONFLICT DO NOTHING"
        )
        step("words of the search")
        for definition in indexes:
            cursor.execute(definition)
        step("indexes")
        for table in ("big_text", "big_subject", "big_vector"):
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('tickets_ticket', 'number'), max(number)) FROM tickets_ticket"
        )
        cursor.execute("SELECT setval(pg_get_serial_sequence('tickets_message', 'id'), max(id)) FROM tickets_message")
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")  # what was written is written now, not while pages are measured
        step("statistics")
    return took


def people(cursor: Any) -> None:
    from tickets.models import Agent, Requester, Team
    from triage.models import User

    teams = [Team.objects.update_or_create(key=f"large_{number}", defaults={"name": f"Team {number}"})[0]
             for number in range(TEAMS)]  # fmt: skip
    for number in range(AGENTS):
        user, _ = User.objects.get_or_create(username=f"large{number}", defaults={"first_name": f"Agent {number}"})
        agent, _ = Agent.objects.get_or_create(user=user, defaults={"role": "lead" if number < 2 else "agent"})
        agent.teams.set(teams[number % TEAMS :: TEAMS])
    Requester.objects.bulk_create(
        [Requester(email=f"customer{number}@example.com", name=f"Customer {number}") for number in range(REQUESTERS)],
        batch_size=5_000,
        ignore_conflicts=True,
    )


def words(cursor: Any) -> None:
    chance = random.Random(11)
    vocabulary = [_word(number) for number in range(8_000)]

    def text(least: int, most: int) -> str:
        count = chance.randint(least, most)
        return " ".join(vocabulary[int(len(vocabulary) * chance.random() ** 3)] for _ in range(count))

    for table, rows, size in (("big_text", TEXTS, (30, 70)), ("big_subject", SUBJECTS, (4, 9))):
        cursor.execute(f"CREATE UNLOGGED TABLE {table} (id int PRIMARY KEY, words text, doc tsvector)")
        with cursor.copy(f"COPY {table} (id, words) FROM STDIN") as copy:
            for number in range(rows):
                copy.write_row((number, text(*size)))
        cursor.execute(f"UPDATE {table} SET doc = to_tsvector('english', words)")
        cursor.execute(f"ANALYZE {table}")


def _word(number: int) -> str:
    """A word of two or three syllables, another one for each number."""
    syllables = [f"{c}{v}" for c in "bdfgklmnprstvz" for v in "aeiou"]
    first, second = divmod(number, len(syllables))
    return syllables[first % len(syllables)] + syllables[second] + ("" if number < 300 else syllables[number % 61])


def vectors(cursor: Any, tickets: int) -> None:
    cursor.execute(f"CREATE UNLOGGED TABLE big_vector (place int PRIMARY KEY, embedding halfvec({DIMENSIONS}))")
    with cursor.copy("COPY big_vector FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8))
        for block in _blocks(tickets):
            copy.write(block)
        copy.write(b"\xff\xff")


def _blocks(tickets: int) -> Iterator[bytes]:
    """Rows of (int4, halfvec) as PostgreSQL's binary COPY has them: near one of CLUSTERS centres, of unit length."""
    import numpy as np

    chance = np.random.default_rng(12)
    centres = chance.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    row = np.dtype([("fields", ">i2"), ("size", ">i4"), ("place", ">i4"), ("bytes", ">i4"), ("dimensions", ">i2"),
                    ("unused", ">i2"), ("values", ">f2", (DIMENSIONS,))])  # fmt: skip
    for start in range(0, tickets, PORTION):
        count = min(PORTION, tickets - start)
        found = centres[chance.integers(0, CLUSTERS, count)]
        found = found + chance.standard_normal((count, DIMENSIONS), dtype=np.float32) * np.float32(0.03)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        block = np.zeros(count, dtype=row)
        block["fields"], block["size"], block["bytes"], block["dimensions"] = 2, 4, 4 + 2 * DIMENSIONS, DIMENSIONS
        block["place"] = np.arange(start, start + count)
        block["values"] = found
        yield block.tobytes()


def drop_indexes(cursor: Any) -> list[str]:
    """Take off every index that no constraint needs; what makes them again."""
    cursor.execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename = ANY(%s) AND NOT EXISTS ("
        "SELECT 1 FROM pg_constraint c JOIN pg_class k ON k.oid = c.conindid WHERE k.relname = i.indexname)",
        [list(TABLES)],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition for _, definition in found]


_TICKETS = f"""
INSERT INTO tickets_ticket (
    number, public_id, subject, excerpt, requester_id, source_id, external_id, idempotency_key, intake_digest,
    submitted_priority, lane, read_with, correlation_id, status, triage_state, category_id, priority, team_id, severity,
    effort, sentiment, tags, language, summary, provenance, confidence, escalated, escalation_reason, assignee_id,
    embedding, text_hash, due_at, created_at, updated_at, resolved_at, triaged_at, attempts, claim, not_before, error)
SELECT base + g, gen_random_uuid(), s.words, left(t.words, 160), people.first + (g * 7919) %% {REQUESTERS},
    sources.ids[1 + g %% array_length(sources.ids, 1)], '', '', '', '', 0, 'cascade', '', state, 'triaged',
    categories.ids[1 + (g * 31) %% array_length(categories.ids, 1)], 'P' || (1 + least(3, (random() * 4.3)::int)),
    teams.ids[1 + (g * 13) %% array_length(teams.ids, 1)], '', '', '', '{{}}', 'en', '',
    '{{"category": {{"engine": "local", "band": "apply", "confidence": 0.9}}}}', random(), state = 'escalated', '',
    CASE WHEN random() < 0.6 THEN agents.ids[1 + (g * 17) %% array_length(agents.ids, 1)] END,
    v.embedding, '', CASE WHEN state IN ('resolved', 'closed') THEN NULL ELSE at + interval '8 hours' END, at, at,
    CASE WHEN state IN ('resolved', 'closed') THEN at + interval '1 day' END, at, 0, 0, at, ''
FROM (
    SELECT g, now() - (%(n)s - g) * interval '1 minute' AS at,
        CASE WHEN g < %(n)s * 0.9 OR random() > 0.3 THEN CASE WHEN g < %(n)s * 0.98 THEN 'closed' ELSE 'resolved' END
             ELSE (ARRAY['in_review', 'in_review', 'in_review', 'waiting', 'waiting', 'escalated', 'new']
                  )[1 + (g * 11) %% 7]
        END AS state
    FROM generate_series(1::bigint, %(n)s) g) made
JOIN big_subject s ON s.id = (g * 104729) %% {SUBJECTS}
JOIN big_text t ON t.id = (g * 3) %% {TEXTS}
JOIN big_vector v ON v.place = g - 1
CROSS JOIN (SELECT coalesce(max(number), 0) AS base FROM tickets_ticket) b
CROSS JOIN (SELECT min(id) AS first FROM tickets_requester WHERE email LIKE 'customer%%@example.com') people
CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM tickets_source) sources
CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM tickets_category WHERE active) categories
CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM tickets_team WHERE key LIKE 'large%%') teams
CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM triage_user WHERE username LIKE 'large%%') agents
ORDER BY g
"""
_NEW = """(SELECT number, created_at, requester_id, row_number() OVER (ORDER BY number) AS g
    FROM tickets_ticket WHERE correlation_id = '' AND triaged_at = created_at)"""
_MESSAGES = f"""
INSERT INTO tickets_message (ticket_id, kind, text, requester_id, author_name, external_id, message_id, created_at)
SELECT n.number, (ARRAY['inbound', 'outbound', 'comment'])[k + 1], t.words, CASE WHEN k = 0 THEN n.requester_id END,
    '', '', '', n.created_at + k * interval '1 hour'
FROM {_NEW} n CROSS JOIN generate_series(0, 2) k JOIN big_text t ON t.id = (n.g * 3 + k) %% {TEXTS}
ORDER BY n.number, k
""".replace("%%", "%")
_SEARCH = f"""
INSERT INTO tickets_searchtext (ticket_id, document)
SELECT n.number,
    setweight(to_tsvector('simple', n.number::text), 'A') || setweight(s.doc, 'A') || a.doc || b.doc || c.doc
FROM {_NEW} n JOIN big_subject s ON s.id = (n.g * 104729) %% {SUBJECTS}
JOIN big_text a ON a.id = (n.g * 3) %% {TEXTS} JOIN big_text b ON b.id = (n.g * 3 + 1) %% {TEXTS}
JOIN big_text c ON c.id = (n.g * 3 + 2) %% {TEXTS}
ON CONFLICT DO NOTHING
""".replace("%%", "%")
