"""Triggers that write a RuleCause for what happens to a ticket, where a rule is in force that may be for it."""

from __future__ import annotations

import pgtrigger

_CAUSE = """
    INSERT INTO tickets_rulecause (ticket_id, kind, "of", actor, chain, state, depth, attempts, claim, not_before,
        error, created_at)
    SELECT {ticket}, {kind}, {of}, {actor}, '{{}}', 'waiting', 0, 0, 0, now(), '', now()
    WHERE EXISTS (SELECT 1 FROM tickets_rule WHERE active AND "when" = {kind}){more}
    ON CONFLICT DO NOTHING;
    RETURN NULL;
"""
# What is imported, or read again by the thousand, is history: no rule is for it, unless its customer wrote lately.
_NEWS = """
    AND ((SELECT lane FROM tickets_ticket WHERE number = {ticket}) = 0 OR EXISTS (
        SELECT 1 FROM tickets_message
        WHERE ticket_id = {ticket} AND kind = 'inbound' AND created_at > now() - interval '1 day'))"""
_OF_EVENT = {
    "ticket": "NEW.pgh_obj_id",
    "of": "NEW.pgh_id",
    "actor": "coalesce(NEW.pgh_context->>'actor', 'database')",
}
EVENT_TRIGGERS = [
    pgtrigger.Trigger(
        name=f"rules_{label}",
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        # What rules did is one cause for the next of them, written with its chain: see tickets.actions.firing.
        condition=pgtrigger.Condition(
            f"NEW.pgh_label = '{label}' AND coalesce(NEW.pgh_context->>'actor', '') NOT LIKE 'rule:%%'"
        ),
        func=_CAUSE.format(
            **_OF_EVENT, kind=f"'{label}'", more=_NEWS.format(ticket="NEW.pgh_obj_id") if label == "created" else ""
        ),
    )
    for label in ("created", "changed")
]
SUGGESTION_TRIGGERS = [
    pgtrigger.Trigger(
        name="rules_triaged",
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        func=_CAUSE.format(
            ticket="NEW.ticket_id",
            kind="'triaged'",
            of="NEW.id",
            actor="'machine'",
            more=_NEWS.format(ticket="NEW.ticket_id"),
        ),
    )
]
