"""The administration bypasses nothing: what is changed there is checked, and reckoned anew."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.tickets.actions.test_promising import clock, due, policy
from tickets.actions import review
from tickets.models import Calendar, Holiday, SlaPolicy, Ticket
from triage.models import User


@pytest.fixture
def admin(client: Client, lead: User) -> Client:
    User.objects.filter(pk=lead.pk).update(is_staff=True, is_superuser=True)
    client.force_login(User.objects.get(pk=lead.pk))
    return client


def test_a_policy_changed_in_the_administration_reaches_open_tickets(
    admin: Client, reviewed: Ticket, agent: User
) -> None:
    one = policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    before = due(reviewed, "first_response")
    values = {"priority": "P2", "response_minutes": "30", "warn_percent": "80"}
    assert admin.post(f"/admin/tickets/slapolicy/{one.pk}/change/", values).status_code == 302
    clock()
    assert due(reviewed, "first_response") < before


def test_a_policy_or_calendar_that_makes_no_sense_is_refused_there_too(admin: Client) -> None:
    values = {"priority": "P2", "response_minutes": "30", "warn_percent": "80", "warn_minutes": "5"}
    answer = admin.post("/admin/tickets/slapolicy/add/", values)
    assert answer.status_code == 200 and b"Warn either at" in answer.content
    empty = {"name": "Never", "time_zone": "UTC", "hours": "", **_inline(0)}
    answer = admin.post("/admin/tickets/calendar/add/", empty)
    assert answer.status_code == 200 and not Calendar.objects.filter(name="Never").exists()
    wrong = empty | {"hours": "Mon 17:00-09:00"}
    assert b"ends after it begins" in admin.post("/admin/tickets/calendar/add/", wrong).content


def test_a_calendar_is_made_with_its_holidays(admin: Client) -> None:
    day = {"holidays-0-on": "2026-12-25", "holidays-0-name": "Christmas Day"}
    values = {"name": "Office", "time_zone": "Europe/Rome", "hours": "Mon 09:00-17:00,Tue 09:00-17:00"}
    assert admin.post("/admin/tickets/calendar/add/", values | day | _inline(1)).status_code == 302
    assert Holiday.objects.get(calendar__name="Office").name == "Christmas Day"
    assert b"Mon and Tue 09:00-17:00" in admin.get("/admin/tickets/calendar/").content


@pytest.mark.parametrize("name", ["slapolicy", "calendar", "team", "slaevent"])
def test_the_lists_are_there(admin: Client, name: str) -> None:
    SlaPolicy.objects.get(priority="P1")
    assert admin.get(f"/admin/tickets/{name}/").status_code == 200


def _inline(total: int) -> dict[str, str]:
    return {"holidays-TOTAL_FORMS": str(total), "holidays-INITIAL_FORMS": "0"}
