"""A ticket beside the queue: by habit, or because an address says so."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from tickets.models import Habits, Notification, Ticket
from triage.models import User


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def text(client: Client, address: str, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_alone_is_what_one_gets_until_one_wants_another(desk: Client, reviewed: Ticket) -> None:
    assert 'id="pane"' not in text(desk, "/tickets/")
    answer = desk.post("/tickets/looks/", {"split": "on", "query": "?status=in_review"})
    assert answer["Location"] == "/tickets/?status=in_review"
    shown = text(desk, "/tickets/?status=in_review")
    assert 'id="pane"' in shown and 'id="none-open"' in shown and f'id="ticket-{reviewed.number}"' in shown
    desk.post("/tickets/looks/", {"split": "off"})
    assert 'id="pane"' not in text(desk, "/tickets/")


def test_an_address_opens_the_ticket_beside_the_list_for_whoever_is_sent_it(desk: Client, reviewed: Ticket) -> None:
    shown = text(desk, f"/tickets/?status=in_review&open={reviewed.number}")
    assert f'data-ticket="{reviewed.number}"' in shown
    assert f'id="ticket-{reviewed.number}"' in shown and 'id="reply-form"' in shown
    assert 'href="?status=in_review' in shown and "open=" not in shown.split('id="pane"')[0].split('id="queue"')[1]


def test_opening_it_so_its_notifications_are_read(desk: Client, agent: User, reviewed: Ticket) -> None:
    Notification.objects.create(user=agent, ticket=reviewed, kind="assigned", created_at=timezone.now())
    text(desk, f"/tickets/?open={reviewed.number}")
    assert not Notification.objects.filter(read_at=None).exists()


@pytest.mark.parametrize("number", ["999999", "x", "-1", "9" * 40])
def test_what_is_not_there_leaves_the_list_as_it_is(desk: Client, reviewed: Ticket, number: str) -> None:
    shown = text(desk, f"/tickets/?open={number}")
    assert 'id="ticket"' not in shown and f'id="ticket-{reviewed.number}"' in shown


def test_another_teams_ticket_is_not_shown_beside_the_list(client: Client, colleague: User, reviewed: Ticket) -> None:
    client.force_login(colleague)
    shown = text(client, f"/tickets/?open={reviewed.number}")
    assert "another team" in shown and reviewed.subject not in shown


def test_the_pane_asks_for_the_ticket_alone_in_few_queries(
    desk: Client, reviewed: Ticket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TESTING = False  # the labels are in mind, as they are at a desk
    monkeypatch.setattr("tickets.policies.REMEMBERED", 60.0)  # however slow this machine is
    monkeypatch.setattr("tickets.context.TAXONOMY_SECONDS", 60.0)
    desk.get(reviewed.get_absolute_url())
    with CaptureQueriesContext(connection) as queries:
        shown = text(desk, reviewed.get_absolute_url(), **{"HX-Request": "true", "HX-Target": "pane"})
    assert shown.lstrip().startswith('<div id="ticket"') and "<html" not in shown
    assert len(queries) <= 15, [query["sql"][:200] for query in queries]


def test_whether_the_next_one_follows_an_answer_is_each_persons_choice(desk: Client, agent: User) -> None:
    desk.post("/tickets/looks/", {"split": "on"})
    assert "data-advance" in text(desk, "/tickets/")
    desk.post("/tickets/looks/", {"columns": "1", "column": ["team", "sla"], "density": "compact"})
    assert "data-advance" not in text(desk, "/tickets/")
    assert Habits.of(agent).queue["split"] is True
    desk.post("/tickets/looks/", {"columns": "1", "column": ["team"], "advance": "on"})
    shown = text(desk, "/tickets/")
    assert "data-advance" in shown and "without-sla" in shown
