from __future__ import annotations

import pgtrigger
from django.db import models
from pgvector.django import HalfVectorField, HnswIndex

_PUT = """
    INSERT INTO tickets_ticketvector (ticket_id, embedding) VALUES (NEW.number, NEW.embedding)
    ON CONFLICT (ticket_id) DO UPDATE SET embedding = EXCLUDED.embedding;
    RETURN NULL;
"""
# No IS DISTINCT FROM: a dump can not name the schema of its operator, and is restored where no schema is searched.
_CHANGED = "NEW.embedding IS NOT NULL AND (OLD.embedding IS NULL OR OLD.embedding <> NEW.embedding)"
_GONE = "NEW.embedding IS NULL AND OLD.embedding IS NOT NULL"
VECTOR_TRIGGERS = [
    pgtrigger.Trigger(
        name="vector_new",
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        condition=pgtrigger.Condition("NEW.embedding IS NOT NULL"),
        func=_PUT,
    ),
    pgtrigger.Trigger(
        name="vector_changed",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(_CHANGED),
        func=_PUT,
    ),
    pgtrigger.Trigger(
        name="vector_gone",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(_GONE),
        func="DELETE FROM tickets_ticketvector WHERE ticket_id = NEW.number; RETURN NULL;",
    ),
]


class TicketVector(models.Model):
    """A ticket's embedding where it is searched: kept by triggers, apart from what changes with every click.

    A new version of a row enters every index of its table, and an HNSW index takes a millisecond for it: so a change of
    status or assignee would cost ten times what it does (docs/decisions/0022).
    """

    ticket = models.OneToOneField("tickets.Ticket", models.CASCADE, primary_key=True, related_name="vector")
    embedding = HalfVectorField(dimensions=384)

    class Meta:
        indexes = [
            HnswIndex(
                name="ticket_nearest_apart",
                fields=["embedding"],
                opclasses=["halfvec_cosine_ops"],
                m=16,
                ef_construction=64,
            )
        ]

    def __str__(self) -> str:
        return f"Embedding of #{self.ticket_id}"
