"""Everything that an address can name, once, and the people who type it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from allauth.usersessions.models import UserSession
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from analytics.models import Summary
from tickets.models import (
    ApiKey,
    Attachment,
    Block,
    BulkRun,
    Calendar,
    Delivery,
    Invitation,
    Link,
    Macro,
    Message,
    Notification,
    Replay,
    Review,
    SlaPolicy,
    Split,
    Ticket,
    View,
)
from triage.models import Call, User

ROLES = ("nobody", "outsider", "colleague", "agent", "lead", "admin", "auditor")


@dataclass
class World:
    """`named` holds what the parts of an address stand for, by the name of the address and the part."""

    people: dict[str, User | None]
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    ticket: Ticket | None = None

    def parts(self, name: str) -> dict[str, Any]:
        usual: dict[str, Any] = {"number": self.ticket.number if self.ticket else 1, "signed": "forged"}
        return {**usual, "provider_id": "oidc", "uidb36": "1", "key": "a-b", **self.named.get(name, {})}


# Of these there are none in this world: who may see them is told that there is none, all others that they may not.
NOT_SET_UP = (
    *(f"tickets:github-{what}" for what in ("account", "account-removal", "connect", "repository", "status", "sync")),
    *(f"tickets:github-{what}" for what in ("sync-cancellation", "connection", "secret", "event-again")),
    *(f"tickets:{what}" for what in ("receipts", "mailbox", "mailbox-trial", "mailbox-reading", "mailbox-state")),
    *(f"tickets:import{what}" for what in ("", "-start", "-cancellation", "-continuation", "-removal", "-refusals")),
)


def furnish(people: dict[str, User | None], ticket: Ticket, other: Ticket) -> World:
    """`ticket` is of the agent's team, and the rows that hang on it."""
    agent, admin = people["agent"], people["admin"]
    assert agent is not None and admin is not None
    now = timezone.now()
    comment = Message.objects.create(ticket=ticket, kind="comment", text="Look", author=agent, created_at=now)
    sent = Message.objects.create(ticket=ticket, kind="outbound", text="Hello", author=agent, created_at=now)
    review = Review.objects.create(ticket=ticket, decision="approved", text="Hello", by=agent)
    delivery = Delivery.objects.create(
        ticket=ticket, message=sent, review=review, channel="email", recipient="kim@example.com", state="failed"
    )
    # Attached to what its customer wrote, so that they may open it, too.
    first = ticket.messages.earliest("pk")
    kept = Attachment.objects.create(
        ticket=ticket, message=first, file=_stored(), name="a.txt", size=1, sha256="0" * 64
    )
    enclosed = Attachment.objects.create(ticket=ticket, file=_stored(), name="b.txt", size=1, sha256="0" * 64)
    link = Link.objects.create(one=min(ticket, other, key=_pk), other=max(ticket, other, key=_pk), kind="related")
    split = Split.objects.create(ticket=ticket, new=other, messages=[comment.pk])
    view = View.objects.create(owner=agent, name="Shared", scope="everyone", query="status=new")
    note = Notification.objects.create(user=agent, ticket=ticket, kind="mention", created_at=now)
    replay = Replay.objects.create(kind="store", chosen="all", digest="x")
    call = Call.objects.create(operation="classify", model_asked="m", subject_kind="ticket", subject_id=ticket.number)
    summary = Summary.objects.create(
        period="week", last_day=datetime.date(2026, 1, 1), figures={}, text="Quiet.", engine="template", by=admin
    )
    macro = Macro.objects.create(name="Thanks", text="Thank you.", owner=agent, scope="everyone")
    bulk = BulkRun.objects.create(by=agent, kind="tag")
    invitation = Invitation.objects.create(email="new@example.org", invited_by=admin)
    session = UserSession.objects.create(user=agent, ip="127.0.0.1", session_key="k" * 32, user_agent="x")
    key = ApiKey.objects.create(name="Shop", prefix="td_1", digest="1", scopes=["read"], source=ticket.source)
    person = {"pk": agent.pk}
    named: dict[str, dict[str, Any]] = {
        "tickets:comment": {"pk": comment.pk},
        "tickets:delivery": {"pk": delivery.pk},
        "tickets:link-removal": {"pk": link.pk},
        "tickets:split-reversal": {"pk": split.pk},
        "tickets:view": {"pk": view.pk},
        "tickets:notification-seen": {"pk": note.pk},
        **{
            key: {"pk": replay.pk} for key in ("tickets:replay", "tickets:replay-cancellation", "tickets:replay-switch")
        },
        "tickets:macro": {"pk": macro.pk},
        **{f"tickets:bulk-{what}": {"pk": bulk.pk} for what in ("run", "reversal", "cancellation", "dismissal")},
        "analytics:call": {"pk": call.pk},
        "analytics:earlier-summary": {"pk": summary.pk},
        "tickets:invitation-revocation": {"pk": invitation.pk},
        "tickets:invitation": {"signed": invitation.signed_id},
        "tickets:session-end": {"pk": session.pk},
        **{f"tickets:api-key{what}": {"pk": key.pk} for what in ("", "-rotation", "-revocation", "-reversal")},
        **dict.fromkeys(
            ("tickets:person", "tickets:deactivation", "tickets:factors-removal", "tickets:person-sessions-end"), person
        ),
        **{key: {"pk": SlaPolicy.objects.all()[0].pk} for key in ("tickets:policy", "tickets:policy-deletion")},
        **{key: {"pk": Calendar.objects.all()[0].pk} for key in ("tickets:calendar", "tickets:calendar-deletion")},
        **{key: {"pk": 1} for key in ("tickets:rule", "tickets:rule-state")},
        **{key: {"pk": 999, "event": 999} for key in NOT_SET_UP},
        "tickets:webhook": {"pk": 999},
        **{f"tickets:webhook-{what}": {"pk": 999} for what in ("secrets", "switch", "deletion", "pings", "replays")},
        **{f"tickets:webhook-{what}": {"pk": 999, "call_pk": 999} for what in ("call", "redelivery")},
        "tickets:mail": {"pk": 999},
        "tickets:mail-webhook": {"sender": "mailgun", "what": "inbound"},
        "tickets:mail-webhook-in": {"sender": "mailgun"},
        "tickets:mail-webhook-before": {"sender": "mailgun", "what": "inbound"},
        "mfa_edit_webauthn": {"pk": 1},
        "mfa_remove_webauthn": {"pk": 1},
        "tickets:portal-status": {"signed": ticket.signed_id},
        "tickets:portal-file": {"signed": ticket.signed_id, "pk": kept.pk},
        "tickets:attachment": {"pk": kept.pk},
        "tickets:enclosure-removal": {"pk": enclosed.pk},
        "tickets:block-lifting": {"pk": Block.objects.create(what="spam.example", by=admin).pk},
        "tickets:portal-thanks": {"signed": ticket.signed_id},
    }
    return World(people, named, ticket)


def _stored() -> str:
    """The name of a file that is there."""
    return default_storage.save("attachments/walk", ContentFile(b"x"))


def _pk(ticket: Ticket) -> int:
    return ticket.pk


def addresses() -> list[tuple[str, URLPattern]]:
    """(name with its namespaces, pattern) of every address there is."""
    return list(_walk(get_resolver(), ()))


def _walk(resolver: URLResolver, spaces: tuple[str, ...]) -> Any:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, (*spaces, pattern.namespace) if pattern.namespace else spaces)
        else:
            yield ":".join((*spaces, pattern.name or "")), pattern
