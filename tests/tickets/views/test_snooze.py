from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from tickets.models import Habits, Ticket
from triage.models import User


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def test_a_preset_is_by_the_persons_own_clock_and_shown_so(desk: Client, agent: User, reviewed: Ticket) -> None:
    Habits.objects.create(user=agent, time_zone="Asia/Tokyo")
    desk.post(f"/tickets/{reviewed.number}/snooze/", {"until": "tomorrow"})
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is not None
    local = reviewed.snoozed_until.astimezone(ZoneInfo("Asia/Tokyo"))
    assert (local.hour, local.minute) == (9, 0)
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert f"Snoozed until {local:%a} {local.day} {local:%b}, 09:00" in shown


def test_ones_own_time_is_taken_by_ones_own_clock(desk: Client, agent: User, reviewed: Ticket) -> None:
    Habits.objects.create(user=agent, time_zone="America/New_York")
    day = timezone.now().date() + timedelta(days=3)
    desk.post(f"/tickets/{reviewed.number}/snooze/", {"until": "custom", "at": f"{day}T14:30"})
    reviewed.refresh_from_db()
    expected = datetime(day.year, day.month, day.day, 14, 30, tzinfo=ZoneInfo("America/New_York"))
    assert reviewed.snoozed_until == expected.astimezone(UTC)
    desk.post(f"/tickets/{reviewed.number}/snooze/", {"until": "now"})
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None


@pytest.mark.parametrize(
    "given", [{}, {"until": "custom"}, {"until": "never"}, {"until": "custom", "at": "2001-01-01T09:00"}]
)
def test_no_time_or_a_past_one_is_refused_in_place(desk: Client, reviewed: Ticket, given: dict[str, str]) -> None:
    answer = desk.post(f"/tickets/{reviewed.number}/snooze/", given)
    assert answer.status_code == 422
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None


def test_the_history_tells_of_it_in_words(desk: Client, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/snooze/", {"until": "week"})
    assert "Snoozed until: " in desk.get(reviewed.get_absolute_url()).content.decode()
