"""What happens is told: by the database's own triggers, in the transaction of what happened."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tests.tickets.webhooks.conftest import MakeHook
from tickets.actions import blocking, conversation, deliveries, replies, review, spamming, status
from tickets.actions.errors import Conflict
from tickets.actions.webhooks import Subscription, keep, redeliver, replay, switch
from tickets.models import (
    Delivery,
    Lane,
    Message,
    SlaEvent,
    Source,
    Status,
    Suggestion,
    Team,
    Ticket,
    Webhook,
    WebhookCall,
)
from tickets.tasks import drain
from tickets.webhooks.bodies import plain_body
from triage.correlation import acting
from triage.models import Budget, Spending, User

URL = "https://example.com/"


@pytest.fixture
def all_events(make_hook: MakeHook) -> Webhook:
    return make_hook(URL)


def _told(*, since: int = 0) -> list[str]:
    return list(WebhookCall.objects.filter(pk__gt=since).order_by("pk").values_list("event", flat=True))


def _last(event: str) -> dict[str, Any]:
    data: dict[str, Any] = plain_body(WebhookCall.objects.filter(event=event).latest("pk"))["data"]
    return data


def test_a_new_ticket_is_told_of_as_it_stands_in_the_database_and_not_when_that_is_undone(
    all_events: Webhook, make_ticket: MakeTicket
) -> None:
    with transaction.atomic():
        make_ticket("This one is undone")
        transaction.set_rollback(True)
    assert _told() == []
    ticket = make_ticket()
    assert _told() == ["ticket.created"]
    call = WebhookCall.objects.get()
    assert (call.ticket, call.state) == (ticket, "queued")
    assert plain_body(call)["data"]["ticket"]["title"] == "Export fails"


def test_spam_is_told_of_once_it_is_let_in(all_events: Webhook, make_ticket: MakeTicket, lead: User) -> None:
    blocking.block(what="kim@example.com", by=lead)
    ticket = make_ticket()
    call = WebhookCall.objects.get()
    assert ticket.spam and (call.event, call.state) == ("ticket.created", "held")
    with pytest.raises(Conflict) as refused:
        redeliver(call=call, by=lead)
    hour = timedelta(hours=1)
    again = replay(webhook=all_events, since=timezone.now() - hour, until=timezone.now(), states=["held"], by=lead)
    assert refused.value.code == "spam" and again == 0
    spamming.unmark(ticket=ticket, by=lead)
    call.refresh_from_db()
    assert (call.state, call.error) == ("queued", "")


def test_what_waits_is_not_told_of_a_ticket_that_a_person_calls_spam(
    all_events: Webhook, make_hook: MakeHook, make_ticket: MakeTicket, lead: User
) -> None:
    off = make_hook(f"{URL}off")
    ticket, other = make_ticket(), make_ticket("Refund")
    spamming.mark(ticket=ticket, by=lead)
    assert set(WebhookCall.objects.filter(ticket=ticket).values_list("state", flat=True)) == {"held"}
    assert set(WebhookCall.objects.filter(ticket=other).values_list("state", flat=True)) == {"queued"}
    switch(webhook=off, on=False, by=lead)
    spamming.unmark(ticket=ticket, by=lead)
    assert "held" not in all_events.calls.values_list("state", flat=True)
    assert set(off.calls.values_list("state", "error")) == {("held", "")}


def test_a_change_past_the_application_is_told_too(all_events: Webhook, reviewed: Ticket) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets_ticket SET priority = 'P2', tier = 2 WHERE number = %s", [reviewed.pk])
    data = _last("ticket.updated")
    assert (data["changed"], data["actor"]) == (["priority", "tier"], "database")
    assert data["ticket"]["priority"] == "P2"


def test_who_did_it_and_its_correlation_id_are_told(all_events: Webhook, reviewed: Ticket, agent: User) -> None:
    with acting(f"user:{agent.pk}", correlation_id="correlated-1"):
        review.correct(ticket=reviewed, changes={"priority": "P1"}, by=agent)
    call = WebhookCall.objects.filter(event="ticket.updated").latest("pk")
    assert (call.about["actor"], call.correlation_id) == (f"user:{agent.pk}", "correlated-1")


def test_escalated_resolved_and_reopened_are_told_once_each(all_events: Webhook, reviewed: Ticket, agent: User) -> None:
    seen = WebhookCall.objects.latest("pk").pk
    status.change(ticket=reviewed, status=Status.ESCALATED, by=agent)
    status.change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    status.change(ticket=reviewed, status=Status.CLOSED, by=agent)
    status.change(ticket=reviewed, status=Status.IN_REVIEW, by=agent)
    told = [event for event in _told(since=seen) if event != "ticket.updated"]
    assert told == ["ticket.escalated", "ticket.resolved", "ticket.reopened"]


def test_a_merged_ticket_is_not_told_of_as_resolved(
    all_events: Webhook, reviewed: Ticket, make_ticket: MakeTicket, agent: User
) -> None:
    from tickets.actions import merging

    other = make_ticket("The same again")
    Ticket.objects.filter(pk=other.pk).update(team=Team.objects.get(key="software"), triage_state="triaged")
    merging.merge(ticket=Ticket.objects.get(pk=other.pk), into=reviewed, by=agent)
    assert "ticket.resolved" not in _told()
    assert _last("ticket.updated")["ticket"]["merged_into"] == reviewed.pk


def test_a_comment_is_told_without_its_words(all_events: Webhook, reviewed: Ticket, agent: User) -> None:
    conversation.comment(ticket=reviewed, text="Between us: a bad one.", by=agent)
    data = _last("comment.created")
    assert data["comment"]["author"] == agent.label
    assert "Between us" not in json.dumps(data)


def test_a_reply_is_told_when_it_left(all_events: Webhook, reviewed: Ticket, agent: User) -> None:
    last = reviewed.messages.get()
    text = "Thank you for the report."
    replies.approve(ticket=reviewed, text=text, version=reviewed.draft.version, answers=last.pk, by=agent)
    assert "ticket.replied" not in _told()
    Delivery.objects.update(not_before=timezone.now())
    for claimed in deliveries.claim(1):
        deliveries.deliver(claimed)
    assert Delivery.objects.get().state == "sent"
    data = _last("ticket.replied")
    assert (data["reply"]["author"], data["reply"]["channel"]) == (agent.label, "email")


@pytest.mark.django_db(transaction=True)
def test_what_the_machine_read_is_told_and_that_somebody_asked_for_a_person_once(
    all_events: Webhook, make_ticket: MakeTicket
) -> None:
    ticket = make_ticket("Help", "I want to speak to a human about my invoice, please.")
    drain("interactive")
    asyncio.run(sync_to_async(connections.close_all)())
    assert _told().count("ticket.triaged") == 1
    assert _told().count("handoff.initiated") == 1
    data = _last("handoff.initiated")
    assert "asked for a person" in data["ticket"]["escalation_reason"]
    Ticket.objects.get(pk=ticket.pk).submit()
    again = Suggestion.objects.get(ticket=ticket)
    again.pk = None
    again.save(force_insert=True)
    assert (_told().count("ticket.triaged"), _told().count("handoff.initiated")) == (2, 1)


def test_a_promised_time_is_told_when_it_is_near_and_when_it_passed(all_events: Webhook, reviewed: Ticket) -> None:
    now = timezone.now()
    for kind in ("warning", "breach"):
        SlaEvent.objects.create(
            ticket=reviewed, target="first_response", kind=kind, began_at=now, minutes=60, due_at=now
        )
    assert _told()[-2:] == ["sla.warning", "sla.breached"]
    assert _last("sla.breached")["promise"]["target"] == "first_response"


def test_a_step_of_the_budget_is_told_whatever_teams_a_webhook_names(make_hook: MakeHook, taxonomy: None) -> None:
    make_hook(URL, teams=[Team.objects.get(key="billing").pk])
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": Decimal(10)})
    Spending.add(Decimal("8.10"), at=timezone.now())
    Spending.warn(Budget.state())
    Spending.warn(Budget.state())
    assert _told() == ["budget.warning"]
    call = WebhookCall.objects.get()
    assert plain_body(call)["data"]["budget"] | {"month": ""} == {
        "month": "", "step_percent": 80, "spent_usd": 8.1, "limit_usd": 10.0,
    }  # fmt: skip


def test_each_is_told_of_what_it_subscribes_to_of_its_teams_and_sources(
    make_hook: MakeHook, reviewed: Ticket, form: Source
) -> None:
    software, billing = Team.objects.get(key="software"), Team.objects.get(key="billing")
    elsewhere = Source.objects.create(name="Elsewhere", kind="api")
    fits = [
        make_hook(URL, "ticket.resolved", name="all"),
        make_hook(URL, "ticket.resolved", name="team", teams=[software.pk, billing.pk]),
        make_hook(URL, "ticket.resolved", name="source", sources=[form.pk]),
    ]
    make_hook(URL, "ticket.created", name="another event")
    make_hook(URL, "ticket.resolved", name="another team", teams=[billing.pk])
    make_hook(URL, "ticket.resolved", name="another source", sources=[elsewhere.pk])
    reviewed.set_status(Status.RESOLVED)
    reviewed.save()
    calls = WebhookCall.objects.order_by("webhook")
    assert sorted(call.webhook.name for call in calls) == sorted(hook.name for hook in fits)
    assert len({call.uuid for call in calls}) == 1, "one event, by whomever it is told"


def test_what_is_imported_is_no_news_until_its_customer_writes_or_a_person_acts(
    all_events: Webhook, make_ticket: MakeTicket, agent: User
) -> None:
    from tickets.actions import importing  # noqa: F401  the lane that an import gives

    with acting("machine:import"):
        ticket = make_ticket()
    WebhookCall.objects.all().delete()
    Ticket.objects.filter(pk=ticket.pk).update(lane=Lane.IMPORTED)
    Message.objects.update(created_at=timezone.now() - timedelta(days=3))
    with acting("machine:local"):
        Ticket.objects.filter(pk=ticket.pk).update(priority="P1")
    assert _told() == []
    with acting(f"user:{agent.pk}"):
        Ticket.objects.filter(pk=ticket.pk).update(priority="P2")
    assert _told() == ["ticket.updated"]


@pytest.mark.parametrize("form_of", ["slack", "teams"])
def test_chats_are_told_in_their_own_form_and_no_subject_can_call_a_channel(
    lead: User, make_ticket: MakeTicket, form_of: str
) -> None:
    from tickets.webhooks.bodies import body_of

    keep(name="Chat", url=URL, by=lead, subscription=Subscription(["ticket.created"], format=form_of))
    ticket = make_ticket("<!channel> pay *now* [here](https://evil.example)")
    said = json.loads(body_of(WebhookCall.objects.select_related("webhook").get()))
    address = f"/tickets/{ticket.number}/"
    if form_of == "slack":
        assert set(said) == {"text"}
        assert "&lt;!channel&gt;" in said["text"]
        assert "<!channel>" not in said["text"]
        assert address in said["text"]
    else:
        card = said["attachments"][0]["content"]
        kinds = {part["type"] for block in card["body"] for part in block["inlines"]}
        assert kinds == {"TextRun"}, "which knows no Markdown"
        assert card["actions"][0]["url"].endswith(address)
        assert "<!channel>" in card["body"][0]["inlines"][1]["text"]
