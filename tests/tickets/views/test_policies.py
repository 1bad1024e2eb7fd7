"""The settings of promised times: policies, calendars, teams; for leads, checked, shown by an example, undoable."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.tickets.actions.test_promising import clock, move, policy
from tests.tickets.conftest import MakeTicket
from tickets.actions import review
from tickets.models import Calendar, Recount, SlaPolicy, Source, Team, Ticket
from triage.models import User

WEEK = {f"day-{number}": "9-17" for number in range(5)}
FRIDAY = "2026-11-27T16:50"


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


@pytest.fixture
def office(taxonomy: None) -> Calendar:
    return Calendar.objects.create(
        name="Office",
        time_zone="Europe/Rome",
        hours=[f"{day} 09:00-17:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")],
    )


def text_of(response_content: bytes) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response_content.decode()).split())


PAGES = ("/settings/sla/", "/settings/sla/new/", "/settings/sla/preview/", "/settings/calendars/",
         "/settings/calendars/new/", "/settings/calendars/preview/", "/settings/teams/")  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_the_settings_of_promises_are_for_leads_alone(client: Client, agent: User, auditor: User, address: str) -> None:
    assert client.get(address).status_code == 302
    client.force_login(agent)
    assert client.get(address).status_code == 403
    client.force_login(auditor)
    assert client.get(address).status_code == 200
    assert client.post(address).status_code == 403, "an auditor sees everything and changes nothing"
    assert "/settings/sla/" not in client.get("/settings/").content.decode()


@pytest.mark.parametrize("address", PAGES)
def test_each_page_is_there_for_a_lead(desk: Client, address: str) -> None:
    assert desk.get(address).status_code == 200
    assert 'href="/settings/sla/"' in desk.get("/settings/").content.decode()


def test_a_policy_is_made_changed_deleted_and_brought_back(desk: Client, office: Calendar) -> None:
    values = {"priority": "P2", "team": "billing", "source": "", "response_minutes": "1h 30m",
              "resolution_minutes": "8h", "next_response_minutes": "", "calendar": office.pk,
              "warn": "80 %"}  # fmt: skip
    assert desk.post("/settings/sla/new/", values).status_code == 302
    made = SlaPolicy.objects.get(team__key="billing")
    assert (made.response_minutes, made.next_response_minutes, made.resolution_minutes) == (90, None, 480)
    assert (made.calendar, made.warn_percent, made.warn_minutes) == (office, 80, None)
    desk.post(f"/settings/sla/{made.pk}/", values | {"warn": "30m", "response_minutes": "45"})
    made.refresh_from_db()
    assert (made.response_minutes, made.warn_percent, made.warn_minutes) == (45, None, 30)
    after = desk.post(f"/settings/sla/{made.pk}/deletion/", follow=True)
    assert not SlaPolicy.objects.filter(team__key="billing").exists()
    undo = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', after.content.decode()))
    assert "is deleted" in text_of(after.content)
    desk.post("/settings/sla/new/", undo)
    again = SlaPolicy.objects.get(team__key="billing")
    assert (again.response_minutes, again.calendar, again.warn_minutes) == (45, office, 30)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"response_minutes": "soon"}, "Write it like 45m"),
        ({"response_minutes": ""}, "Promise at least one time"),
        ({"response_minutes": "0"}, "greater than or equal to 1"),
        ({"response_minutes": "99999h"}, "less than or equal to"),
        ({"response_minutes": "4h", "resolution_minutes": "1h"}, "not resolved before it is answered"),
        ({"warn": "120 %"}, "1 to 99"),
        ({"warn": ""}, "1 to 99"),
        ({"warn": "some %"}, "80 %"),
        ({"team": "", "priority": "P2"}, "a policy for exactly these already"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_and_what_was_typed_is_kept(
    desk: Client, given: dict[str, str], words: str
) -> None:
    count = SlaPolicy.objects.count()
    values = {"priority": "", "team": "billing", "response_minutes": "77m", "warn": "80 %"} | given
    answer = desk.post("/settings/sla/new/", values)
    assert answer.status_code == 422 and words in text_of(answer.content)
    assert SlaPolicy.objects.count() == count
    assert f'value="{values["response_minutes"]}"' in answer.content.decode()


def test_an_example_says_when_a_ticket_of_friday_is_due(desk: Client, office: Calendar) -> None:
    form = {"response_minutes": "1h 30m", "next_response_minutes": "10m", "resolution_minutes": "8h", "warn": "80 %",
            "calendar": str(office.pk), "at": FRIDAY}  # fmt: skip
    told = text_of(desk.get("/settings/sla/preview/", form).content)
    held = SlaPolicy.objects.create(priority="P1", calendar=office, team=Team.objects.get(key="hr"), response_minutes=1)
    same = form | {"pk": str(held.pk), "priority": "P1", "team": "hr"}
    assert text_of(desk.get("/settings/sla/preview/", same).content) == told  # a change of one that is there
    assert "Friday 27 November, 16:50 (Europe/Rome)" in told
    assert "First answer Mon 30 Nov, 10:20" in told
    assert "Next answer Fri 27 Nov, 17:00" in told
    assert "Resolution Mon 30 Nov, 16:50" in told


def test_the_example_names_the_policy_that_holds(desk: Client, office: Calendar) -> None:
    form = Source.objects.get(kind="form")
    own = SlaPolicy.objects.create(priority="P2", source=form, response_minutes=90, calendar=office)
    asked = {"priority": "P2", "team": "billing", "source": form.name, "at": FRIDAY}
    page = desk.get("/settings/sla/preview/", asked).content
    assert f"/settings/sla/{own.pk}/" in page.decode() and "First answer Mon 30 Nov, 10:20" in text_of(page)
    assert "First answer Fri 27 Nov, 20:50" in text_of(
        desk.get("/settings/sla/preview/", asked | {"source": ""}).content
    )
    SlaPolicy.objects.all().delete()
    assert "No policy holds" in text_of(desk.get("/settings/sla/preview/", asked).content)


def test_an_example_of_what_cannot_be_says_so(desk: Client) -> None:
    assert "Write it like" in text_of(desk.get("/settings/sla/preview/", {"response_minutes": "x"}).content)
    assert "at least one day" in text_of(desk.get("/settings/calendars/preview/", {"time_zone": "UTC"}).content)


def test_a_calendar_is_made_changed_deleted_and_brought_back(desk: Client) -> None:
    values = {"name": "Rome", "time_zone": "Europe/Rome", "holidays": "2026-12-25 Christmas Day", **WEEK,
              "day-2": "9-12.30, 13:30 to 17:00"}  # fmt: skip
    assert desk.post("/settings/calendars/new/", values).status_code == 302
    made = Calendar.objects.get(name="Rome")
    assert made.hours[2:4] == ["Wed 09:00-12:30", "Wed 13:30-17:00"]
    assert made.summary == "Mon and Tue 09:00-17:00; Wed 09:00-12:30, 13:30-17:00; Thu and Fri 09:00-17:00"
    assert [str(day) for day in made.holidays.all()] == ["2026-12-25 Christmas Day"]
    desk.post(f"/settings/calendars/{made.pk}/", values | {"holidays": "2026-12-26", "day-6": "00:00-24:00"})
    made.refresh_from_db()
    assert made.hours[-1] == "Sun 00:00-24:00" and [day.on for day in made.holidays.all()] == [date(2026, 12, 26)]
    after = desk.post(f"/settings/calendars/{made.pk}/deletion/", follow=True)
    assert not Calendar.objects.filter(name="Rome").exists()
    undo = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)">', after.content.decode()))
    desk.post("/settings/calendars/new/", undo)
    again = Calendar.objects.get(name="Rome")
    assert (again.hours, again.time_zone, again.holidays.count()) == (made.hours, "Europe/Rome", 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict.fromkeys(WEEK, ""), "at least one day"),
        ({"day-0": "always"}, "Monday: write it like"),
        ({"day-0": "17-9"}, "Mon: each span ends after it begins"),
        ({"day-0": "9-12, 11-13"}, "Mon: the spans overlap"),
        ({"time_zone": "Europe/Atlantis"}, "is not a time zone"),
        ({"holidays": "Christmas"}, "Line 1"),
        ({"name": ""}, "cannot be blank"),
        ({"name": "Round the clock"}, "already exists"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused_and_what_was_typed_is_kept(
    desk: Client, given: dict[str, str], words: str
) -> None:
    values = {"name": "Rome", "time_zone": "UTC", "holidays": "", **WEEK, "day-5": "10-11", **given}
    if not any(given.get(day, values[day]) for day in WEEK):
        values["day-5"] = ""
    answer = desk.post("/settings/calendars/new/", values)
    assert answer.status_code == 422 and words in text_of(answer.content)
    assert not Calendar.objects.filter(name="Rome").exists()
    assert f'name="day-5" id="day-5" value="{values["day-5"]}"' in answer.content.decode()


def test_a_calendar_file_adds_its_days(desk: Client) -> None:
    event = ["BEGIN:VEVENT", "DTSTART;VALUE=DATE:20260501", "SUMMARY:Labour Day", "RRULE:FREQ=YEARLY", "END:VEVENT"]
    file = "\n".join(["BEGIN:VCALENDAR", *event, "END:VCALENDAR"]).encode()
    values = {"name": "Rome", "time_zone": "UTC", "holidays": "2026-12-25", **WEEK}
    answer = desk.post("/settings/calendars/new/", values | {"file": SimpleUploadedFile("days.ics", file)}, follow=True)
    assert [str(day) for day in Calendar.objects.get(name="Rome").holidays.all()] == [
        "2026-05-01 Labour Day",
        "2026-12-25",
    ]
    assert "come every year" in text_of(answer.content)


def test_a_calendar_in_use_stays(desk: Client, office: Calendar) -> None:
    Team.objects.filter(key="billing").update(calendar=office)
    answer = desk.post(f"/settings/calendars/{office.pk}/deletion/", follow=True)
    assert "Still in use by: Billing" in text_of(answer.content)
    assert Calendar.objects.filter(pk=office.pk).exists()


def test_a_team_gets_its_calendar_and_gives_its_tickets_by_load(desk: Client, office: Calendar, agent: User) -> None:
    Recount.objects.all().delete()
    desk.post("/settings/teams/", {"team": "software", "calendar": office.pk, "auto_assign": "on"})
    team = Team.objects.get(key="software")
    assert (team.calendar, team.auto_assign) == (office, True) and Recount.objects.exists()
    assert "Ada · 0 of 25" in text_of(desk.get("/settings/teams/").content)
    desk.post("/settings/teams/", {"team": "software", "calendar": ""})
    team.refresh_from_db()
    assert (team.calendar, team.auto_assign) == (None, False)


def test_a_forged_undo_brings_nothing(desk: Client) -> None:
    assert "is deleted" not in text_of(desk.get("/settings/sla/?deleted=forged").content)


def test_an_agent_changes_no_rule(client: Client, agent: User, office: Calendar) -> None:
    client.force_login(agent)
    held = SlaPolicy.objects.get(priority="P1", team=None)
    for address in (f"/settings/sla/{held.pk}/", f"/settings/sla/{held.pk}/deletion/", "/settings/sla/new/",
                    f"/settings/calendars/{office.pk}/", f"/settings/calendars/{office.pk}/deletion/",
                    "/settings/calendars/new/", "/settings/teams/"):  # fmt: skip
        assert client.post(address, {"team": "software", "auto_assign": "on"}).status_code == 403, address
    assert SlaPolicy.objects.filter(pk=held.pk).exists() and not Team.objects.filter(auto_assign=True).exists()


# On the ticket's page


def test_the_page_shows_every_promise_and_what_the_clock_noted(desk: Client, reviewed: Ticket, lead: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=lead)
    move(Ticket.objects.get(pk=reviewed.pk), timedelta(hours=5))
    clock()
    page = desk.get(reviewed.get_absolute_url()).content
    assert 'id="promise-first_response" data-state="late"' in page.decode()
    assert 'id="promise-resolution" data-state="running"' in page.decode()
    assert "First response: missed, was due" in text_of(page)


def test_the_page_suggests_who_has_the_least_to_do_and_one_click_gives_it(
    desk: Client, reviewed: Ticket, agent: User, make_ticket: MakeTicket
) -> None:
    for number in range(3):
        Ticket.objects.filter(pk=make_ticket(title=f"Other {number}").pk).update(assignee=agent)
    page = desk.get(reviewed.get_absolute_url()).content.decode()
    assert 'value="ada" id="assign-suggested"' in page and "Ada · 3 of 25" in page
    desk.post(f"/tickets/{reviewed.number}/assignment/", {"assignee": "ada", "seen": ""})
    assert Ticket.objects.get(pk=reviewed.pk).assignee == agent
    assert 'id="assign-suggested"' not in desk.get(reviewed.get_absolute_url()).content.decode()


def test_who_assigns_what_a_colleague_took_meanwhile_sees_that(
    desk: Client, reviewed: Ticket, agent: User, lead: User
) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    answer = desk.post(f"/tickets/{reviewed.number}/assignment/", {"assignee": "lea", "seen": ""})
    assert answer.status_code == 409 and "Ada has it now" in text_of(answer.content)
    assert Ticket.objects.get(pk=reviewed.pk).assignee == agent


def test_a_ticket_is_handed_over_from_its_page(desk: Client, reviewed: Ticket, agent: User) -> None:
    desk.post(f"/tickets/{reviewed.number}/handover/", {"to": "user:ada", "note": "Please call them."})
    assert Ticket.objects.get(pk=reviewed.pk).assignee == agent
    assert "Please call them." in text_of(desk.get(reviewed.get_absolute_url()).content)
    answer = desk.post(f"/tickets/{reviewed.number}/handover/", {"to": "team:hr", "note": " "})
    assert answer.status_code == 422 and Ticket.objects.get(pk=reviewed.pk).value_of("team") == "software"
    desk.post(f"/tickets/{reviewed.number}/handover/", {"to": "team:hr", "note": "Yours."})
    assert Ticket.objects.get(pk=reviewed.pk).value_of("team") == "hr"


def opened(desk: Client, address: str) -> str:
    """The mark of a form as it is shown now."""
    found = re.search(r'name="mark" value="(\w*)"', desk.get(address).content.decode())
    assert found is not None
    return found[1]


def test_who_saves_a_policy_over_a_colleagues_change_is_told_and_may_do_it_all_the_same(
    desk: Client, taxonomy: None
) -> None:
    held = policy("P2", response_minutes=60)
    address = f"/settings/sla/{held.pk}/"
    both = opened(desk, address)
    mine = {"priority": "P2", "response_minutes": "2h", "warn": "80 %"}
    theirs = mine | {"response_minutes": "3h"}
    assert desk.post(address, theirs | {"mark": both}).status_code == 302
    assert desk.post(address, theirs | {"mark": both}).status_code == 302, "a second click changes nothing"
    refused = desk.post(address, mine | {"mark": both})
    assert refused.status_code == 422
    assert "Somebody changed this since you opened it" in refused.content.decode()
    assert 'value="2h"' in refused.content.decode()
    held.refresh_from_db()
    assert held.response_minutes == 180
    # Another mistake in between does not make it known what the colleague did.
    wrong = desk.post(address, mine | {"mark": both, "response_minutes": "soon"})
    assert f'name="mark" value="{both}"' in wrong.content.decode()
    assert desk.post(address, mine | {"mark": opened(desk, address)}).status_code == 302
    held.refresh_from_db()
    assert held.response_minutes == 120
    found = re.search(r'name="mark" value="(\w+)"', refused.content.decode())
    assert found is not None and found[1] != both, "a second save of the refused form is meant"


def test_who_saves_a_calendar_over_a_colleagues_change_is_told(desk: Client, office: Calendar) -> None:
    address = f"/settings/calendars/{office.pk}/"
    both = opened(desk, address)
    mine = {"name": "Office", "time_zone": "Europe/Rome", "mark": both, **WEEK}
    theirs = mine | {"holidays": "2026-12-25 Christmas Day"}  # its free days belong to it
    assert [desk.post(address, theirs).status_code for _ in range(2)] == [302, 302]
    refused = desk.post(address, mine | {"name": "Rome"})
    assert refused.status_code == 422
    assert "Somebody changed this since you opened it" in refused.content.decode()
    assert 'value="Rome"' in refused.content.decode()
    office.refresh_from_db()
    assert (office.name, office.holidays.count()) == ("Office", 1)
    assert desk.post(address, mine | {"name": "Rome", "mark": opened(desk, address)}).status_code == 302


def test_a_new_policy_is_not_told_wrong_before_it_was_touched(desk: Client, taxonomy: None) -> None:
    made = SlaPolicy.objects.get(priority="P1", team=None, source=None)
    assert 'hx-trigger="change"' in desk.get("/settings/sla/new/").content.decode()
    assert 'hx-trigger="load, change"' in desk.get(f"/settings/sla/{made.pk}/").content.decode()
