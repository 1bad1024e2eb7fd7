from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import last_seen
from tickets.actions import conversation, deliveries, replies
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.context import inquiry_of
from tickets.models import Agent, CommentVersion, Message, Notification, Team, Ticket
from triage.models import User


def _told() -> set[str]:
    return set(Notification.objects.filter(kind="mention").values_list("user__username", flat=True))


def test_a_comment_tells_whom_it_names_but_not_its_author_nor_who_may_not_see_it(
    agent: User, colleague: User, lead: User, auditor: User, reviewed: Ticket
) -> None:
    conversation.comment(ticket=reviewed, text="@Lea, @bruno, @ada and (@otto.) please look", by=agent)
    assert _told() == {"lea", "otto"}
    told = Notification.objects.get(user=lead)
    assert (told.by, told.text) == (agent, "@Lea, @bruno, @ada and (@otto.) please look")


def test_a_team_is_called_as_a_whole(agent: User, lead: User, reviewed: Ticket) -> None:
    mate = User.objects.create_user("mia", "mia@example.org")
    Agent.objects.create(user=mate).teams.set(Team.objects.filter(key="software"))
    conversation.comment(ticket=reviewed, text="Does @software know this?", by=agent)
    assert _told() == {"mia"}


@pytest.mark.parametrize(
    "text",
    ["Write to kim@lea", "`@lea` is a name", "```\n@lea\n```", "see https://example.org/@lea", "@leander", "@ lea"],
)
def test_an_address_code_or_another_name_calls_nobody(agent: User, lead: User, reviewed: Ticket, text: str) -> None:
    conversation.comment(ticket=reviewed, text=text, by=agent)
    assert _told() == set()


def test_a_user_name_may_be_an_address(agent: User, reviewed: Ticket) -> None:
    other = User.objects.create_user("li@example.org", "li@example.org")
    Agent.objects.create(user=other)
    conversation.comment(ticket=reviewed, text="Over to @li@example.org.", by=agent)
    assert _told() == {"li@example.org"}


def test_a_fresh_comment_is_corrected_and_keeps_what_it_said(agent: User, lead: User, reviewed: Ticket) -> None:
    comment = conversation.comment(ticket=reviewed, text="Frist", by=agent)
    conversation.edit(message=comment, text="First, @lea", by=agent)
    conversation.edit(message=comment, text="First, dear @lea", by=agent)
    comment.refresh_from_db()
    assert comment.text == "First, dear @lea" and comment.edited_at is not None
    assert list(CommentVersion.objects.values_list("text", flat=True)) == ["Frist", "First, @lea"]
    assert Notification.objects.get().times == 1


def test_the_same_text_is_no_edit(agent: User, reviewed: Ticket) -> None:
    comment = conversation.comment(ticket=reviewed, text="First", by=agent)
    assert conversation.edit(message=comment, text=" First ", by=agent).edited_at is None
    assert not CommentVersion.objects.exists()


def test_an_old_comment_stays_as_it_is(agent: User, reviewed: Ticket) -> None:
    comment = conversation.comment(ticket=reviewed, text="First", by=agent)
    Message.objects.filter(pk=comment.pk).update(created_at=timezone.now() - timedelta(minutes=15))
    with pytest.raises(Conflict, match="15 minutes"):
        conversation.edit(message=comment, text="Second", by=agent)


def test_nobody_edits_the_words_of_others_or_of_a_customer(
    agent: User, lead: User, auditor: User, reviewed: Ticket
) -> None:
    comment = conversation.comment(ticket=reviewed, text="First", by=agent)
    for person in (lead, auditor):
        with pytest.raises(Forbidden):
            conversation.edit(message=comment, text="Second", by=person)
    with pytest.raises(Invalid):
        conversation.edit(message=reviewed.messages.get(kind="inbound"), text="Second", by=agent)


def test_a_comment_never_reaches_the_customer_nor_the_machine(client: Client, agent: User, reviewed: Ticket) -> None:
    conversation.comment(ticket=reviewed, text="Kestrel is the password", by=agent)
    replies.approve(ticket=reviewed, text="Thank you.", version=1, answers=last_seen(reviewed), by=agent)
    for claimed in deliveries.claim(5):
        deliveries.deliver(claimed)
    sent = mail.outbox[0]
    assert "Thank you." in sent.body
    assert "Kestrel" not in sent.message().as_string()
    assert "Kestrel" not in client.get(reviewed.get_status_url()).content.decode()
    assert "Kestrel" not in repr(inquiry_of(reviewed, list(reviewed.messages.all())))


def test_the_comment_of_somebody_who_was_removed_stays_and_is_not_the_customers(
    lead: User, agent: User, reviewed: Ticket
) -> None:
    comment = conversation.comment(ticket=reviewed, text="@lea, over to you", by=agent)
    agent.delete()
    comment.refresh_from_db()
    assert (comment.author_label, comment.text) == ("A former colleague", "@lea, over to you")
    assert Notification.objects.get(user=lead).said == "Somebody mentions you"
