from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tickets.actions import conversation
from tickets.models import Message, Ticket
from triage.models import User

HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def _names(desk: Client, ticket: Ticket, typed: str) -> list[str]:
    found: Any = desk.get(f"/tickets/{ticket.number}/colleagues/", {"q": typed}).json()
    return [one["name"] for one in found["items"]]


def test_it_offers_colleagues_who_may_see_the_ticket_and_teams(
    desk: Client, colleague: User, lead: User, auditor: User, reviewed: Ticket
) -> None:
    assert _names(desk, reviewed, "") == ["lea", "otto", "billing", "software"]
    assert _names(desk, reviewed, "OT") == ["otto"]
    assert _names(desk, reviewed, "soft") == ["software"]
    assert _names(desk, reviewed, "bru") == []


def test_colleagues_are_not_told_to_who_may_not_see_the_ticket(
    client: Client, colleague: User, reviewed: Ticket
) -> None:
    client.force_login(colleague)
    assert client.get(f"/tickets/{reviewed.number}/colleagues/").status_code == 404


def test_mentions_are_marked_and_stay_plain_where_nobody_is_meant(desk: Client, lead: User, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/comments/", {"text": "@lea and @nobody, `@lea` **@LEA** <b>@lea</b>"})
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert '<span class="mention" title="@lea">@Lea</span> and @nobody, <code>@lea</code>' in shown
    assert '<strong><span class="mention" title="@LEA">@Lea</span></strong>' in shown
    assert '&lt;b&gt;<span class="mention" title="@lea">@Lea</span>&lt;/b&gt;' in shown


def test_a_customers_at_sign_marks_nobody(desk: Client, lead: User, reviewed: Ticket) -> None:
    Message.objects.filter(ticket=reviewed).update(text="I spoke to @lea")
    assert 'class="mention"' not in desk.get(reviewed.get_absolute_url()).content.decode()


def test_ones_own_fresh_comment_can_be_edited_in_place(desk: Client, agent: User, reviewed: Ticket) -> None:
    comment = conversation.comment(ticket=reviewed, text="Frist", by=agent)
    assert f'id="edit-{comment.pk}"' in desk.get(reviewed.get_absolute_url()).content.decode()
    answer = desk.post(f"/tickets/{reviewed.number}/comments/{comment.pk}/", {"text": "First"}, headers=HTMX)
    shown = answer.content.decode()
    assert "Edited" in shown and "Frist" in shown and ">First</textarea>" in shown


def test_the_comment_of_another_has_no_editor(desk: Client, lead: User, reviewed: Ticket) -> None:
    comment = conversation.comment(ticket=reviewed, text="Mine", by=lead)
    assert f'id="edit-{comment.pk}"' not in desk.get(reviewed.get_absolute_url()).content.decode()
    answer = desk.post(f"/tickets/{reviewed.number}/comments/{comment.pk}/", {"text": "Yours"})
    assert answer.status_code == 403
    comment.refresh_from_db()
    assert comment.text == "Mine"


def test_a_comment_is_found_on_its_own_ticket_only(
    desk: Client, agent: User, reviewed: Ticket, make_ticket: Any
) -> None:
    other = make_ticket(title="Another")
    comment = conversation.comment(ticket=other, text="Elsewhere", by=agent)
    assert desk.post(f"/tickets/{reviewed.number}/comments/{comment.pk}/", {"text": "Here"}).status_code == 404
