"""A reply that names what nobody gave: shown while it is typed, sent after a second yes, fit to be read everywhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.test_pages import PHONE, violations
from tests.running import RunningDesk, wait_for

pytestmark = pytest.mark.browser
TYPED = (
    "Hello,\n\nplease sign in at https://evil.example/a/rather/long/address?and=on&on=and-on and call +49 30 1234567."
)


@pytest.fixture
def number(desk: RunningDesk) -> int:
    """An open ticket with a draft and somebody to answer."""
    query = """SELECT max(t.number) FROM tickets_ticket t JOIN tickets_draft d ON d.ticket_id = t.number
               WHERE t.status = 'in_review' AND t.requester_id IS NOT NULL AND t.triage_state = 'triaged'"""
    return int(wait_for(lambda: desk.rows(query)[0][0], seconds=60, what="a ticket has a draft"))


def test_flags_come_while_it_is_typed_and_a_tick_lasts_as_long_as_they_do(
    visit: Visit, desk: RunningDesk, number: int
) -> None:
    page = visit(f"/tickets/{number}/")
    editor, yes = page.locator("#reply-text"), page.locator("#accept-flags")
    expect(yes).to_have_count(0)
    editor.fill(TYPED)
    expect(page.locator("#draft-flags mark")).to_have_count(2)
    yes.check()
    editor.press("End")
    with page.expect_response(lambda answer: "/draft/" in answer.url):
        editor.press_sequentially(" Soon.")
    expect(page.locator("#draft-saved")).to_contain_text("Saved")
    expect(yes).to_be_checked()
    with page.expect_response(lambda answer: "/draft/" in answer.url):
        editor.press_sequentially(" Or write to thief@evil.example.")
    expect(page.locator("#draft-flags mark")).to_have_count(3)
    expect(yes).not_to_be_checked()
    page.locator("#approve").click()
    expect(page.locator("#reply-notice")).to_contain_text("Not sent")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(400)  # colours change over a moment
        assert violations(page) == [], theme
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    yes.check()
    page.locator("#approve").click()
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
    assert (
        "thief@evil.example"
        in desk.rows("SELECT text FROM tickets_review WHERE ticket_id = %s ORDER BY id DESC", number)[0][0]
    )


def test_without_scripts_the_same_reply_is_held_and_sent(visit: Visit, desk: RunningDesk, number: int) -> None:
    page = visit("/tickets/", java_script_enabled=False, color_scheme="dark")
    page.goto(f"/tickets/{number}/")
    page.locator("#reply-text").fill(TYPED)
    page.locator("#approve").click()
    expect(page.locator("#reply-notice")).to_contain_text("Not sent")
    assert page.locator("#reply-text").input_value() == TYPED
    page.locator("#accept-flags").check()
    page.locator("#approve").click()
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
