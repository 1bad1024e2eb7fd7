"""Promised times as a team sees them: set up in the settings, then a clock that turns while one looks."""

from __future__ import annotations

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, live
from tests.running import RunningDesk, wait_for
from triage.postgres import server

pytestmark = pytest.mark.browser


def age(desk: RunningDesk, number: int, hours: float) -> None:
    """As if the ticket had come in so long ago, and been here all the time: rather than wait for it."""
    past = f"now() - interval '{hours} hours'"
    parameters = server.ensure(desk.var, doubt=True).connection_parameters()
    with psycopg.connect(**{**parameters, "dbname": "triage"}) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # history is never edited
        connection.execute(f"UPDATE tickets_event SET pgh_created_at = {past} WHERE number = {number}")
        connection.execute(f"UPDATE tickets_message SET created_at = {past} WHERE ticket_id = {number}")
        connection.execute("SET LOCAL session_replication_role = DEFAULT")
        connection.execute(f"UPDATE tickets_ticket SET created_at = {past} WHERE number = {number}")


def unanswered(desk: RunningDesk) -> int:
    """An open P3 ticket that nobody answered: 24 hours for a first answer."""
    unread = "SELECT count(*) FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing')"
    wait_for(lambda: desk.rows(unread) == [(0,)], seconds=60, what="every demo ticket is read")
    found = desk.rows(
        "UPDATE tickets_ticket SET priority = 'P3' WHERE number = (SELECT number FROM tickets_ticket WHERE status = "
        "'in_review' AND first_replied_at IS NULL ORDER BY created_at DESC LIMIT 1) RETURNING number"
    )
    number: int = found[0][0]
    return number


def clock_of(page: Page, number: int, state: str) -> None:
    expect(page.locator(f"#ticket-{number} .clock-{state}")).to_be_visible(timeout=25_000)


def test_a_clock_turns_amber_then_red_while_one_looks_and_the_page_tells_it(visit: Visit, desk: RunningDesk) -> None:
    number = unanswered(desk)
    age(desk, number, 1)
    page = visit("/tickets/")
    live(page)
    clock_of(page, number, "running")
    age(desk, number, 20)  # past 80 per cent
    clock_of(page, number, "soon")
    expect(page.locator(f"#ticket-{number} .clock .sr-only")).to_have_text("First answer due in 3h")
    age(desk, number, 25)
    clock_of(page, number, "late")
    expect(page.locator(f"#ticket-{number} .clock .sr-only")).to_have_text("First answer overdue by 1h")
    noted = "SELECT kind FROM tickets_slaevent WHERE ticket_id = %s ORDER BY id"
    assert {kind for (kind,) in desk.rows(noted, number)} == {"warning", "breach"}
    page.goto(f"/tickets/{number}/")
    expect(page.locator("#promise-first_response")).to_have_attribute("data-state", "late")
    page.locator("#history-details > summary").click()
    expect(page.locator("#history")).to_contain_text("First response: missed, was due")


def test_a_clock_moves_on_in_a_browser_that_hears_nothing(visit: Visit, desk: RunningDesk) -> None:
    page = visit("/tickets/")
    row = page.locator(".row:has(.clock-running)").first.get_attribute("id")
    clock = page.locator(f"#{row} .clock")
    clock.evaluate("clock => { clock.dataset.due = Date.now() - 7260000; clock.dataset.warn = clock.dataset.due; }")
    expect(clock).to_have_class("clock clock-late", timeout=20_000)
    expect(clock.locator(".sr-only")).to_contain_text("overdue by 2h")


def test_a_lead_sets_up_hours_and_a_policy_and_sees_by_an_example_what_they_mean(
    visit: Visit, desk: RunningDesk
) -> None:
    page = visit("/settings/calendars/new/", watched=False)  # a page that is left breaks off its example
    page.locator("#calendar-name").fill("Rome office")
    page.locator("#calendar-zone").select_option("Europe/Rome")
    page.locator("#calendar-holidays").fill("2026-12-25 Christmas Day")
    page.locator("#calendar-holidays").blur()
    expect(page.locator("#example")).to_contain_text("(Europe/Rome)")
    page.locator("#calendar-save").click()
    expect(page.locator("#calendars")).to_contain_text("Mon to Fri 09:00-17:00 · 1 free day")
    page.goto("/settings/sla/new/")
    page.locator("#policy-priority").select_option("P2")
    page.locator("#policy-team").select_option(index=1)
    page.locator("#policy-response_minutes").fill("1h 30m")
    page.locator("#policy-calendar").select_option(label="Rome office")
    expect(page.locator("#example")).to_contain_text("Friday")
    expect(page.locator("#example li strong")).to_contain_text("10:20")  # of what comes on Friday at ten to five
    page.locator("#policy-response_minutes").fill("soon")
    page.locator("#policy-response_minutes").blur()
    expect(page.locator("#example .bad")).to_contain_text("Write it like 45m")
    page.locator("#policy-response_minutes").fill("1h 30m")
    page.locator("#policy-save").click()
    made = page.locator("#policies tr", has_text="Rome office")
    expect(made).to_contain_text("1h 30m")
    made.locator("a").click()
    page.locator("#policy-delete").click()
    expect(page.locator("#deleted")).to_contain_text("is deleted")
    page.locator("#undo-deletion").click()
    expect(made).to_be_visible()


def test_a_ticket_is_taken_by_a_key_and_handed_over_with_a_note(visit: Visit, desk: RunningDesk) -> None:
    number = unanswered(desk)
    page = visit(f"/tickets/{number}/")
    expect(page.locator("#assignee")).not_to_have_value("admin")
    page.keyboard.press("t")
    expect(page.locator("#assignee")).to_have_value("admin")
    page.locator("#handover-open").click()
    page.locator("#handover-to").select_option(index=1)
    page.locator("#handover-note").fill("They asked for you.")
    # Somebody who begins a note and looks up in the thread what to write finds it as it was, whatever comes meanwhile.
    page.locator("#conversation").click()
    assert desk.api("PATCH", f"/tickets/{number}", desk.api_key("corrects"), {"priority": "P1"})[0] == 200
    expect(page.locator("#value-priority")).to_have_value("P1")
    expect(page.locator("#handover-note")).to_have_value("They asked for you.")
    page.locator("#handover-send").click()
    expect(page.locator(".conversation")).to_contain_text("They asked for you.")
