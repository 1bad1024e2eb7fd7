"""What a webhook is told, in the three forms that receivers read.

Nothing that a customer or a colleague wrote is in it but a ticket's subject and the reason of an escalation, and
nobody's address: whoever may see more asks the API.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from tickets.channels.api.present import stamp
from tickets.models import Event, Message, Ticket, WebhookCall
from tickets.models.event import TRACKED
from tickets.models.webhook import PING, RULE_FIRED, HookEvent, Webhook
from triage.pipeline.types import FIELDS

VERSION = 1
Json = dict[str, Any]
_HEADLINES: dict[str, str] = {
    HookEvent.CREATED: "New ticket",
    HookEvent.TRIAGED: "Read",
    HookEvent.UPDATED: "Changed",
    HookEvent.ESCALATED: "Escalated",
    HookEvent.REPLIED: "Reply sent",
    HookEvent.RESOLVED: "Resolved",
    HookEvent.REOPENED: "Reopened",
    HookEvent.COMMENTED: "Comment",
    HookEvent.HANDOFF: "Asks for a person",
    HookEvent.SLA_WARNING: "Due soon",
    HookEvent.SLA_BREACHED: "Overdue",
    HookEvent.BUDGET_WARNING: "Model budget",
    RULE_FIRED: "Rule",
    PING: "Test",
}


def body_of(call: WebhookCall) -> str:
    """What is sent of it, as its webhook wants it."""
    return bodies_of([call])[0]


def bodies_of(calls: Sequence[WebhookCall]) -> list[str]:
    """The same for many: what happened is gathered once, however many webhooks are told of it."""
    gathered: dict[UUID, Json] = {}
    bodies: dict[tuple[UUID, str], str] = {}
    for call in calls:
        if call.uuid not in gathered:
            gathered[call.uuid] = plain_body(call)
        if (call.uuid, call.webhook.format) not in bodies:
            said = _FORMS[Webhook.Format(call.webhook.format)](gathered[call.uuid])
            bodies[call.uuid, call.webhook.format] = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return [bodies[call.uuid, call.webhook.format] for call in calls]


def plain_body(call: WebhookCall) -> Json:
    """{type, version, id, timestamp, data}; the ticket as it is now."""
    data: Json = {"actor": call.about.get("actor", "database"), "correlation_id": call.correlation_id}
    data |= _particulars(call)
    if call.ticket is not None:
        data["ticket"] = ticket_form(call.ticket)
    return {
        "type": call.event,
        "version": VERSION,
        "id": str(call.uuid),
        "timestamp": stamp(call.created_at),
        "data": data,
    }


def ticket_form(ticket: Ticket) -> Json:
    """A ticket as the API names its fields, as far as they are nobody's own words but its title."""
    return {
        "number": ticket.number,
        "id": str(ticket.public_id),
        "url": f"{settings.BASE_URL}{ticket.get_absolute_url()}",
        "title": ticket.subject,
        "status": ticket.status,
        "triage_state": ticket.triage_state,
        "source": ticket.source.name,
        **{name: ticket.value_of(name) for name in FIELDS if name != "summary"},
        "confidence": _told(ticket, "confidence"),
        "band": _told(ticket, "band"),
        "escalated": ticket.escalated,
        "escalation_reason": ticket.escalation_reason or None,
        "assignee": ticket.assignee.label if ticket.assignee else None,
        "cluster": None,
        "merged_into": ticket.merged_into_id,
        "snoozed_until": stamp(ticket.snoozed_until),
        "sla": {"due_at": stamp(ticket.due_at), "first_replied_at": stamp(ticket.first_replied_at)},
        "created_at": stamp(ticket.created_at),
        "updated_at": stamp(ticket.updated_at),
        "triaged_at": stamp(ticket.triaged_at),
    }


def _told(ticket: Ticket, what: str) -> Json:
    return {name: ticket.provenance[name][what] for name in FIELDS if what in ticket.provenance.get(name, {})}


def _particulars(call: WebhookCall) -> Json:
    """What the event itself says, besides the ticket."""
    tells = _PARTICULARS.get(call.event)
    return tells(call) if tells else {}


def _of(call: WebhookCall, *names: str) -> Json:
    return {name: call.about.get(name) for name in names}


def _changed(call: WebhookCall) -> list[str]:
    """The names of the fields that this change was of."""
    events = Event.objects.filter(pgh_obj_id=call.ticket_id, pgh_id__lte=call.about.get("of") or 0)
    two = list(events.order_by("-pgh_id")[:2])
    if len(two) < 2 or two[0].pgh_id != call.about.get("of"):
        return []
    fields: list[Any] = [Event._meta.get_field(name) for name in TRACKED]
    return [one.name for one in fields if getattr(two[0], one.attname) != getattr(two[1], one.attname)]


def _written(key: int | None) -> Json:
    """Who wrote a message and when; its text is for those who may see the ticket."""
    message = Message.objects.select_related("author", "requester").filter(pk=key or 0).first()
    if message is None:
        return {"id": key, "author": None, "created_at": None}
    return {"id": message.pk, "author": message.author_label, "created_at": stamp(message.created_at)}


_PARTICULARS: dict[str, Callable[[WebhookCall], Json]] = {
    HookEvent.UPDATED: lambda call: {"changed": _changed(call)},
    HookEvent.COMMENTED: lambda call: {"comment": _written(call.about.get("comment"))},
    HookEvent.REPLIED: lambda call: {"reply": {**_written(call.about.get("reply")), **_of(call, "channel")}},
    HookEvent.SLA_WARNING: lambda call: {"promise": _of(call, "target", "due_at", "minutes")},
    HookEvent.SLA_BREACHED: lambda call: {"promise": _of(call, "target", "due_at", "minutes")},
    HookEvent.BUDGET_WARNING: lambda call: {"budget": _of(call, "month", "step_percent", "spent_usd", "limit_usd")},
    RULE_FIRED: lambda call: _of(call, "rule", "cause"),
}


def _slack(plain: Json) -> Json:
    """One text: Slack, Mattermost, Rocket.Chat and Discord's /slack all read it."""
    headline, title, url, facts = _told_in_words(plain)
    lead = f"*{_escaped(headline)}*" + (f" <{url}|{_escaped(title)}>" if url else f" {_escaped(title)}")
    return {"text": "\n".join([lead, *([_escaped(" · ".join(facts))] if facts else [])])}


def _escaped(text: str) -> str:
    """As Slack asks for: without these three no text can name a channel, a person or a link."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.translate({ord(mark): f"{mark}\u200b" for mark in "*_~`"})


def _teams(plain: Json) -> Json:
    """An Adaptive Card, as workflows of Teams take it. Its runs of text know no Markdown."""
    headline, title, url, facts = _told_in_words(plain)
    runs = [{"type": "TextRun", "text": headline, "weight": "bolder"}, {"type": "TextRun", "text": f"  {title}"}]
    lines: list[Json] = [{"type": "RichTextBlock", "inlines": runs}]
    if facts:
        lines.append({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": " · ".join(facts)}]})
    card: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
    if url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _told_in_words(plain: Json) -> tuple[str, str, str, Sequence[str]]:
    """Headline, title, address and a few facts."""
    data, event = plain["data"], plain["type"]
    headline: str = _HEADLINES.get(event) or event
    if event == RULE_FIRED and data.get("rule"):
        headline = f"Rule \u201c{data['rule']['name']}\u201d"
    if "budget" in data:
        spent = data["budget"]
        return headline, f"{spent['step_percent']} % of the month's budget is spent", "", [f"${spent['spent_usd']}"]
    ticket = data.get("ticket")
    if ticket is None:
        return headline, "Triage Desk can reach this address.", "", []
    team, status = (str(ticket[name] or "").replace("_", " ") for name in ("team", "status"))
    facts = [ticket["priority"], team, ticket["assignee"], status]
    if event in (HookEvent.ESCALATED, HookEvent.HANDOFF):
        facts.append(ticket["escalation_reason"])
    if "promise" in data:
        facts.append(f"{str(data['promise']['target']).replace('_', ' ')} due {data['promise']['due_at']}")
    facts += [f"changed: {', '.join(data['changed'])}"] if data.get("changed") else []
    return headline, f"#{ticket['number']} {ticket['title']}", ticket["url"], [str(fact) for fact in facts if fact]


_FORMS: dict[Webhook.Format, Callable[[Json], Json]] = {
    Webhook.Format.PLAIN: lambda plain: plain,
    Webhook.Format.SLACK: _slack,
    Webhook.Format.TEAMS: _teams,
}
