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
_THESE = """
    UPDATE tickets_ticket SET sla_look_at = now()
    WHERE number IN (OLD.{column}, NEW.{column}) AND (sla_look_at IS NULL OR sla_look_at > now());
    RETURN NULL;
"""


def _moved(name: str, column: str) -> pgtrigger.Trigger:
    """What changes its place is reckoned with at both of them."""
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(f"OLD.{column} IS DISTINCT FROM NEW.{column}"),
        func=_THESE.format(column=column),
    )


CLOCK_TRIGGERS = [
    pgtrigger.Trigger(
        name="sla_changed",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(f"({_UNRECKONED} AND ({_CHANGED}))"),
        func="NEW.sla_look_at := now(); RETURN NEW;",
    ),
    _moved("sla_merged", "merged_into_id"),
]
MOVED_TRIGGERS = [_moved("sla_moved", "ticket_id")]
