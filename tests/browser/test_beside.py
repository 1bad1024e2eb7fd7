"""A ticket beside the queue, worked through by keyboard: nothing typed is lost, and the list keeps its place."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_keys import any_in_review, outcome
from tests.running import RunningDesk, wait_for

pytestmark = pytest.mark.browser


def open_split(visit: Visit, address: str = "/tickets/?status=in_review") -> Page:
    page = visit("/tickets/")
    page.goto(address)
    if not page.locator("#split").count():
        page.keyboard.press("s")
        page.wait_for_selector("#split")
        page.wait_for_load_state()  # the list stands before its script listens
    return page


def shown(page: Page) -> int:
    return int(page.locator("#ticket").get_attribute("data-ticket") or 0)


def listed(page: Page) -> list[int]:
    return [
        int(one) for one in page.locator("#rows [data-number]").evaluate_all("all => all.map(r => r.dataset.number)")
    ]


def test_keys_go_through_the_list_and_an_answer_opens_the_next(visit: Visit, desk: RunningDesk) -> None:
    any_in_review(desk)
    page = open_split(visit)
    first, second = listed(page)[:2]
    page.keyboard.press("j")
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(first))
    expect(page).to_have_url(re.compile(rf"open={first}$"))
    expect(page.locator(f"#ticket-{first}")).to_have_class(re.compile("row-open"))
    page.keyboard.press("Control+Enter")
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(second))
    expect(page.locator(f"#ticket-{first}")).to_have_count(0)
    expect(page.locator("#toasts .leaving")).to_have_count(1)
    page.keyboard.press("u")
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(first))
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "in_review")
    assert outcome(desk, first) == ("in_review", 0)


def test_what_is_typed_is_kept_when_the_next_is_opened_at_once(visit: Visit, desk: RunningDesk) -> None:
    any_in_review(desk)
    page = open_split(visit)
    first, second = listed(page)[:2]
    page.locator(f"#open-{first}").click()
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(first))
    page.locator("#reply-text").fill("Half a sentence that must not get lost")
    page.locator("#comment-text").fill("Ask Lea first")
    page.locator(f"#open-{second}").click()
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(second))
    expect(page.locator("#reply-text")).not_to_have_value("Half a sentence that must not get lost")
    kept = "SELECT text FROM tickets_draft WHERE ticket_id = %s"
    assert desk.rows(kept, first) == [("Half a sentence that must not get lost",)]
    page.go_back()
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(first))
    expect(page.locator("#reply-text")).to_have_value("Half a sentence that must not get lost")
    page.locator("#comment-text-restore").click()
    expect(page.locator("#comment-text")).to_have_value("Ask Lea first")


def test_both_sides_stay_live_and_the_open_ticket_stays_where_its_row_leaves(visit: Visit, desk: RunningDesk) -> None:
    any_in_review(desk)
    page, other = open_split(visit), visit("/tickets/")
    number = listed(page)[0]
    page.locator(f"#open-{number}").click()
    expect(page.locator("#ticket")).to_have_attribute("data-ticket", str(number))
    page.wait_for_timeout(600)  # the socket is this ticket's by then
    other.goto(f"/tickets/{number}/")
    other.locator("#close").click()
    expect(page.locator(f"#ticket-{number}")).to_have_count(0)
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "closed")
    assert shown(page) == number


def test_sent_and_snoozed_by_key_it_is_out_of_sight_until_its_time(visit: Visit, desk: RunningDesk) -> None:
    number = any_in_review(desk)
    page = visit(f"/tickets/{number}/")
    page.keyboard.press("Shift+Z")
    page.locator("#approve-week").click()
    expect(page.locator("#snoozed")).to_be_visible()
    state = "SELECT status, snoozed_until > now() + interval '6 days' FROM tickets_ticket WHERE number = %s"
    assert desk.rows(state, number) == [("waiting", True)]
    wait_for(lambda: outcome(desk, number)[1] == 1, seconds=5, what="one reply is on its way")


def test_in_a_narrow_window_a_click_opens_the_page_of_the_ticket(visit: Visit, desk: RunningDesk) -> None:
    number = any_in_review(desk)
    page = open_split(visit)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(f"#open-{number}").click()
    page.wait_for_url(f"**/tickets/{number}/")
    page.goto(f"/tickets/?open={number}")
    page.wait_for_url(f"**/tickets/{number}/")
