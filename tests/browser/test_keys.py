"""Deciding by keyboard alone, and taking back what was sent too soon."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.running import RunningDesk, wait_for

pytestmark = pytest.mark.browser


UNDECIDED = (
    "SELECT t.number FROM tickets_ticket t JOIN tickets_draft d ON d.ticket_id = t.number "
    "WHERE t.status = 'in_review' AND NOT d.stale AND d.flags = '[]' "
    "AND strpos(t.provenance::text, '\"person\"') = 0 AND strpos(t.provenance::text, '\"ask\"') = 0 ORDER BY 1 LIMIT 1"
)


def any_in_review(desk: RunningDesk) -> int:
    """A ticket that was read, drafted and left alone."""
    number: int = wait_for(lambda: desk.rows(UNDECIDED), seconds=60, what="a demo ticket is read")[0][0]
    return number


def outcome(desk: RunningDesk, number: int) -> tuple[str, int]:
    (status,) = desk.rows("SELECT status FROM tickets_ticket WHERE number = %s", number)[0]
    (deliveries,) = desk.rows("SELECT count(*) FROM tickets_delivery WHERE ticket_id = %s", number)[0]
    return status, deliveries


def accepted(desk: RunningDesk, number: int) -> set[str]:
    rows = desk.rows("SELECT field FROM tickets_review WHERE ticket_id = %s AND decision = 'accepted'", number)
    return {field for (field,) in rows}


def test_where_the_machine_is_right_two_key_strokes_decide_and_one_takes_it_back(
    visit: Visit, desk: RunningDesk
) -> None:
    number = any_in_review(desk)
    page = visit(f"/tickets/{number}/")
    page.keyboard.press("a")
    expect(page.locator("#field-category")).to_contain_text("Decided by a person")
    assert {"category", "priority", "team"} <= accepted(desk, number)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
    expect(page.locator("#next-ticket")).to_be_focused()  # Enter goes on
    expect(page.locator(".leaving-in")).to_contain_text("in ")
    page.keyboard.press("u")
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "in_review")
    expect(page.locator("#reply-text")).not_to_have_value("")
    assert outcome(desk, number) == ("in_review", 0)


def test_one_field_is_accepted_and_another_corrected_by_one_key_each(visit: Visit, desk: RunningDesk) -> None:
    number = any_in_review(desk)
    page = visit(f"/tickets/{number}/")
    page.keyboard.press("Shift+Digit3")
    expect(page.locator("#field-team")).to_contain_text("Decided by a person")
    assert accepted(desk, number) == {"team"}
    page.keyboard.press("2")
    expect(page.locator("#value-priority")).to_be_focused()
    page.locator("#value-priority").select_option("P4")
    expect(page.locator("#field-priority")).to_contain_text("Decided by a person")


def test_the_palette_finds_commands_places_and_tickets(visit: Visit, desk: RunningDesk) -> None:
    number = any_in_review(desk)
    page = visit(f"/tickets/{number}/")
    palette(page, "internal comment")
    expect(page.locator("#comment-text")).to_be_focused()
    page.keyboard.press("Escape")
    palette(page, "dashboard")
    page.wait_for_url(f"{desk.address}/")
    palette(page, f"#{number}")
    page.wait_for_url(f"**/tickets/{number}/")
    palette(page, "no such command")
    page.wait_for_url("**/tickets/?q=no%20such%20command")


def palette(page: Page, typed: str) -> None:
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-field")).to_be_focused()
    page.keyboard.type(typed)
    expect(page.locator("#palette-0")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")


def test_single_keys_can_be_switched_off(visit: Visit, desk: RunningDesk) -> None:
    number = any_in_review(desk)
    page = visit(f"/tickets/{number}/")
    page.keyboard.press("?")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("e")
    page.keyboard.press("c")
    expect(page.locator("body")).to_be_focused()
    page.keyboard.press("Control+k")  # those with Ctrl stay
    expect(page.locator("#palette-field")).to_be_focused()


def test_the_difference_is_shown_and_hidden_by_one_key(visit: Visit, desk: RunningDesk) -> None:
    page = visit(f"/tickets/{any_in_review(desk)}/")
    page.keyboard.press("e")
    page.keyboard.type("Zebras. ")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.locator("#difference ins")).to_have_text("Zebras. ")
    page.keyboard.press("d")
    expect(page.locator("#difference")).to_be_hidden()
    page.locator("#reply-text").evaluate("editor => { editor.defaultValue = editor.value }")  # leave without a question


def test_from_a_ticket_the_next_one_of_the_queue_is_one_key_away(visit: Visit, desk: RunningDesk) -> None:
    any_in_review(desk)
    page = visit("/tickets/")
    numbers = page.locator("#rows [data-number]").evaluate_all("rows => rows.map(row => row.dataset.number)")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tickets/{numbers[0]}/")
    page.keyboard.press("j")
    page.wait_for_url(f"**/tickets/{numbers[1]}/")
    page.keyboard.press("k")
    page.wait_for_url(f"**/tickets/{numbers[0]}/")
