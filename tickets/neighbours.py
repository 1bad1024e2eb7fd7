"""The nearest to a text by its embedding: decided texts, answered tickets, and tickets of whatever state.

One statement for the three, written out: each reading asks for them, and to have the ORM build three such queries took
a tenth of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from pgvector import HalfVector

from tickets.models import ENDED
from tickets.models.likeness import filtered_likeness

MOST = 5  # of decided texts and of answered tickets


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`similarity` is a cosine. `labels` and `text` belong to a decided text, `names` are its customer's."""

    number: int
    similarity: float
    labels: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    subject: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest first."""

    decided: tuple[Neighbour, ...] = ()
    answered: tuple[Neighbour, ...] = ()
    alike: tuple[Neighbour, ...] = ()


# Within each part the index gives the rows in their order; names are looked up for those that are left.
_NEAREST = """
    SELECT 'decided', near.number, near.distance, near.labels, near.text, '', person.name, person.email
    FROM (
        SELECT ticket_id AS number, embedding <=> %(vector)s::halfvec AS distance, labels,
            CASE WHEN %(told)s THEN text ELSE '' END AS text
        FROM tickets_example
        WHERE embedding IS NOT NULL AND ticket_id <> %(number)s
        ORDER BY distance LIMIT %(most)s
    ) AS near
    JOIN tickets_ticket AS ticket ON ticket.number = near.number
    LEFT JOIN tickets_requester AS person ON person.id = ticket.requester_id
    UNION ALL
    SELECT 'answered', near.number, near.distance, NULL, '', near.subject, person.name, person.email
    FROM (
        SELECT ticket.number, ticket.subject, ticket.requester_id, vector.embedding <=> %(vector)s::halfvec AS distance
        FROM tickets_ticket AS ticket JOIN tickets_ticketvector AS vector ON vector.ticket_id = ticket.number
        WHERE ticket.deleted_at IS NULL AND ticket.status = ANY(%(ended)s) AND ticket.number <> %(number)s
        ORDER BY distance LIMIT %(most)s
    ) AS near
    LEFT JOIN tickets_requester AS person ON person.id = near.requester_id
    UNION ALL
    SELECT 'alike', near.number, near.distance, NULL, '', '', NULL, NULL
    FROM (
        SELECT ticket.number, vector.embedding <=> %(vector)s::halfvec AS distance
        FROM tickets_ticket AS ticket JOIN tickets_ticketvector AS vector ON vector.ticket_id = ticket.number
        WHERE ticket.deleted_at IS NULL AND ticket.merged_into_id IS NULL AND ticket.number <> %(number)s
        ORDER BY distance LIMIT %(alike)s
    ) AS near
    ORDER BY 3
"""


def neighbours_of(vector: Any, *, number: int, told: bool, alike: int) -> Neighbours:
    """Those of a vector of the shipped embedding, ticket `number` not among them; at most `alike` of any state.

    The words of decided texts are fetched only where a model is `told` them.
    """
    if vector is None:
        return Neighbours()
    asked: dict[str, Any] = {
        "vector": HalfVector(vector).to_text(),
        "number": number,
        "told": told,
        "ended": [str(status) for status in ENDED],
        "most": MOST,
        "alike": alike,
    }
    found: dict[str, list[Neighbour]] = {"decided": [], "answered": [], "alike": []}
    with filtered_likeness(), connection.cursor() as cursor:
        cursor.execute(_NEAREST, asked)
        for part, nearest, distance, labels, text, subject, name, email in cursor.fetchall():
            names = tuple(filter(None, (name, email)))
            kept = json.loads(labels) if labels else {}
            found[part].append(Neighbour(nearest, 1 - distance, kept, text, subject, names))
    return Neighbours(*(tuple(found[part]) for part in ("decided", "answered", "alike")))
