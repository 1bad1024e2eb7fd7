from __future__ import annotations

import pytest
from django.test import Client

from tickets.actions.notifying import notify
from tickets.models import Agent, Habits, Mailing, Notification, NotificationChoice, Team, Ticket
from triage.models import User

HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


@pytest.fixture
def told(agent: User, lead: User, reviewed: Ticket) -> Notification:
    notify(kind="mention", ticket=reviewed, to=[agent], by=lead, text="Can you look?")
    return Notification.objects.get()


def test_the_bell_counts_what_is_unread_on_every_page(desk: Client, told: Notification) -> None:
    assert 'data-count="1"' in desk.get("/tickets/").content.decode()
    desk.post("/notifications/seen/")
    assert 'data-count="0" hidden' in desk.get("/tickets/").content.decode()


def test_the_page_lists_what_is_unread_and_all_on_request(desk: Client, told: Notification) -> None:
    shown = desk.get("/notifications/").content.decode()
    assert "Lea mentions you" in shown and "Can you look?" in shown and told.ticket.subject in shown
    desk.post(f"/notifications/{told.pk}/seen/")
    assert "All read" in desk.get("/notifications/").content.decode()
    assert "Lea mentions you" in desk.get("/notifications/?show=all").content.decode()


def test_opening_the_ticket_reads_what_is_about_it(desk: Client, told: Notification) -> None:
    assert desk.get(told.ticket.get_absolute_url()).status_code == 200
    told.refresh_from_db()
    assert told.read_at is not None


def test_nobody_marks_the_news_of_others(client: Client, lead: User, told: Notification) -> None:
    client.force_login(lead)
    client.post(f"/notifications/{told.pk}/seen/")
    client.post("/notifications/seen/")
    told.refresh_from_db()
    assert told.read_at is None
    assert "Can you look?" not in client.get("/notifications/?show=all").content.decode()


def test_of_a_ticket_that_went_to_another_team_only_the_number_is_left(desk: Client, told: Notification) -> None:
    Ticket.objects.filter(pk=told.ticket_id).update(team=Team.objects.get(key="billing"))
    for address in ("/notifications/", "/notifications/bell/?open=1"):
        shown = desk.get(address).content.decode()
        assert f"#{told.ticket_id} is out of your sight now" in shown
        assert "Can you look?" not in shown and told.ticket.subject not in shown


def test_the_bell_and_the_list_come_as_fragments(desk: Client, told: Notification) -> None:
    assert desk.get("/notifications/bell/").content.decode().startswith('<span id="bell-count"')
    assert "Lea mentions you" in desk.get("/notifications/bell/?open=1").content.decode()
    fragment = desk.get("/notifications/", headers=HTMX).content.decode()
    assert 'id="notifications"' in fragment and "<html" not in fragment


def test_a_mail_that_failed_is_shown_where_its_news_is(desk: Client, told: Notification, agent: User) -> None:
    told.mailing = Mailing.objects.create(user=agent, state="failed", error="The mail server answered 550.")
    told.save()
    assert "Not mailed to you. The mail server answered 550." in desk.get("/notifications/").content.decode()


def test_each_chooses_how_they_hear_of_what(desk: Client, agent: User) -> None:
    given = {"mention": "mail", "reply": "digest", "rule": "none", "digest_hour": "17", "time_zone": "Asia/Tokyo"}
    assert desk.post("/settings/notifications/", given).status_code == 302
    held = dict(NotificationChoice.objects.filter(user=agent).values_list("kind", "how"))
    assert (held["mention"], held["reply"], held["rule"], held["escalated"]) == ("mail", "digest", "none", "desk")
    habits = Habits.of(agent)
    assert (habits.digest_hour, habits.time_zone, habits.quoted) == (17, "Asia/Tokyo", False)
    page = desk.get("/settings/notifications/").content.decode()
    assert '<option value="digest" selected>' in page and '<option value="Asia/Tokyo" selected>' in page


@pytest.mark.parametrize(
    "wrong", [{"mention": "pigeon"}, {"digest_hour": "24"}, {"digest_hour": "x"}, {"time_zone": "Middle/Earth"}]
)
def test_a_choice_that_is_none_is_refused_and_nothing_saved(desk: Client, wrong: dict[str, str]) -> None:
    answer = desk.post("/settings/notifications/", {"reply": "mail", **wrong})
    assert answer.status_code == 422
    assert "Nothing was saved" in answer.content.decode()
    assert not NotificationChoice.objects.exists() and not Habits.objects.exists()


def test_a_visitor_is_sent_to_the_sign_in_and_an_auditor_has_a_bell_as_well(
    client: Client, auditor: User, agent: User, reviewed: Ticket
) -> None:
    for address in ("/notifications/", "/notifications/bell/", "/settings/notifications/"):
        assert client.get(address)["Location"].startswith("/sign-in/")
    notify(kind="mention", ticket=reviewed, to=[auditor], by=agent)
    client.force_login(auditor)
    assert "Ada mentions you" in client.get("/notifications/").content.decode()
    assert Agent.objects.get(user=auditor).role == "auditor"


def test_marking_as_read_is_never_done_by_a_get(desk: Client, told: Notification) -> None:
    assert desk.get("/notifications/seen/").status_code == 405
    assert desk.get(f"/notifications/{told.pk}/seen/").status_code == 405
