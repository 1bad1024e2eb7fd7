"""From the queue to the figures: a comparison and a second reading, by a real worker, in both themes and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.running import RunningDesk, wait_for

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]


def _judge(page: Page, name: str) -> None:
    """Nothing wider than the screen, and nothing that a reader of the screen would miss; in both themes."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"{name} at {width} px"
    page.set_viewport_size({"width": 1440, "height": 900})
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(400)  # colours change gradually
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(400)


@pytest.mark.timeout(400)
def test_a_lead_compares_and_reads_again(visit: Visit, desk: RunningDesk) -> None:
    def rows(query: str) -> Any:
        return desk.rows(query)[0][0]

    waiting = "SELECT count(*) FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing')"
    wait_for(lambda: rows(waiting) == 0, seconds=150, what="the demo tickets are read")
    page = visit("/replays/")
    expect(page.get_by_text("Nothing was read again yet")).to_be_visible()
    _judge(page, "list-empty")
    page.locator("#new-comparison").click()
    expect(page.get_by_role("heading", name="Compare with what is in force")).to_be_visible()
    with page.expect_response(lambda answer: "/replays/new/" in answer.url):
        page.locator("#replay-engine").select_option("rules")
    page.locator("#replay-limit").fill("20")
    with page.expect_response(lambda answer: "/replays/new/" in answer.url):
        page.locator("#replay-limit").blur()
    expect(page.locator("#estimate")).to_contain_text("20 tickets")
    _judge(page, "form")
    page.locator("#replay-begin").click()
    expect(page.locator("#standing")).to_contain_text("Done", timeout=90_000)
    expect(page.get_by_role("heading", name="By field")).to_be_visible()
    _judge(page, "comparison")
    page.locator(".figures a", has_text="Category").click()
    expect(page.locator("#differing")).to_contain_text("Category:")
    before = rows("SELECT count(*) FROM tickets_suggestion")

    page.goto("/tickets/?status=escalated")
    page.locator("#read-again").click()
    expect(page.get_by_role("heading", name="Read these again")).to_be_visible()
    _judge(page, "again")
    if page.locator("#replay-confirmed").count():
        page.locator("#replay-confirmed").check()
    page.locator("#replay-begin").click()
    expect(page.locator("#standing")).to_contain_text("Done", timeout=120_000)
    _judge(page, "again-done")
    assert rows("SELECT count(*) FROM tickets_suggestion") > before
    page.goto("/replays/")
    _judge(page, "list")
