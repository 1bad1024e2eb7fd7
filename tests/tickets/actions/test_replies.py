from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from tests.tickets.conftest import last_seen
from tickets.actions import drafts, intake, replies, status
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Delivery, Draft, Message, Requester, Review, Status, Ticket
from triage.models import User


def test_an_approved_reply_is_queued_with_its_review_and_resolves_the_ticket(reviewed: Ticket, agent: User) -> None:
    delivery = replies.approve(ticket=reviewed, text="All fixed.", version=1, answers=last_seen(reviewed), by=agent)
    reviewed.refresh_from_db()
    assert (delivery.state, delivery.channel, delivery.recipient) == ("queued", "email", "kim@example.com")
    assert (delivery.review.by, delivery.review.text, delivery.message.text) == (agent, "All fixed.", "All fixed.")
    assert reviewed.status == Status.RESOLVED and reviewed.first_replied_at is not None
    assert not Draft.objects.exists()


def test_send_and_keep_open_waits_for_the_customer(reviewed: Ticket, agent: User) -> None:
    replies.approve(
        ticket=reviewed, text="Which version?", version=1, answers=last_seen(reviewed), by=agent, keep_open=True
    )
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.resolved_at) == (Status.WAITING, None)


def test_the_second_of_two_approvers_is_told_who_sent(reviewed: Ticket, agent: User, lead: User) -> None:
    seen = last_seen(reviewed)
    replies.approve(ticket=reviewed, text="First.", version=1, answers=seen, by=agent)
    with pytest.raises(Conflict, match="Ada sent a reply") as refused:
        replies.approve(ticket=reviewed, text="Second.", version=1, answers=seen, by=lead)
    assert refused.value.code == "already_sent"
    assert Delivery.objects.count() == 1


def test_who_has_seen_the_first_reply_may_send_a_second(reviewed: Ticket, agent: User, lead: User) -> None:
    seen = last_seen(reviewed)
    first = replies.approve(ticket=reviewed, text="One.", version=1, answers=seen, by=agent, replied=0, keep_open=True)
    shown = first.message_id
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text="Mine.", version=0, answers=seen, by=lead, replied=0, keep_open=True)
    assert refused.value.code == "already_sent"
    replies.approve(ticket=reviewed, text="Two.", version=0, answers=seen, by=agent, replied=shown, keep_open=True)
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text="Two.", version=0, answers=seen, by=lead, replied=shown)
    assert refused.value.code == "already_sent"
    assert Delivery.objects.count() == 2


def test_a_new_draft_hides_no_reply_that_the_person_has_not_seen(reviewed: Ticket, agent: User, lead: User) -> None:
    seen = last_seen(reviewed)
    replies.approve(ticket=reviewed, text="One.", version=1, answers=seen, by=lead, replied=0, keep_open=True)
    drafts.save(ticket=reviewed, text="Two.", version=0, by=lead)
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text="Mine.", version=1, answers=seen, by=agent, replied=0)
    assert refused.value.code == "already_sent"
    assert Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_people_approving_at_the_same_moment_send_one_reply(reviewed: Ticket, agent: User, lead: User) -> None:
    seen, refused = last_seen(reviewed), []
    barrier = threading.Barrier(2)

    def approve(user: User) -> None:
        barrier.wait()
        try:
            replies.approve(ticket=reviewed, text=f"By {user.username}.", version=1, answers=seen, by=user)
        except Conflict as error:
            refused.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=approve, args=(user,)) for user in (agent, lead)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["already_sent"]
    assert Delivery.objects.count() == Message.objects.filter(kind="outbound").count() == 1


def test_a_reply_is_not_sent_when_the_customer_wrote_meanwhile(reviewed: Ticket, agent: User) -> None:
    seen = last_seen(reviewed)
    intake.add_customer_message(ticket=reviewed, text="Wait, it is worse.")
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text="All fixed.", version=1, answers=seen, by=agent)
    assert refused.value.code == "stale"
    assert not Delivery.objects.exists() and Draft.objects.get().stale


def test_a_reply_over_a_changed_draft_is_refused(reviewed: Ticket, agent: User, lead: User) -> None:
    drafts.save(ticket=reviewed, text="Better words.", version=1, by=lead)
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text="Old words.", version=1, answers=last_seen(reviewed), by=agent)
    assert refused.value.code == "draft_changed" and "Lea" in refused.value.sentence


def test_nothing_is_sent_from_a_ticket_that_somebody_closed(reviewed: Ticket, agent: User, lead: User) -> None:
    status.change(ticket=reviewed, status=Status.CLOSED, by=lead)
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text="All fixed.", version=1, answers=last_seen(reviewed), by=agent)
    assert refused.value.code == "ended" and not Delivery.objects.exists()


def test_an_empty_reply_is_refused(reviewed: Ticket, agent: User) -> None:
    with pytest.raises(Invalid) as refused:
        replies.approve(ticket=reviewed, text=" \n", version=1, answers=last_seen(reviewed), by=agent)
    assert refused.value.field == "text"


def test_an_auditor_can_not_approve(reviewed: Ticket, auditor: User) -> None:
    with pytest.raises(Forbidden):
        replies.approve(ticket=reviewed, text="Hello.", version=1, answers=last_seen(reviewed), by=auditor)


def test_a_ticket_without_an_address_says_so(reviewed: Ticket, agent: User) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(requester=None)
    with pytest.raises(Invalid) as refused:
        replies.approve(ticket=reviewed, text="Hello.", version=1, answers=last_seen(reviewed), by=agent)
    assert refused.value.code == "no_recipient"


def test_an_address_that_nobody_reads_is_none(reviewed: Ticket, agent: User, client: Client) -> None:
    Requester.objects.update(email="5+kim@users.noreply.github.com")
    with pytest.raises(Invalid) as refused:
        replies.approve(ticket=reviewed, text="Hello.", version=1, answers=last_seen(reviewed), by=agent)
    assert refused.value.code == "no_recipient" and "5+kim@users.noreply.github.com" in refused.value.sentence
    client.force_login(agent)
    page = client.get(reviewed.get_absolute_url()).content.decode()
    assert "Nobody reads what is sent to 5+kim@users.noreply.github.com." in page


def test_the_database_itself_refuses_a_delivery_without_a_named_approval(reviewed: Ticket) -> None:
    message = Message.objects.create(ticket=reviewed, kind="outbound", text="x", created_at=reviewed.created_at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.bulk_create([Delivery(ticket=reviewed, message=message, channel="email", recipient="a@b.c")])
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.create(ticket=reviewed, decision="approved", text="x", by=None)


def test_an_edited_draft_is_kept_with_its_editor(reviewed: Ticket, agent: User) -> None:
    draft = drafts.save(ticket=reviewed, text="My own words.", version=1, by=agent)
    assert (draft.text, draft.editor, draft.version) == ("My own words.", agent, 2)


def test_a_draft_edited_in_sight_of_the_new_message_is_stale_no_more(reviewed: Ticket, agent: User) -> None:
    seen = last_seen(reviewed)
    intake.add_customer_message(ticket=reviewed, text="Wait, it is worse.")
    assert drafts.save(ticket=reviewed, text="Mine.", version=1, by=agent, answers=seen).stale
    draft = drafts.save(ticket=reviewed, text="Mine, again.", version=2, by=agent, answers=last_seen(reviewed))
    draft.refresh_from_db()
    assert (draft.stale, draft.answers_id) == (False, last_seen(reviewed))


def test_a_draft_saved_over_a_newer_one_is_refused(reviewed: Ticket, agent: User, lead: User) -> None:
    drafts.save(ticket=reviewed, text="One.", version=1, by=agent)
    with pytest.raises(Conflict):
        drafts.save(ticket=reviewed, text="Two.", version=1, by=lead)
    assert Draft.objects.get().text == "One."


def test_the_machines_words_come_back(reviewed: Ticket, agent: User) -> None:
    drafts.save(ticket=reviewed, text="My own words.", version=1, by=agent)
    draft = drafts.restore(ticket=reviewed, by=agent)
    assert (draft.text, draft.editor, draft.version) == ("Thank you for the report.", None, 3)
