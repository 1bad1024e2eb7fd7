"""Triggers that write a WebhookCall for what happens, one for each webhook that subscribes to it.

They write in the transaction of what happened: a call is there exactly when that is, whoever did it and by whatever
way, and whatever crashes afterwards.
"""

from __future__ import annotations

import pgtrigger

BELL = "webhook_calls"  # the channel of NOTIFY on which tickets.webhooks.dispatch listens
_CONTEXT = "nullif(current_setting('pghistory.context_metadata', true), '')::jsonb"
_CALL = """
    INSERT INTO tickets_webhookcall (webhook_id, ticket_id, uuid, event, about, body, state, correlation_id, attempts,
        claim, not_before, error, created_at, queued_at)
    SELECT w.id, {ticket}, id_of_event, {event}, jsonb_build_object('actor', coalesce({context}->>'actor',
        'database')) || {about}, '', CASE WHEN w.disabled_at IS NULL THEN 'queued' ELSE 'held' END,
        coalesce({context}->>'correlation_id', ''), 0, 0, now(), '', now(), now()
    FROM tickets_webhook w WHERE w.active AND {event} = ANY(w.events){more};
    RETURN NULL;
"""
# Of these teams, from these sources; where none are named, of all.
_FITS = """
    AND (NOT EXISTS (SELECT 1 FROM tickets_webhook_teams WHERE webhook_id = w.id) OR EXISTS (
        SELECT 1 FROM tickets_webhook_teams f JOIN tickets_ticket t ON t.team_id = f.team_id
        WHERE f.webhook_id = w.id AND t.number = {ticket}))
    AND (NOT EXISTS (SELECT 1 FROM tickets_webhook_sources WHERE webhook_id = w.id) OR EXISTS (
        SELECT 1 FROM tickets_webhook_sources f JOIN tickets_ticket t ON t.source_id = f.source_id
        WHERE f.webhook_id = w.id AND t.number = {ticket}))"""
# What is imported, or read again by the thousand, is history and no news, unless its customer wrote lately or it is a
# person's doing.
_NEWS = """
    AND ((SELECT lane FROM tickets_ticket WHERE number = {ticket}) = 0
        OR coalesce({context}->>'actor', '') ~ '^(user|api):' OR EXISTS (
            SELECT 1 FROM tickets_message
            WHERE ticket_id = {ticket} AND kind = 'inbound' AND created_at > now() - interval '1 day'))"""


def _tells(
    event: str,
    *,
    ticket: str,
    about: str = "'{}'::jsonb",
    on: pgtrigger.Operation = pgtrigger.Insert,
    condition: str = "",
    more: str = "",
    named: str = "",
) -> pgtrigger.Trigger:
    """A trigger that tells of `event`, an SQL expression as `ticket` and `about` are."""
    where = (_FITS if ticket != "NULL" else "") + more
    return pgtrigger.Trigger(
        name=f"tells_{named or event.strip(chr(39)).replace('.', '_')}",
        when=pgtrigger.After,
        operation=on,
        condition=pgtrigger.Condition(f"({condition})") if condition else None,
        declare=[("id_of_event", "UUID := gen_random_uuid()")],
        func=_CALL.format(
            event=event,
            ticket=ticket,
            about=about,
            context=_CONTEXT,
            more=where.format(ticket=ticket, context=_CONTEXT),
        ),
    )


# As triage/engines/rules.json says it. Every later reading of the conversation finds the same words in it.
_FIRST_TIME = """
    AND NOT EXISTS (SELECT 1 FROM tickets_suggestion s WHERE s.ticket_id = NEW.ticket_id AND s.id < NEW.id
        AND s.escalation_reason LIKE '%The customer asked for a person.%')"""
_ENDED = "('resolved', 'closed')"
EVENT_TELLS = [
    _tells(
        f"'ticket.{name}'",
        ticket="NEW.pgh_obj_id",
        about="jsonb_build_object('of', NEW.pgh_id)",
        condition=f"NEW.pgh_label = '{label}'",
        more=_NEWS,
    )
    for label, name in (("created", "created"), ("changed", "updated"))
]
TICKET_TELLS = [
    _tells(
        "'ticket.escalated'",
        ticket="NEW.number",
        on=pgtrigger.Update,
        condition="(NEW.escalated OR NEW.status = 'escalated') AND NOT (OLD.escalated OR OLD.status = 'escalated')",
        more=_NEWS,
    ),
    _tells(
        "'ticket.resolved'",
        ticket="NEW.number",
        on=pgtrigger.Update,
        condition=f"NEW.status IN {_ENDED} AND OLD.status NOT IN {_ENDED} AND NEW.merged_into_id IS NULL",
        more=_NEWS,
    ),
    _tells(
        "'ticket.reopened'",
        ticket="NEW.number",
        on=pgtrigger.Update,
        condition=f"OLD.status IN {_ENDED} AND NEW.status NOT IN {_ENDED} AND OLD.merged_into_id IS NULL",
        more=_NEWS,
    ),
]
SUGGESTION_TELLS = [
    _tells(
        "'ticket.triaged'",
        ticket="NEW.ticket_id",
        about="jsonb_build_object('suggestion', NEW.id)",
        more=_NEWS,
    ),
    _tells(
        "'handoff.initiated'",
        ticket="NEW.ticket_id",
        about="jsonb_build_object('suggestion', NEW.id)",
        condition="NEW.escalation_reason LIKE '%The customer asked for a person.%'",
        more=_NEWS + _FIRST_TIME,
    ),
]
MESSAGE_TELLS = [
    _tells(
        "'comment.created'",
        ticket="NEW.ticket_id",
        about="jsonb_build_object('comment', NEW.id)",
        condition="NEW.kind = 'comment'",
        more=_NEWS,
    )
]
DELIVERY_TELLS = [
    _tells(
        "'ticket.replied'",
        ticket="NEW.ticket_id",
        about="jsonb_build_object('reply', NEW.message_id, 'channel', NEW.channel)",
        on=pgtrigger.Update,
        condition="NEW.state = 'sent' AND OLD.state <> 'sent'",
    )
]
SLA_TELLS = [
    _tells(
        "CASE NEW.kind WHEN 'warning' THEN 'sla.warning' ELSE 'sla.breached' END",
        named="sla",
        ticket="NEW.ticket_id",
        about="jsonb_build_object('target', NEW.target, 'due_at', NEW.due_at, 'minutes', NEW.minutes)",
    )
]
BUDGET_TRIGGERS = [
    _tells(
        "'budget.warning'",
        ticket="NULL",
        about="jsonb_build_object('month', NEW.month, 'step_percent', NEW.warned, 'spent_usd', round(NEW.cost, 4), "
        "'limit_usd', (SELECT monthly_limit FROM triage_budget))",
        on=pgtrigger.Update,
        condition="NEW.warned > OLD.warned",
    )
]
_RING = f"PERFORM pg_notify('{BELL}', ''); RETURN NULL;"
BELL_TRIGGERS = [
    pgtrigger.Trigger(name="rings", when=pgtrigger.After, operation=pgtrigger.Insert, func=_RING),
    pgtrigger.Trigger(
        name="rings_again",
        when=pgtrigger.After,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("(NEW.state = 'queued' AND OLD.state IN ('sent', 'failed', 'held'))"),
        func=_RING,
    ),
]
