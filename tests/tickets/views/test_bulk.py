from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions import bulk
from tickets.models import BulkRun, Event, Team, Ticket
from triage.models import User

HTMX = {"HX-Request": "true"}


@pytest.fixture
def tickets(make_ticket: MakeTicket) -> list[Ticket]:
    made = [make_ticket(title=f"Export {number} fails") for number in range(3)]
    Ticket.objects.update(team=Team.objects.get(key="software"), triage_state="triaged", status="in_review")
    return made


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def _do(desk: Client, tickets: list[Ticket], do: str, **more: Any) -> Any:
    return desk.post("/tickets/bulk/", {"ticket": [one.number for one in tickets], "do": do, **more})


def test_the_queue_shows_a_box_a_row_and_one_form_for_them(desk: Client, tickets: list[Ticket]) -> None:
    page = desk.get("/tickets/").content.decode()
    assert page.count('form="bulk-form"') == 3
    assert 'id="bulk-form"' in page
    for do in ("assign=ada", "field=priority:P1", "field=team:billing", "status=resolved", "snooze=tomorrow", "read"):
        assert f'name="do" value="{do}"' in page


def test_without_javascript_the_chosen_are_changed_and_undone(desk: Client, tickets: list[Ticket], agent: User) -> None:
    answer = _do(desk, tickets[:2], "field=priority:P1", query="?team=software")
    assert answer["Location"] == "/tickets/?team=software"
    assert list(Ticket.objects.order_by("pk").values_list("priority", flat=True)) == ["P1", "P1", ""]
    event = Event.objects.order_by("pgh_id").last()
    assert event is not None
    assert event.actor == f"user:{agent.pk}"
    page = desk.get("/tickets/").content.decode()
    assert "2 tickets changed." in page
    run = BulkRun.objects.get()
    assert event.correlation_id == run.correlation_id == answer["X-Correlation-ID"]
    desk.post(f"/tickets/bulk/{run.pk}/reversal/")
    assert not Ticket.objects.filter(priority="P1").exists()
    assert "is undone on 2 tickets" in desk.get("/tickets/").content.decode()
    desk.post(f"/tickets/bulk/{run.pk}/dismissal/")
    assert "is undone on" not in desk.get("/tickets/").content.decode()


@pytest.mark.parametrize(
    ("do", "more", "words"),
    [
        ("assign=me", {}, "Assigned to Ada"),
        ("assign=nobody", {}, "Assigned to nobody"),
        ("field=category:billing", {}, "Category Billing"),
        ("tag", {"tags": "Refund, seat"}, "Tagged refund, seat"),
        ("untag", {"tags": "refund"}, "Untagged refund"),
        ("status=reopen", {}, "Reopened"),
        ("snooze=tomorrow", {}, "Put off until"),
        ("snooze=at", {"at": "2027-03-01T09:00"}, "Put off until 1 Mar"),
        ("read", {}, "Read again"),
    ],
)
def test_each_button_of_the_bar_does_what_it_says(
    desk: Client, tickets: list[Ticket], do: str, more: dict[str, str], words: str
) -> None:
    _do(desk, tickets, do, **more)
    run = BulkRun.objects.get()
    assert run.words.startswith(words)
    assert run.total == 3


def test_a_whole_filter_is_changed_and_what_it_does_not_show_is_not(
    desk: Client, tickets: list[Ticket], make_ticket: MakeTicket
) -> None:
    other = make_ticket(title="Of nobody")
    Ticket.objects.filter(pk=tickets[0].pk).update(priority="P2")
    desk.post("/tickets/bulk/", {"all": "1", "query": "?team=software&priority=P2", "do": "status=closed"})
    run = BulkRun.objects.get()
    assert (run.total, run.chosen) == (1, "team software, priority P2")
    assert list(Ticket.objects.filter(status="closed")) == [tickets[0]]
    assert Ticket.objects.get(pk=other.pk).status == "new"


def test_many_are_left_to_the_worker_and_the_strip_asks_how_far_they_are(
    desk: Client, tickets: list[Ticket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    strip = desk.post("/tickets/bulk/", {"all": "1", "query": "", "do": "status=closed"}, headers=HTMX).content.decode()
    run = BulkRun.objects.get()
    assert f'hx-get="/tickets/bulk/{run.pk}/"' in strip
    assert "0 of 3" in strip
    assert '<progress max="3" value="0"' in strip
    for claimed in bulk.claim(1):
        bulk.work(claimed)
    strip = desk.get(f"/tickets/bulk/{run.pk}/", headers=HTMX).content.decode()
    assert "3 tickets changed" in strip
    assert "hx-get" not in strip


def test_what_cannot_be_done_is_said_where_it_was_asked(desk: Client, tickets: list[Ticket]) -> None:
    answer = desk.post("/tickets/bulk/", {"do": "status=closed"}, headers=HTMX)
    assert answer.status_code == 422
    assert "choose some first" in answer.content.decode()
    assert _do(desk, tickets, "field=priority:P9").status_code == 302
    assert "is not a priority" in desk.get("/tickets/").content.decode()


def test_a_ticket_of_another_team_is_not_touched_whatever_number_is_sent(
    client: Client, colleague: User, tickets: list[Ticket]
) -> None:
    client.force_login(colleague)
    _do(client, tickets, "status=closed")
    client.post("/tickets/bulk/", {"all": "1", "query": "", "do": "status=closed"})
    assert not Ticket.objects.filter(status="closed").exists()
    assert not BulkRun.objects.exists()


def test_an_auditor_sees_what_was_done_and_does_nothing(
    client: Client, auditor: User, agent: User, tickets: list[Ticket]
) -> None:
    run = bulk.start(kind="status", given="closed", tickets=Ticket.objects.all(), chosen="all", by=agent)
    client.force_login(auditor)
    assert 'id="bulk-form"' not in client.get("/tickets/").content.decode()
    _do(client, tickets, "status=in_review")
    assert client.get(f"/tickets/bulk/{run.pk}/").status_code == 200
    client.post(f"/tickets/bulk/{run.pk}/reversal/")
    assert Ticket.objects.filter(status="closed").count() == 3


@pytest.mark.parametrize("name", ["", "reversal/", "cancellation/"])
def test_the_run_of_a_colleague_is_not_there(
    client: Client, colleague: User, agent: User, tickets: list[Ticket], name: str
) -> None:
    run = bulk.start(kind="status", given="closed", tickets=Ticket.objects.all(), chosen="all", by=agent)
    client.force_login(colleague)
    address = f"/tickets/bulk/{run.pk}/{name}"
    assert (client.post(address) if name else client.get(address)).status_code == 404


def test_the_page_of_a_run_names_what_was_not_changed(desk: Client, tickets: list[Ticket]) -> None:
    Ticket.objects.filter(pk=tickets[0].pk).update(tags=["a", "b", "c", "d", "e"])
    _do(desk, tickets, "tag", tags="refund")
    page = desk.get(BulkRun.objects.get().get_absolute_url()).content.decode()
    assert "A ticket has up to 5 tags." in page
    assert f'href="/tickets/{tickets[0].number}/"' in page
    assert "Tagged refund" in desk.get("/tickets/bulk/").content.decode()
