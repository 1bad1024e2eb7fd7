"""A reply that was approved by mistake: taken back before it leaves, and never after."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.actions import deliveries, drafts, merging, replies, review, snoozing
from tickets.actions.drafts import last_inbound
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.intake import add_customer_message
from tickets.models import Delivery, Draft, Message, Review, Status, Ticket
from triage.models import User


def approve(
    ticket: Ticket, by: User, *, seconds: int = 10, keep_open: bool = False, snooze_until: datetime | None = None
) -> Delivery:
    draft = Draft.objects.filter(ticket=ticket).first()
    return replies.approve(
        ticket=ticket,
        text="We are on it.",
        version=draft.version if draft else 0,
        answers=last_inbound(ticket),
        by=by,
        keep_open=keep_open,
        snooze_until=snooze_until,
        undo_seconds=seconds,
    )


def let_time_pass(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(not_before=timezone.now() - timedelta(seconds=1))


def test_nothing_leaves_before_the_seconds_have_passed(reviewed: Ticket, agent: User) -> None:
    delivery = approve(reviewed, agent)
    assert deliveries.claim(8) == []
    let_time_pass(delivery)
    assert [one.pk for one in deliveries.claim(8)] == [delivery.pk]


def test_taken_back_it_is_a_draft_again_and_the_ticket_as_it_was(reviewed: Ticket, agent: User) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(status=Status.ESCALATED)
    delivery = approve(reviewed, agent)
    draft = replies.take_back(delivery=delivery, by=agent)
    reviewed.refresh_from_db()
    assert (draft.text, draft.editor, draft.stale) == ("We are on it.", agent, False)
    assert (reviewed.status, reviewed.resolved_at, reviewed.first_replied_at) == (Status.ESCALATED, None, None)
    assert not Delivery.objects.exists() and not reviewed.messages.filter(kind=Message.Kind.OUTBOUND).exists()
    decisions = [str(decision) for decision in reviewed.reviews.order_by("pk").values_list("decision", flat=True)]
    assert decisions == ["approved", "withdrawn"], "both stay on record"


def test_after_a_first_reply_taking_back_the_second_keeps_the_first_answers_time(reviewed: Ticket, agent: User) -> None:
    let_time_pass(approve(reviewed, agent, keep_open=True))
    [claimed] = deliveries.claim(8)
    deliveries.deliver(claimed)
    first = Ticket.objects.get(pk=reviewed.pk).first_replied_at
    add_customer_message(ticket=reviewed, text="And now?")
    second = approve(reviewed, agent, keep_open=True)
    replies.take_back(delivery=second, by=agent)
    reviewed.refresh_from_db()
    assert first is not None and reviewed.first_replied_at == first
    assert reviewed.messages.filter(kind=Message.Kind.OUTBOUND).count() == 1


@pytest.mark.parametrize("begun", [False, True])
def test_what_has_left_or_is_leaving_stays(reviewed: Ticket, agent: User, begun: bool) -> None:
    delivery = approve(reviewed, agent)
    let_time_pass(delivery)
    if begun:
        deliveries.claim(8)
    with pytest.raises(Conflict, match="has left"):
        replies.take_back(delivery=delivery, by=agent)
    assert Delivery.objects.filter(pk=delivery.pk).exists()


def test_where_the_customer_wrote_meanwhile_the_draft_is_stale_and_the_ticket_open(
    reviewed: Ticket, agent: User
) -> None:
    delivery = approve(reviewed, agent)
    add_customer_message(ticket=reviewed, text="Please hurry.")
    draft = replies.take_back(delivery=delivery, by=agent)
    reviewed.refresh_from_db()
    assert draft.stale and draft.text == "We are on it." and reviewed.is_open


def test_an_auditor_stops_nothing(reviewed: Ticket, agent: User, auditor: User) -> None:
    delivery = approve(reviewed, agent)
    with pytest.raises(Forbidden):
        replies.take_back(delivery=delivery, by=auditor)
    assert Review.objects.filter(decision="withdrawn").count() == 0


def test_the_customer_sees_a_reply_only_when_it_can_not_be_taken_back_any_more(
    client: Client, reviewed: Ticket, agent: User
) -> None:
    delivery = approve(reviewed, agent, keep_open=True)
    page = reviewed.get_status_url()
    assert "We are on it." not in client.get(page).content.decode()
    let_time_pass(delivery)
    assert "We are on it." in client.get(page).content.decode()


def test_the_page_offers_it_and_says_what_became_of_it(client: Client, reviewed: Ticket, agent: User) -> None:
    client.force_login(agent)
    delivery = approve(reviewed, agent)
    assert 'id="undo-send"' in client.get(reviewed.get_absolute_url()).content.decode()
    address = f"{reviewed.get_absolute_url()}deliveries/{delivery.pk}/"
    answer = client.post(address, {"decision": "undo"}, HTTP_HX_REQUEST="true")
    assert "Nothing was sent." in answer.content.decode() and "We are on it." in answer.content.decode()
    assert client.post(address, {"decision": "undo"}, HTTP_HX_REQUEST="true").status_code == 409
    assert client.post(address, {"decision": "retry"}).status_code == 404


def test_on_the_page_an_approved_reply_waits_as_long_as_is_set(
    client: Client, reviewed: Ticket, agent: User, settings: object
) -> None:
    client.force_login(agent)
    form = {"text": "We are on it.", "version": "1", "answers": str(last_inbound(reviewed)), "replied": "0"}
    client.post(f"{reviewed.get_absolute_url()}approval/", form)
    delivery = Delivery.objects.get()
    assert 8 < (delivery.not_before - delivery.created_at).total_seconds() <= 10


# Sent and snoozed


def test_sent_and_snoozed_the_ticket_waits_out_of_sight_until_its_time(reviewed: Ticket, agent: User) -> None:
    until = timezone.now() + timedelta(days=1)
    delivery = approve(reviewed, agent, seconds=0, snooze_until=until)
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.snoozed_until, reviewed.is_snoozed) == (Status.WAITING, until, True)
    assert [one.pk for one in deliveries.claim(8)] == [delivery.pk]


def test_taken_back_it_is_not_snoozed_any_more(reviewed: Ticket, agent: User) -> None:
    delivery = approve(reviewed, agent, snooze_until=timezone.now() + timedelta(days=1))
    replies.take_back(delivery=delivery, by=agent)
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.snoozed_until) == (Status.IN_REVIEW, None)


def test_a_snooze_of_somebody_else_meanwhile_outlasts_taking_back(reviewed: Ticket, agent: User, lead: User) -> None:
    delivery = approve(reviewed, agent, snooze_until=timezone.now() + timedelta(days=1))
    later = timezone.now() + timedelta(days=3)
    snoozing.snooze(ticket=reviewed, until=later, by=lead)
    replies.take_back(delivery=delivery, by=agent)
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until == later


@pytest.mark.parametrize("ahead", [timedelta(minutes=-1), timedelta(days=400)])
def test_nothing_is_sent_with_a_snooze_until_a_time_that_is_none(
    reviewed: Ticket, agent: User, ahead: timedelta
) -> None:
    with pytest.raises(Invalid):
        approve(reviewed, agent, snooze_until=timezone.now() + ahead)
    assert not Delivery.objects.exists()


# What others did in those seconds


def test_what_a_colleague_made_of_the_ticket_meanwhile_stays(reviewed: Ticket, agent: User, lead: User) -> None:
    delivery = approve(reviewed, agent, keep_open=True)
    review.escalate(ticket=reviewed, reason="Not so.", by=lead)
    replies.take_back(delivery=delivery, by=agent)
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.escalated) == (Status.ESCALATED, True)


def test_what_a_colleague_wrote_meanwhile_follows_the_reply(reviewed: Ticket, agent: User, lead: User) -> None:
    delivery = approve(reviewed, agent, keep_open=True)
    drafts.save(ticket=reviewed, text="One thing more.", version=0, by=lead)
    draft = replies.take_back(delivery=delivery, by=agent)
    assert draft.text == "We are on it.\n\nOne thing more."


def test_on_a_ticket_that_was_merged_meanwhile_it_is_stopped_all_the_same(
    reviewed: Ticket, agent: User, lead: User, make_ticket: MakeTicket
) -> None:
    delivery = approve(reviewed, agent)
    merging.merge(ticket=reviewed, into=make_ticket(title="The same"), by=lead)
    assert replies.take_back(delivery=delivery, by=agent).text == "We are on it."
    reviewed.refresh_from_db()
    assert reviewed.status == Status.CLOSED and not Delivery.objects.exists()


def test_what_was_put_off_before_is_so_again(reviewed: Ticket, agent: User) -> None:
    until = timezone.now() + timedelta(days=3)
    snoozing.snooze(ticket=reviewed, until=until, by=agent)
    delivery = approve(reviewed, agent, snooze_until=timezone.now() + timedelta(days=1))
    replies.take_back(delivery=delivery, by=agent)
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until == until
