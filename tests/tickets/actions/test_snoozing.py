from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tickets import tasks
from tickets.actions import intake, snoozing, status
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Event, Notification, Status, Ticket
from triage.correlation import acting
from triage.models import User

ROME = ZoneInfo("Europe/Rome")
SOON = timedelta(hours=2)


def _put_off(ticket: Ticket, by: User) -> Ticket:
    return snoozing.snooze(ticket=ticket, until=timezone.now() + SOON, by=by)


def _presets(*moment: int) -> dict[str, str]:
    now = datetime(*moment, tzinfo=ROME)  # type: ignore[arg-type,misc]
    return {preset.key: f"{preset.at:%a %d %H:%M}" for preset in snoozing.presets(ROME, now)}


def test_the_presets_are_mornings_by_ones_own_clock() -> None:
    # a Wednesday at noon
    assert _presets(2026, 7, 1, 12, 10) == {
        "later": "Wed 01 15:00",
        "tomorrow": "Thu 02 09:00",
        "monday": "Mon 06 09:00",
        "week": "Wed 08 09:00",
    }


def test_a_preset_that_says_the_same_or_is_past_is_left_out() -> None:
    assert _presets(2026, 7, 5, 23, 30) == {"tomorrow": "Mon 06 09:00", "week": "Sun 12 09:00"}
    assert _presets(2026, 7, 6, 8, 0) == {"later": "Mon 06 11:00", "tomorrow": "Tue 07 09:00", "week": "Mon 13 09:00"}


def test_the_morning_stays_the_morning_when_the_clocks_change() -> None:
    saturday = datetime(2026, 10, 24, 12, 0, tzinfo=ROME)
    tomorrow = next(one for one in snoozing.presets(ROME, saturday) if one.key == "tomorrow")
    assert tomorrow.at.astimezone(UTC) == datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


def test_a_snoozed_ticket_is_out_of_the_way_and_history_says_who_did_it(agent: User, reviewed: Ticket) -> None:
    with acting(f"user:{agent.pk}"):
        held = _put_off(reviewed, agent)
    assert held.is_snoozed
    assert list(Ticket.objects.snoozed()) == [reviewed] and not Ticket.objects.awake().exists()
    event = Event.objects.latest("pgh_id")
    assert event.actor == f"user:{agent.pk}" and event.snoozed_until == held.snoozed_until  # type: ignore[attr-defined]


def test_it_comes_back_at_its_time_and_the_assignee_is_told(agent: User, lead: User, reviewed: Ticket) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    _put_off(reviewed, lead)
    assert snoozing.wake_due() == 0
    Ticket.objects.filter(pk=reviewed.pk).update(snoozed_until=timezone.now())
    assert list(Ticket.objects.awake()) == [reviewed]  # in time, whoever is late to wake it
    tasks.tend()
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None
    assert list(Notification.objects.values_list("kind", "user__username")) == [("returned", "ada")]
    assert Event.objects.latest("pgh_id").actor == "machine:clock"


def test_it_comes_back_at_once_when_the_customer_writes(agent: User, reviewed: Ticket) -> None:
    _put_off(reviewed, agent)
    intake.add_customer_message(ticket=reviewed, text="Any news?")
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None and not reviewed.is_snoozed


def test_a_ticket_that_ended_meanwhile_comes_back_without_a_word(agent: User, reviewed: Ticket) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    _put_off(reviewed, agent)
    status.change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    assert not Ticket.objects.snoozed().exists()
    Ticket.objects.filter(pk=reviewed.pk).update(snoozed_until=timezone.now())
    assert snoozing.wake_due() == 1
    assert not Notification.objects.exists()


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=-1), timedelta(days=400)])
def test_a_time_that_is_past_or_too_far_is_refused(agent: User, reviewed: Ticket, ahead: timedelta) -> None:
    with pytest.raises(Invalid):
        snoozing.snooze(ticket=reviewed, until=timezone.now() + ahead, by=agent)


def test_what_has_ended_is_not_put_off_and_an_auditor_puts_nothing_off(
    agent: User, auditor: User, reviewed: Ticket
) -> None:
    with pytest.raises(Forbidden):
        _put_off(reviewed, auditor)
    status.change(ticket=reviewed, status=Status.CLOSED, by=agent)
    with pytest.raises(Conflict, match="closed"):
        _put_off(reviewed, agent)


def test_it_can_be_taken_up_before_its_time(agent: User, auditor: User, reviewed: Ticket) -> None:
    _put_off(reviewed, agent)
    with pytest.raises(Forbidden):
        snoozing.wake(ticket=reviewed, by=auditor)
    assert snoozing.wake(ticket=reviewed, by=agent).snoozed_until is None
