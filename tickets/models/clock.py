"""Triggers that have a ticket's promised times reckoned anew, whoever changed it and by whatever way."""

from __future__ import annotations

import pgtrigger

# A writer that has reckoned them itself has written `sla` in the same statement, with another time in it.
_UNRECKONED = "OLD.sla ->> 'at' IS NOT DISTINCT FROM NEW.sla ->> 'at'"
_PLAIN = ("snoozed_until", "priority", "team_id", "source_id", "first_replied_at", "created_at", "deleted_at")
_CHANGED = " OR ".join(
    [
        "(OLD.status = 'waiting') <> (NEW.status = 'waiting')",
        "(OLD.status IN ('resolved', 'closed')) <> (NEW.status IN ('resolved', 'closed'))",
        *(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in _PLAIN),
    ]
)
_MOVED = """
    UPDATE tickets_ticket SET sla_look_at = now()
    WHERE number IN (OLD.ticket_id, NEW.ticket_id) AND (sla_look_at IS NULL OR sla_look_at > now());
    RETURN NULL;
"""

CLOCK_TRIGGERS = [
    pgtrigger.Trigger(
        name="sla_changed",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(f"({_UNRECKONED} AND ({_CHANGED}))"),
        func="NEW.sla_look_at := now(); RETURN NEW;",
    )
]
MOVED_TRIGGERS = [
    pgtrigger.Trigger(
        name="sla_moved",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.ticket_id IS DISTINCT FROM NEW.ticket_id"),
        func=_MOVED,
    )
]
