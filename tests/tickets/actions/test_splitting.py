from __future__ import annotations

import pytest

from tests.tickets.actions.test_merging import _at_once
from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import conversation, intake, merging, replies, splitting
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Draft, Message, Split, Ticket
from triage.models import User


@pytest.fixture
def double(reviewed: Ticket, agent: User) -> list[Message]:
    """A ticket about two things: the first message, a second one of another customer, and a comment."""
    other = intake.requester_of("ola@example.net", "Ola")
    intake.add_customer_message(ticket=reviewed, text="And my **bill** is wrong.", requester=other, external_id="m2")
    conversation.comment(ticket=reviewed, text="Two things here", by=agent)
    Ticket.objects.update(triage_state="triaged")
    Draft.objects.update(stale=False)
    return list(reviewed.messages.order_by("pk"))


def test_chosen_messages_become_a_ticket_that_the_machine_reads(
    agent: User, reviewed: Ticket, double: list[Message]
) -> None:
    _, bill, comment = double
    made = splitting.split(ticket=reviewed, messages=[bill.pk, comment.pk], by=agent, subject=" The bill ").new
    made.refresh_from_db()
    reviewed.refresh_from_db()
    assert made.requester is not None and made.requester.email == "ola@example.net"
    assert (made.subject, made.excerpt, made.created_at) == ("The bill", "And my bill is wrong.", bill.created_at)
    assert (made.source, made.status, made.triage_state) == (reviewed.source, "new", "submitted")
    assert list(made.messages.values_list("pk", "origin")) == [
        (bill.pk, reviewed.pk),
        (comment.pk, reviewed.pk),
    ]
    assert [message.text for message in reviewed.messages.all()] == ["The CSV export stops half way."]
    assert reviewed.triage_state == "submitted"
    assert not Draft.objects.get(ticket=reviewed).stale  # it answers the message that stayed


def test_a_split_of_nothing_or_of_all_is_refused(agent: User, reviewed: Ticket, double: list[Message]) -> None:
    first, bill, comment = double
    for chosen, why in (([], "nothing_moves"), ([comment.pk], "nothing_moves"), ([first.pk, bill.pk], "nothing_stays")):
        with pytest.raises(Invalid) as refused:
            splitting.split(ticket=reviewed, messages=chosen, by=agent)
        assert refused.value.code == why
    assert Ticket.objects.count() == 1


def test_replies_stay_where_they_were_sent(agent: User, reviewed: Ticket, double: list[Message]) -> None:
    replies.approve(ticket=reviewed, text="Done.", version=1, answers=last_seen(reviewed), by=agent)
    reply = reviewed.messages.get(kind="outbound")
    with pytest.raises(Invalid, match="where they were sent"):
        splitting.split(ticket=reviewed, messages=[double[1].pk, reply.pk], by=agent)


def test_messages_of_another_ticket_are_not_moved(
    agent: User, reviewed: Ticket, double: list[Message], make_ticket: MakeTicket
) -> None:
    other = make_ticket(title="Another").messages.get()
    with pytest.raises(Conflict, match="not on this ticket"):
        splitting.split(ticket=reviewed, messages=[double[1].pk, other.pk], by=agent)


def test_undoing_a_split_puts_everything_back(agent: User, lead: User, reviewed: Ticket, double: list[Message]) -> None:
    before = list(reviewed.messages.values_list("pk", "text", "origin"))
    done = splitting.split(ticket=reviewed, messages=[double[1].pk], by=agent)
    splitting.unsplit(split=done, by=lead)
    assert list(reviewed.messages.values_list("pk", "text", "origin")) == before
    done.new.refresh_from_db()
    assert (done.new.status, done.new.merged_into) == ("closed", reviewed)
    with pytest.raises(Conflict, match="undone already"):
        splitting.unsplit(split=done, by=agent)
    with pytest.raises(Conflict, match="no messages of its own"):
        merging.unmerge(ticket=done.new, by=agent)


def test_a_split_that_something_came_of_is_not_undone_and_says_why(
    agent: User, reviewed: Ticket, double: list[Message], make_ticket: MakeTicket
) -> None:
    done = splitting.split(ticket=reviewed, messages=[double[1].pk], by=agent)
    merging.merge(ticket=make_ticket(title="Third"), into=done.new, by=agent)
    with pytest.raises(Conflict, match="Another ticket was merged"):
        splitting.unsplit(split=done, by=agent)
    conversation.comment(ticket=done.new, text="On it", by=agent)
    with pytest.raises(Conflict, match="Something was written"):
        splitting.unsplit(split=done, by=agent)
    assert done.new.messages.filter(kind="inbound").count() == 1


def test_a_message_that_comes_again_after_it_was_split_off_is_known(
    agent: User, reviewed: Ticket, double: list[Message]
) -> None:
    splitting.split(ticket=reviewed, messages=[double[1].pk], by=agent)
    again = intake.add_customer_message(ticket=reviewed, text="And my **bill** is wrong.", external_id="m2")
    assert again.pk == double[1].pk
    assert reviewed.messages.filter(kind="inbound").count() == 1


def test_a_merged_ticket_is_not_split_and_an_auditor_splits_nothing(
    agent: User, auditor: User, reviewed: Ticket, double: list[Message], make_ticket: MakeTicket
) -> None:
    with pytest.raises(Forbidden):
        splitting.split(ticket=reviewed, messages=[double[1].pk], by=auditor)
    merging.merge(ticket=reviewed, into=make_ticket(title="Root"), by=agent)
    with pytest.raises(Conflict, match="is merged into"):
        splitting.split(ticket=reviewed, messages=[double[1].pk], by=agent)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_split_off_the_same_message_at_once_one_wins(
    agent: User, lead: User, reviewed: Ticket, double: list[Message]
) -> None:
    chosen = [double[1].pk]
    refused = _at_once(
        lambda: splitting.split(ticket=reviewed, messages=chosen, by=agent),
        lambda: splitting.split(ticket=reviewed, messages=chosen, by=lead),
    )
    assert refused == ["", "moved"]
    assert Split.objects.count() == 1 and Ticket.objects.count() == 2
