"""Who may open what: nobody without a session, no outsider, and nobody a ticket of a team that is not theirs."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.tickets.conftest import MakeTicket
from tickets.models import Team, Ticket
from triage.models import User

PAGES = ("queue", "changes", "welcome")
OF_A_TICKET = ("detail", "pieces")
DECISIONS = ("review", "draft", "approval", "escalation", "comments", "status", "reading", "assignment")


@pytest.mark.parametrize("name", PAGES)
def test_it_sends_a_visitor_without_a_session_to_the_sign_in(client: Client, db: None, name: str) -> None:
    response = client.get(reverse(f"tickets:{name}"))
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("name", OF_A_TICKET)
def test_it_hides_a_ticket_from_a_visitor_without_a_session(client: Client, reviewed: Ticket, name: str) -> None:
    response = client.get(reverse(f"tickets:{name}", args=[reviewed.number]))
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("name", DECISIONS)
def test_it_takes_no_decision_without_a_session(client: Client, reviewed: Ticket, name: str) -> None:
    response = client.post(reverse(f"tickets:{name}", args=[reviewed.number]), {"text": "x", "reason": "x"})
    assert response.status_code == 302
    reviewed.refresh_from_db()
    assert reviewed.status == "in_review"


@pytest.mark.parametrize("name", OF_A_TICKET)
def test_a_colleague_of_another_team_finds_no_such_ticket(
    client: Client, colleague: User, reviewed: Ticket, name: str
) -> None:
    client.force_login(colleague)
    assert client.get(reverse(f"tickets:{name}", args=[reviewed.number])).status_code == 404


@pytest.mark.parametrize("name", DECISIONS)
def test_a_colleague_of_another_team_decides_nothing(
    client: Client, colleague: User, reviewed: Ticket, name: str
) -> None:
    client.force_login(colleague)
    answer = client.post(reverse(f"tickets:{name}", args=[reviewed.number]), {"text": "x", "reason": "x"})
    assert answer.status_code == 404


@pytest.mark.parametrize("name", (*OF_A_TICKET, *DECISIONS))
def test_an_account_without_a_place_at_the_desk_finds_no_ticket(
    client: Client, outsider: User, reviewed: Ticket, name: str
) -> None:
    client.force_login(outsider)
    address = reverse(f"tickets:{name}", args=[reviewed.number])
    answer = client.get(address) if name in OF_A_TICKET else client.post(address, {"text": "x"})
    assert answer.status_code == 404


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_is_never_taken_by_a_get(client: Client, lead: User, reviewed: Ticket, name: str) -> None:
    client.force_login(lead)
    assert client.get(reverse(f"tickets:{name}", args=[reviewed.number])).status_code == 405


def test_an_auditor_reads_and_changes_nothing(client: Client, auditor: User, reviewed: Ticket) -> None:
    client.force_login(auditor)
    page = client.get(reviewed.get_absolute_url())
    assert page.status_code == 200
    assert b'id="approve"' not in page.content
    assert b'id="comment-form"' not in page.content
    for name, values in (
        ("review", {"accept": "all"}),
        ("approval", {"text": "Hello", "version": "1"}),
        ("draft", {"text": "Hello", "version": "1"}),
        ("escalation", {"reason": "Because"}),
        ("comments", {"text": "Hello"}),
        ("status", {"status": "closed"}),
        ("reading", {}),
        ("assignment", {"assignee": "me"}),
    ):
        answer = client.post(reverse(f"tickets:{name}", args=[reviewed.number]), values)
        assert answer.status_code == 403, name
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.assignee, reviewed.triage_state) == ("in_review", None, "triaged")
    assert not reviewed.messages.filter(kind="comment").exists()


def test_the_queue_shows_a_team_its_own_and_what_nobody_has_yet(
    client: Client, agent: User, colleague: User, make_ticket: MakeTicket, reviewed: Ticket
) -> None:
    unrouted = make_ticket(title="Nobody has this yet")
    theirs = make_ticket(title="A bill")
    Ticket.objects.filter(pk=theirs.pk).update(team=Team.objects.get(key="billing"))
    client.force_login(agent)
    shown = client.get("/tickets/").content.decode()
    assert f'id="ticket-{reviewed.number}"' in shown
    assert f'id="ticket-{unrouted.number}"' in shown
    assert f'id="ticket-{theirs.number}"' not in shown


def test_an_htmx_request_without_a_session_moves_the_whole_page(client: Client, reviewed: Ticket) -> None:
    answer = client.get(reverse("tickets:pieces", args=[reviewed.number]), headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer["HX-Redirect"].startswith("/sign-in/")
