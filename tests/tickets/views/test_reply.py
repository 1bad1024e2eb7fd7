"""What helps to write a reply: the difference to what was suggested, and answers given before."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions.drafts import last_inbound
from tickets.actions.replies import approve
from tickets.models import Draft, Team, Ticket
from triage.models import User


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def test_the_difference_marks_what_was_added_and_taken_out(desk: Client, reviewed: Ticket) -> None:
    answer = desk.post(f"/tickets/{reviewed.number}/draft/changes/", {"text": "Thank you for your <b> report."})
    page = answer.content.decode()
    assert "<del>the</del>" in page and "<ins>your &lt;b&gt;</ins>" in page
    assert Draft.objects.get(ticket=reviewed).text == "Thank you for the report.", "looking keeps nothing"
    same = desk.post(f"/tickets/{reviewed.number}/draft/changes/", {"text": "Thank you for the report."})
    assert "word for word" in same.content.decode()


def test_the_difference_of_another_teams_ticket_is_not_there(client: Client, colleague: User, reviewed: Ticket) -> None:
    client.force_login(colleague)
    assert client.post(f"/tickets/{reviewed.number}/draft/changes/", {"text": ""}).status_code == 404


@pytest.fixture
def answered(make_ticket: MakeTicket, agent: User) -> Ticket:
    """A resolved ticket of the same text as `reviewed`, answered by name."""
    other = make_ticket(requester_name="Maria Lopez", requester_email="maria@example.com")
    other.team = Team.objects.get(key="software")
    other.triage_state = "triaged"
    other.save()
    text = "Dear Maria Lopez,\n\nSwitch the export to UTF-8. Write to maria@example.com for more."
    approve(ticket=other, text=text, version=0, answers=last_inbound(other), by=agent, accept_flags=True)
    return other


def test_an_answer_given_before_is_offered_without_the_other_customers_name(
    desk: Client, reviewed: Ticket, answered: Ticket
) -> None:
    page = desk.get(reviewed.get_absolute_url()).content.decode()
    offered = page.split(f'id="answer-{answered.number}"')[1].split("</span>")[0]
    assert "Switch the export to UTF-8." in offered
    assert "Maria" not in offered and "maria@example.com" not in offered


def test_without_scripts_it_is_put_after_the_text_of_the_draft(
    desk: Client, reviewed: Ticket, answered: Ticket
) -> None:
    form = {"text": "Hello Kim,", "version": "1", "insert": str(answered.number)}
    desk.post(f"/tickets/{reviewed.number}/draft/", form)
    text = Draft.objects.get(ticket=reviewed).text
    assert text.startswith("Hello Kim,\n\n") and "Switch the export to UTF-8." in text and "Lopez" not in text


def test_an_answer_of_a_ticket_one_may_not_see_is_neither_offered_nor_inserted(
    desk: Client, reviewed: Ticket, answered: Ticket
) -> None:
    Ticket.objects.filter(pk=answered.pk).update(team=Team.objects.get(key="billing"))
    assert "answer-" not in desk.get(reviewed.get_absolute_url()).content.decode()
    form = {"text": "Hello Kim,", "version": "1", "insert": str(answered.number)}
    answer = desk.post(f"/tickets/{reviewed.number}/draft/", form, HTTP_HX_REQUEST="true")
    assert answer.status_code == 422
    assert "UTF-8" not in Draft.objects.get(ticket=reviewed).text
