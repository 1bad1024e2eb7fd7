from __future__ import annotations

from typing import TYPE_CHECKING

import pghistory
from django.db import models

from tickets.models.causes import EVENT_TRIGGERS
from tickets.models.happenings import EVENT_TELLS
from tickets.models.ticket import Ticket

TRACKED = (
    "number",
    "subject",
    "requester",
    "status",
    "category",
    "priority",
    "team",
    "tier",
    "severity",
    "effort",
    "component",
    "sentiment",
    "tags",
    "language",
    "summary",
    "is_technical",
    "escalated",
    "escalation_reason",
    "assignee",
    "snoozed_until",
    "merged_into",
    "error",
    "spam",
    "deleted_at",
)

if TYPE_CHECKING:

    class _Snapshot(models.Model):
        """What create_event_model() makes, as far as our own code uses it."""

        pgh_id = models.BigAutoField(primary_key=True)
        pgh_created_at = models.DateTimeField()
        pgh_label = models.TextField()
        pgh_context = models.JSONField(null=True)
        assignee_id: int | None
        merged_into_id: int | None
        spam: bool

        class Meta:
            abstract = True

else:
    _Snapshot = pghistory.create_event_model(
        Ticket,
        pghistory.InsertEvent("created"),
        pghistory.UpdateEvent("changed"),
        pghistory.DeleteEvent("deleted"),
        fields=list(TRACKED),
        obj_field=pghistory.ObjForeignKey(related_name="events", related_query_name="events"),
        context_field=pghistory.ContextJSONField(),
        context_id_field=None,
        append_only=True,
        model_name="Event",
        meta={"triggers": [*EVENT_TRIGGERS, *EVENT_TELLS]},
    )


class Event(_Snapshot):
    """A snapshot of a ticket after each change of a tracked field, written by the database's own trigger.

    The context names the actor ("user:7", "machine:local", "api:3") and the correlation id; a change made past the
    application has none and belongs to the actor "database". What changed is the difference to the event before.
    """

    objects = models.Manager["Event"]()

    @property
    def actor(self) -> str:
        return str((self.pgh_context or {}).get("actor", "database"))

    @property
    def correlation_id(self) -> str:
        return str((self.pgh_context or {}).get("correlation_id", ""))
