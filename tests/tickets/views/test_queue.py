from __future__ import annotations

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.models import Category, Status, Ticket
from triage.models import User


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def test_it_says_what_to_do_when_there_is_no_ticket_at_all(desk: Client) -> None:
    shown = desk.get("/tickets/").content.decode()
    assert "No tickets yet" in shown
    assert 'href="/support/"' in shown


def test_it_counts_every_tab(desk: Client, make_ticket: MakeTicket, reviewed: Ticket) -> None:
    make_ticket(title="Second")
    shown = desk.get("/tickets/").content.decode()
    assert 'id="count-all">2<' in shown
    assert 'id="count-new">1<' in shown
    assert 'id="count-in_review">1<' in shown
    assert 'id="count-resolved">0<' in shown


def test_a_tab_shows_its_tickets_only(desk: Client, make_ticket: MakeTicket, reviewed: Ticket) -> None:
    other = make_ticket(title="Second")
    shown = desk.get("/tickets/?status=in_review").content.decode()
    assert f'id="ticket-{reviewed.number}"' in shown
    assert f'id="ticket-{other.number}"' not in shown


def test_closed_tickets_stand_beside_the_resolved_ones(desk: Client, reviewed: Ticket) -> None:
    reviewed.set_status(Status.CLOSED)
    reviewed.save()
    assert f'id="ticket-{reviewed.number}"' in desk.get("/tickets/?status=resolved").content.decode()
    assert f'id="ticket-{reviewed.number}"' not in desk.get("/tickets/").content.decode()


def test_filters_stand_in_the_address(desk: Client, lead: User, make_ticket: MakeTicket) -> None:
    mine = make_ticket(title="Mine")
    mine.assignee, mine.category, mine.priority = lead, Category.objects.get(key="bug"), "P1"
    mine.save()
    make_ticket(title="Other")
    for query in ("assignee=me", f"assignee={lead.username}", "category=bug", "priority=P1", "q=mine"):
        shown = desk.get(f"/tickets/?{query}").content.decode()
        assert "Mine</a>" in shown, query
        assert "Other</a>" not in shown, query
    assert "Mine</a>" not in desk.get("/tickets/?assignee=nobody").content.decode()


@pytest.mark.parametrize(
    "query", ["before=x", "before=99999999999999999999", "status=nonsense", "priority=%00", "q=%00"]
)
def test_an_address_that_makes_no_sense_still_shows_the_queue(desk: Client, reviewed: Ticket, query: str) -> None:
    assert desk.get(f"/tickets/?{query}").status_code == 200


def test_a_search_finds_what_has_ended_too(desk: Client, reviewed: Ticket) -> None:
    reviewed.set_status(Status.RESOLVED)
    reviewed.save()
    assert f'id="ticket-{reviewed.number}"' in desk.get(f"/tickets/?q=%23{reviewed.number}").content.decode()


def test_older_tickets_are_paged_by_number(desk: Client, make_ticket: MakeTicket) -> None:
    tickets = [make_ticket(title=f"Ticket {number}") for number in range(52)]
    first = desk.get("/tickets/")
    assert len(first.context["rows"]) == 50
    older = desk.get(f"/tickets/{first.context['older']}")
    assert [row.number for row in older.context["rows"]] == [tickets[1].number, tickets[0].number]
    assert older.context["older"] == ""


def test_a_failed_ticket_says_why_and_can_be_run_again(desk: Client, make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    Ticket.objects.filter(pk=ticket.pk).update(triage_state="failed", error="TimeoutError while reading.")
    shown = desk.get("/tickets/").content.decode()
    assert "TimeoutError while reading." in shown
    answer = desk.post(
        f"/tickets/{ticket.number}/reading/", headers={"HX-Request": "true", "HX-Target": f"ticket-{ticket.number}"}
    )
    assert 'data-triage="submitted"' in answer.content.decode()
    ticket.refresh_from_db()
    assert ticket.triage_state == "submitted"


def test_text_of_a_customer_is_never_markup(desk: Client, make_ticket: MakeTicket) -> None:
    make_ticket(title="<script>alert(1)</script>", text='<img src=x onerror="alert(2)">')
    shown = desk.get("/tickets/").content.decode()
    assert "<script>alert(1)" not in shown
    assert "<img src=x" not in shown
    assert "&lt;script&gt;alert(1)" in shown


def test_changes_since_hold_what_is_new_and_what_changed(
    desk: Client, make_ticket: MakeTicket, reviewed: Ticket
) -> None:
    fresh = make_ticket(title="Fresh")
    answer = desk.get(f"/tickets/changes/?since=0&newest={reviewed.number}").json()
    assert [number for number, _ in answer["fresh"]] == [fresh.number]
    assert set(answer["rows"]) == {str(reviewed.number), str(fresh.number)}
    assert answer["counts"]["in_review"] == 1
    assert answer["open"] == 2


def test_changes_since_heed_the_filters(desk: Client, make_ticket: MakeTicket) -> None:
    make_ticket(title="Fresh")
    assert desk.get("/tickets/changes/?since=0&newest=0&priority=P1").json()["fresh"] == []


def test_changes_since_now_hold_only_the_last_seconds(desk: Client, reviewed: Ticket) -> None:
    answer = desk.get("/tickets/changes/?since=99999999999999").json()
    assert answer["rows"] == {}


def test_the_queue_takes_as_many_queries_for_fifty_rows_as_for_one(
    desk: Client, make_ticket: MakeTicket, django_assert_max_num_queries: object
) -> None:
    for number in range(12):
        make_ticket(title=f"Ticket {number}")
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        desk.get("/tickets/")
