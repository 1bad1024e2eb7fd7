from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.actions import snoozing
from tickets.models import Category, Status, Team, Ticket
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
    assert 'id="count-tab-all">2<' in shown
    assert 'id="count-tab-new">1<' in shown
    assert 'id="count-tab-in_review">1<' in shown
    assert 'id="count-tab-resolved">0<' in shown


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
        assert f'id="ticket-{mine.number}"' in shown, query
        assert "Other</a>" not in shown, query
    assert "Mine</a>" not in desk.get("/tickets/?assignee=nobody").content.decode()


@pytest.mark.parametrize(
    "query", ["before=x", "before=9999999999999999.1", "before=1", "status=nonsense", "priority=%00", "q=%00"]
)
def test_an_address_that_makes_no_sense_still_shows_the_queue(desk: Client, reviewed: Ticket, query: str) -> None:
    assert desk.get(f"/tickets/?{query}").status_code == 200


def test_a_search_finds_what_has_ended_too(desk: Client, reviewed: Ticket) -> None:
    reviewed.set_status(Status.RESOLVED)
    reviewed.save()
    assert f'id="ticket-{reviewed.number}"' in desk.get(f"/tickets/?q=%23{reviewed.number}").content.decode()


def test_older_tickets_are_on_further_pages(desk: Client, make_ticket: MakeTicket) -> None:
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


def numbers(desk: Client, query: str = "") -> list[int]:
    return [row.number for row in desk.get(f"/tickets/{query}").context["rows"]]


def changes(desk: Client, **asked: object) -> Any:
    query = {name: str(value) for name, value in asked.items()}
    return desk.get("/tickets/changes/", {"since": "0", **query}).json()


def fresh(desk: Client, **asked: object) -> list[int]:
    return [number for number, _ in changes(desk, **asked)["fresh"]]


def test_the_queue_is_ordered_by_when_the_customer_wrote(desk: Client, make_ticket: MakeTicket) -> None:
    today = [make_ticket(title=f"Today {one}") for one in range(2)]
    history = [
        make_ticket(title=f"Imported {one}", created_at=timezone.now() - timedelta(days=one)) for one in (300, 2)
    ]
    assert numbers(desk) == [today[1].number, today[0].number, history[1].number, history[0].number]


def test_pages_neither_repeat_nor_lose_tickets_of_one_moment(desk: Client, make_ticket: MakeTicket) -> None:
    for one in range(53):
        make_ticket(title=f"Ticket {one}")
    Ticket.objects.update(created_at=timezone.now())
    first = desk.get("/tickets/")
    both = [row.number for row in first.context["rows"]] + numbers(desk, first.context["older"])
    assert both == sorted(Ticket.objects.values_list("number", flat=True), reverse=True)


def test_changes_hold_what_is_missing_what_changed_and_the_counts(
    desk: Client, make_ticket: MakeTicket, reviewed: Ticket
) -> None:
    newer = make_ticket(title="Fresh")
    answer = changes(desk, shown=reviewed.number)
    assert [number for number, _ in answer["fresh"]] == [newer.number]
    assert set(answer["rows"]) == {str(reviewed.number)}
    assert answer["gone"] == []
    assert (answer["counts"]["tab-in_review"], answer["counts"]["rail"]) == ("1", "2")


def test_a_row_is_missing_down_to_the_last_one_shown(desk: Client, make_ticket: MakeTicket) -> None:
    shown = [make_ticket(created_at=timezone.now() - timedelta(days=days)) for days in (1, 5)]
    between, older = (make_ticket(created_at=timezone.now() - timedelta(days=days)) for days in (3, 9))
    asked = {"shown": ",".join(str(one.number) for one in shown)}
    assert fresh(desk, **asked, floor=shown[1].place) == [between.number]
    assert fresh(desk, **asked) == [between.number, older.number]


def test_on_a_later_page_what_came_in_since_is_news(desk: Client, make_ticket: MakeTicket) -> None:
    for _ in range(51):
        make_ticket()
    later = desk.get(f"/tickets/{desk.get('/tickets/').context['older']}").context
    shown, mark = later["rows"][0].number, later["mark"]
    assert fresh(desk, shown=shown, mark=mark) == []
    newer = make_ticket()
    assert fresh(desk, shown=shown, mark=mark) == [newer.number]


def test_a_row_of_another_team_now_is_gone(client: Client, agent: User, reviewed: Ticket) -> None:
    client.force_login(agent)
    assert changes(client, shown=reviewed.number)["gone"] == []
    Ticket.objects.update(team=Team.objects.get(key="billing"))
    answer = changes(client, shown=reviewed.number)
    assert (answer["gone"], answer["rows"], answer["fresh"]) == ([reviewed.number], {}, [])


@pytest.mark.parametrize("query", [{}, {"status": "in_review"}, {"priority": "P3"}])
def test_a_row_that_left_the_tab_or_the_filters_is_gone(desk: Client, reviewed: Ticket, query: dict[str, str]) -> None:
    reviewed.priority = "P3"
    reviewed.save()
    assert changes(desk, shown=reviewed.number, **query)["gone"] == []
    reviewed.priority = "P1"
    reviewed.set_status(Status.RESOLVED)
    reviewed.save()
    answer = changes(desk, shown=reviewed.number, **query)
    assert (answer["gone"], answer["rows"]) == ([reviewed.number], {})


def test_changes_heed_the_filters(desk: Client, make_ticket: MakeTicket) -> None:
    make_ticket(title="Fresh")
    assert fresh(desk, priority="P1") == []


def test_changes_since_now_hold_only_the_last_seconds(desk: Client, reviewed: Ticket) -> None:
    assert changes(desk, since=99999999999999, shown=reviewed.number)["rows"] == {}


@pytest.mark.parametrize("shown", ["x", ",,", "0", "-1", "99999999999999999999", "1," * 1000, "\x00"])
def test_what_a_browser_never_shows_harms_nothing(desk: Client, reviewed: Ticket, shown: str) -> None:
    assert fresh(desk, shown=shown, floor=shown, mark=shown) in ([reviewed.number], [])


def test_the_queue_takes_as_many_queries_for_fifty_rows_as_for_one(
    desk: Client, make_ticket: MakeTicket, django_assert_max_num_queries: object
) -> None:
    for number in range(12):
        make_ticket(title=f"Ticket {number}")
    desk.get("/tickets/")  # the first request of a session puts it on its person's list
    with django_assert_max_num_queries(15):  # type: ignore[operator]
        desk.get("/tickets/")


@pytest.fixture
def failed(make_ticket: MakeTicket) -> list[Ticket]:
    """Three that could not be read, one of them for billing, beside one that was not read yet."""
    tickets = [make_ticket(title=f"Broken {number}") for number in range(3)]
    make_ticket(title="Fine")
    Ticket.objects.filter(pk__in=[one.pk for one in tickets]).update(triage_state="failed", error="Broke.", attempts=4)
    Ticket.objects.filter(pk=tickets[0].pk).update(team=Team.objects.get(key="billing"))
    return tickets


def _states() -> list[str]:
    return list(Ticket.objects.order_by("number").values_list("triage_state", flat=True))


def test_what_could_not_be_read_is_counted_and_found(desk: Client, failed: list[Ticket]) -> None:
    assert "3 tickets could not be read." in desk.get("/tickets/").content.decode()
    page = desk.get("/tickets/?needs=reading")
    assert {row.pk for row in page.context["rows"]} == {one.pk for one in failed}


def test_all_of_it_is_run_again_at_once(desk: Client, failed: list[Ticket]) -> None:
    answer = desk.post("/tickets/readings/?needs=reading", {"scope": "all"}, follow=True)
    assert "3 tickets will be read again." in answer.content.decode()
    assert _states() == ["submitted"] * 4
    assert set(Ticket.objects.values_list("attempts", "error")) == {(0, "")}
    assert "could not be read" not in answer.content.decode()


def test_what_the_filters_show_is_run_again(desk: Client, failed: list[Ticket]) -> None:
    page = desk.get("/tickets/?needs=reading&team=billing").content.decode()
    assert "Run the 1 shown again" in page
    desk.post("/tickets/readings/?needs=reading&team=billing", {"scope": "shown"})
    assert _states() == ["submitted", "failed", "failed", "submitted"]


def test_many_wait_behind_what_customers_send_now(
    desk: Client, failed: list[Ticket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.actions.triage.MANY", 2)
    desk.post("/tickets/readings/", {"scope": "all"})
    assert list(Ticket.objects.order_by("number").values_list("lane", flat=True)) == [1, 1, 1, 0]


def test_an_agent_runs_one_again_but_not_all(client: Client, agent: User, failed: list[Ticket]) -> None:
    client.force_login(agent)
    assert 'id="failed-retry-all"' not in client.get("/tickets/?needs=reading").content.decode()
    answer = client.post("/tickets/readings/", {"scope": "all"}, follow=True)
    assert "Only leads and admins" in answer.content.decode()
    assert "submitted" not in _states()[:3]
    client.post(f"/tickets/{failed[1].number}/reading/")
    assert _states()[:3] == ["failed", "submitted", "failed"]


def test_the_number_in_the_rail_is_that_of_the_first_view(
    client: Client, lead: User, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    make_ticket()
    snoozing.snooze(ticket=reviewed, until=timezone.now() + timedelta(days=1), by=lead)
    client.force_login(lead)
    page = client.get("/tickets/").content.decode()
    assert re.findall(r'id="count-(?:rail|tab-all)">([^<]*)<', page) == ["1", "1"]


def test_words_are_searched_for_once_for_the_rows_and_their_number(desk: Client, make_ticket: MakeTicket) -> None:
    tickets = [make_ticket(title=f"Printer {number}") for number in range(52)]
    make_ticket(title="Scanner")
    desk.get("/tickets/?q=printer")
    with CaptureQueriesContext(connection) as asked:
        first = desk.get("/tickets/?q=printer")
    assert sum(" @@ " in query["sql"] for query in asked) == 1
    assert [row.number for row in first.context["rows"]] == [one.number for one in tickets[:1:-1]]
    page = first.content.decode()
    assert re.findall(r'id="count-(rail|tab-all)">([^<]*)<', page) == [("rail", "53"), ("tab-all", "52")]
    older = desk.get(f"/tickets/{first.context['older']}")
    assert [row.number for row in older.context["rows"]] == [tickets[1].number, tickets[0].number]


def test_the_open_tickets_are_counted_once_for_list_and_frame(desk: Client, make_ticket: MakeTicket) -> None:
    make_ticket()
    desk.get("/tickets/")
    with CaptureQueriesContext(connection) as asked:
        page = desk.get("/tickets/").content.decode()
    assert 'id="count-rail">1<' in page
    assert not any('"open"' in query["sql"] and "snoozed_until" in query["sql"] for query in asked)
    assert 'id="count-rail">1<' in desk.get("/settings/").content.decode()
