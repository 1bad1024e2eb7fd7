"""Spam at the desk: marked and let in at the ticket, seen in the queue's own view, blocked senders in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from tests.tickets.actions.test_attaching import PNG
from tests.tickets.conftest import MakeTicket
from tickets.actions import attaching, spamming
from tickets.models import Block, Ticket
from triage.models import User


@pytest.fixture
def desk(agent: User) -> Client:
    client = Client()
    client.force_login(agent)
    return client


@pytest.fixture
def leading(lead: User) -> Client:
    client = Client()
    client.force_login(lead)
    return client


def page(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_a_ticket_is_marked_and_its_sender_blocked_and_the_page_says_so_with_undo(
    desk: Client, reviewed: Ticket, agent: User
) -> None:
    marked = desk.post(f"/tickets/{reviewed.pk}/spam/", {"block": "sender"}, headers={"HX-Request": "true"})
    assert marked["HX-Redirect"] == reviewed.get_absolute_url()
    shown = page(desk, reviewed.get_absolute_url())
    assert "Held as spam" in shown
    assert f"by {agent.label}" in shown
    assert "unblock kim@example.com" in shown
    desk.post(f"/tickets/{reviewed.pk}/spam/", {"undo": "unblock"})
    assert "Held as spam" not in page(desk, reviewed.get_absolute_url())
    assert not Block.objects.in_force().exists()


def test_a_held_ticket_is_plain_text_and_its_files_cannot_be_opened(
    desk: Client, reviewed: Ticket, agent: User, settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    kept = attaching.attach(message=reviewed.messages.get(), name="bait.png", content=PNG)
    message = reviewed.messages.get()
    type(message).objects.filter(pk=message.pk).update(text="![x](https://example.com/x.png) <b>Win</b>")
    spamming.mark(ticket=reviewed, by=agent)
    shown = page(desk, reviewed.get_absolute_url())
    assert "![x](https://example.com/x.png) &lt;b&gt;Win&lt;/b&gt;" in shown
    assert "bait.png" in shown
    assert desk.get(kept.get_absolute_url()).status_code == 404


def test_the_queue_shows_spam_in_its_own_view_and_counts_it_nowhere(
    desk: Client, reviewed: Ticket, make_ticket: MakeTicket, agent: User
) -> None:
    spamming.mark(ticket=reviewed, by=agent)
    make_ticket("Stays here")
    queue, spam = page(desk, "/tickets/"), page(desk, "/tickets/?status=spam")
    assert f'id="ticket-{reviewed.pk}"' not in queue
    assert 'id="count-tab-all">1<' in queue
    assert 'id="count-tab-spam"><' in queue
    assert f'id="ticket-{reviewed.pk}"' in spam
    assert "Stays here" not in spam
    assert f'id="ticket-{reviewed.pk}"' not in page(desk, "/tickets/?q=Export")
    assert f'id="ticket-{reviewed.pk}"' in page(desk, "/tickets/?status=spam&q=Export")


def test_spam_of_another_team_is_out_of_sight(reviewed: Ticket, agent: User, colleague: User) -> None:
    spamming.mark(ticket=reviewed, by=agent)
    stranger = Client()
    stranger.force_login(colleague)
    assert f'id="ticket-{reviewed.pk}"' not in page(stranger, "/tickets/?status=spam")
    assert stranger.get(reviewed.get_absolute_url()).status_code == 404
    assert stranger.post(f"/tickets/{reviewed.pk}/spam/", {"undo": "1"}).status_code == 404


def test_many_are_marked_from_the_queue_and_let_in_from_its_spam_view(
    desk: Client, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    other = make_ticket("Another")
    desk.post("/tickets/bulk/", {"do": "spam=mark", "ticket": [reviewed.pk, other.pk], "query": "?"})
    assert Ticket.everything.spam().count() == 2
    desk.post("/tickets/bulk/", {"do": "spam=unmark", "ticket": [other.pk], "query": "?status=spam"})
    assert Ticket.everything.spam().get() == reviewed
    desk.post("/tickets/bulk/", {"do": "spam=unmark", "all": "1", "query": "?status=spam"})
    assert not Ticket.everything.spam().exists()


def test_a_saved_view_of_spam_breaks_no_count(desk: Client, reviewed: Ticket) -> None:
    desk.post("/tickets/views/", {"name": "Junk", "scope": "own", "query": "?status=spam&priority=P1"})
    assert "Junk" in page(desk, "/tickets/")
    assert desk.get("/tickets/changes/?status=spam").status_code == 200


def test_leads_block_and_let_in_and_every_step_stays_listed(
    leading: Client, reviewed: Ticket, lead: User, agent: User
) -> None:
    assert leading.post("/settings/spam/", {"what": "gmail.com"}).status_code == 422
    leading.post("/settings/spam/", {"what": "@Spam.example"})
    block = Block.objects.get()
    assert (block.what, block.by) == ("spam.example", lead)
    assert "spam.example" in page(leading, "/settings/spam/")
    leading.post(f"/settings/spam/{block.pk}/lifting/")
    shown = page(leading, "/settings/spam/")
    assert "Block spam.example again" in shown
    assert not Block.objects.in_force().exists()
    plain = Client()
    plain.force_login(agent)
    assert plain.post("/settings/spam/", {"what": "x.example"}).status_code == 403


def test_who_sent_spam_is_shown_no_difference(reviewed: Ticket, agent: User) -> None:
    visitor = Client()
    before = visitor.get(reviewed.get_status_url())
    spamming.mark(ticket=reviewed, by=agent)
    after = visitor.get(reviewed.get_status_url())
    assert (before.status_code, after.status_code) == (200, 200)
    assert "The CSV export stops half way." in after.content.decode()
    assert "spam" not in after.content.decode().lower()
    assert visitor.post(reviewed.get_status_url(), {"key": "x", "text": "Hello?"}).status_code == 302
